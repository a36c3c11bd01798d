"""One authorisation in full, and its record to keep: hers alone."""

from dataclasses import replace

import pytest

from consent.model import FieldNotice
from consent.records import KeptNotice
from tests.consent.pages.scene import ACCESS, DAY, DETAIL, GRANT, NOTICE, NOW

PAGE = "/mes-autorisations/grant-1"
SOMEBODY_ELSES = replace(GRANT, grant_id="grant-2", citizen="somebody-else")


def test_it_says_who_what_why_on_which_ground_and_until_when(camille, scene):
    scene.desk.grants = [GRANT]
    scene.desk.kept.append(KeptNotice("0" * 64, "fr", "Accord notice 2 fr\nLa commune demande\nRien n'est transmis"))
    page = camille.get(PAGE).text
    for words in ("Commune de Valombre", "Portail famille", "Montant du quotient familial", "crèche", "consentement"):
        assert words in page
    assert "La commune demande" in page
    assert f'href="{PAGE}/retrait"' in page
    assert f'href="{PAGE}/recu.json"' in page


def test_in_english_too(camille, scene):
    scene.desk.grants = [GRANT]
    page = camille.get(PAGE, params={"lang": "en"}).text
    assert "Authorisation given to Commune de Valombre" in page
    assert "Amount of the family quotient" in page


def test_its_last_accesses_are_its_own(camille, scene):
    scene.desk.grants = [GRANT]
    scene.accesses.views = [ACCESS, replace(ACCESS, index=8, grant_id="another", time="2026-11-22T08:00:00.000Z")]
    page = camille.get(PAGE).text
    assert "23 novembre 2026" in page
    assert "22 novembre 2026" not in page


def test_one_that_was_never_used_says_so(camille, scene):
    scene.desk.grants = [GRANT]
    scene.accesses.views = []
    assert "pas encore servi" in camille.get(PAGE).text


@pytest.mark.parametrize(
    ("grant", "words", "withdrawable"),
    [
        (replace(GRANT, status="suspended"), "est suspendue", True),
        (replace(GRANT, given_at=NOW - 90 * DAY, expires_at=NOW + 10 * DAY), "se termine le", True),
        (replace(GRANT, status="withdrawn", ended_at=NOW - DAY), "Retirée le", False),
        (replace(GRANT, expires_at=NOW - DAY), "Échue le", False),
        (replace(GRANT, supersedes="grant-0"), "une autorisation antérieure", True),
        (replace(GRANT, details=(replace(DETAIL, max_per_day=3),)), "Au plus 3 par jour", True),
    ],
)
def test_how_it_stands_is_said_in_words(camille, scene, grant, words, withdrawable):
    scene.desk.grants = [grant]
    page = camille.get(PAGE).text
    assert words in page
    assert (f'href="{PAGE}/retrait"' in page) == withdrawable


def test_what_is_about_her_children_is_said(camille, scene, monkeypatch):
    label = {"fr": "Prénoms des enfants", "en": "Children's given names"}
    monkeypatch.setitem(NOTICE.fields, "enfants.prenoms", FieldNotice("enfants.prenoms", label, "child"))
    scene.desk.grants = [replace(GRANT, details=(replace(DETAIL, fields=("enfants.prenoms",)),))]
    assert "concernent vos enfants" in camille.get(PAGE).text


def test_the_record_is_a_file_to_keep(camille, scene):
    scene.desk.grants = [GRANT]
    reply = camille.get(f"{PAGE}/recu.json")
    assert reply.headers["content-type"] == "application/ld+json"
    assert "attachment" in reply.headers["content-disposition"]
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json()["dct:identifier"] == "grant-1"


@pytest.mark.parametrize("path", ["/mes-autorisations/grant-2", "/mes-autorisations/grant-2/recu.json"])
def test_somebody_elses_authorisation_is_not_found(camille, scene, path):
    scene.desk.grants = [GRANT, SOMEBODY_ELSES]
    assert camille.get(path).status_code == 404


@pytest.mark.enable_socket
@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/recu.json"])
def test_a_stranger_is_shown_nothing(stranger, scene, path):
    scene.desk.grants = [GRANT]
    reply = stranger.get(path)
    assert reply.status_code in {303, 502, 503}
    assert "Valombre" not in reply.text
