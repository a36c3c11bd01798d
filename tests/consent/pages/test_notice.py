"""What is agreed to is what was shown, and it can be shown again."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.pages.dates import day, end_of_day, moment, moment_of
from consent.pages.notice import Asked, Notice, Part, notice
from tests.consent.pages.scene import CLIENT, DAY, DETAIL, NOTICE, NOW, PERMIT


def asked(**changes) -> Asked:
    return Asked(replace(DETAIL, **changes), PERMIT, NOTICE)


def made(*each: Asked, language="fr", now=NOW) -> Notice:
    return notice(CLIENT, each or (asked(),), now=now, language=language)


def part(shown: Notice, key: str) -> Part:
    return next(each for each in shown.parts if each.key == key)


def test_the_notice_answers_every_question():
    shown = made()
    assert [each.key for each in shown.parts] == [
        "who",
        "what",
        "holder",
        "why",
        "how_long",
        "legal",
        "refusal",
        "rights",
    ]
    for words in ("Commune de Valombre", "Portail famille", "Montant du quotient familial", "crèche", "RGPD", "CAF"):
        assert words in shown.text


def test_the_hash_is_that_of_the_canonical_text():
    shown = made()
    assert shown.sha256 == hashlib.sha256(shown.text.encode()).hexdigest()
    assert shown.text.startswith("Accord notice 2 fr\n")


def test_the_same_request_at_the_same_moment_makes_the_same_notice():
    assert made().sha256 == made().sha256


@pytest.mark.parametrize(
    "other",
    [
        made(language="en"),
        made(now=NOW + DAY),
        made(asked(fields=("quotient_familial.valeur",))),
        made(asked(access="once")),
        made(asked(retention="P1Y")),
        made(Asked(DETAIL, replace(PERMIT, legal_basis="public_task"), NOTICE)),
        made(Asked(DETAIL, replace(PERMIT, purpose={"fr": "Autre chose", "en": "Else"}), NOTICE)),
        notice(replace(CLIENT, organisation_name="Commune d'Ailleurs"), (asked(),), now=NOW, language="fr"),
    ],
)
def test_anything_the_citizen_reads_changes_the_hash(other):
    assert other.sha256 != made().sha256


def test_the_end_asked_for_comes_first_and_the_others_are_sooner():
    shown = made(asked(expires_at=NOW + 100 * DAY))
    assert shown.ends[0] == NOW + 100 * DAY
    assert all(NOW < end < shown.ends[0] for end in shown.ends[1:])
    assert [option.value for option in part(shown, "how_long").options] == [str(end) for end in shown.ends]


def test_no_end_outlives_the_habilitation():
    short = replace(PERMIT, valid_until=NOW + 10 * DAY)
    shown = made(Asked(DETAIL, short, NOTICE), asked())
    assert max(shown.ends) == NOW + 10 * DAY


@given(end=st.integers(min_value=NOW + 1, max_value=253_402_300_799), access=st.sampled_from(["once", "recurring"]))
def test_every_end_offered_is_within_what_was_asked(end, access):
    shown = made(Asked(replace(DETAIL, expires_at=end, access=access), replace(PERMIT, valid_until=end), NOTICE))
    assert all(NOW < each <= end for each in shown.ends)
    assert len(set(shown.ends)) == len(shown.ends)


def test_an_end_within_hours_is_told_to_the_minute():
    shown = made(asked(expires_at=NOW + 3600))
    assert "24 novembre 2026 à 8 h 00" in shown.text


def test_a_single_access_says_so_and_a_limit_per_day_too():
    assert "Pour un seul accès" in made(asked(access="once")).text
    assert "Au plus 3 par jour." in made(asked(max_per_day=3)).text


@pytest.mark.parametrize(
    ("retention", "fr", "en"),
    [("P1D", "un jour", "one day"), ("P3M", "3 mois", "3 months"), ("P2W", "2 semaines", "2 weeks")],
)
def test_the_retention_is_said_in_words(retention, fr, en):
    assert f"au bout de {fr}." in made(asked(retention=retention)).text
    assert f"after {en}." in made(asked(retention=retention), language="en").text


def test_two_requests_keep_their_fields_apart():
    shown = made(asked(), asked(fields=("quotient_familial.valeur",)))
    boxes = [option.value for each in shown.parts if each.key == "what" for option in each.options]
    assert boxes[0] == "0:quotient_familial.valeur"
    assert boxes[-1] == "1:quotient_familial.valeur"
    assert len(part(shown, "why").lines) == 1


def test_a_legal_basis_without_words_of_ours_is_said_as_declared():
    shown = made(Asked(DETAIL, replace(PERMIT, legal_basis="vital_interest"), NOTICE))
    assert part(shown, "legal").lines == ("vital_interest",)


def test_dates_are_those_of_a_clock_in_paris():
    assert day(NOW, "fr") == "24 novembre 2026"
    assert day(NOW, "en") == "24 November 2026"
    assert moment(NOW, "en") == "24 November 2026 at 07:00"
    assert moment_of("2026-06-30T22:05:00.120Z", "fr") == "1er juillet 2026 à 0 h 05"


def test_a_month_later_is_the_same_day_or_the_last_one():
    last_of_january = 1_801_389_600
    assert day(last_of_january, "fr") == "31 janvier 2027"
    assert moment(end_of_day(last_of_january, months=1, days=0), "fr") == "28 février 2027 à 23 h 59"
    assert moment(end_of_day(last_of_january, months=11, days=1), "fr") == "1er janvier 2028 à 23 h 59"
