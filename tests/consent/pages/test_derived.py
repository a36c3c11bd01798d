"""What a citizen reads of a derived answer, in both languages, everywhere it is said."""

from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient

from consent.model import FieldNotice
from consent.pages.derived import in_words
from consent.pages.notice import Asked, notice
from consent.records import RecordWriter
from openapi.problem import Language
from openapi.rules import Rule, read_rules, rule_from_text
from tests.consent.pages.scene import ACCESS, AUTHORIZE, CLIENT, DETAIL, GRANT, NOTICE, NOW, PENDING, PERMIT, Scene
from tests.consent.pages.test_decision import answer, form_of

AMOUNT = FieldNotice("q.valeur", {"fr": "Montant", "en": "Amount"}, type="integer")
PARTS = FieldNotice("q.parts", {"fr": "Parts", "en": "Shares"}, type="number")
BIRTHS = FieldNotice("e.date", {"fr": "Naissances", "en": "Births"}, "child", "date")
PARENTS = replace(BIRTHS, about="citizen")
EXACT_FR, EXACT_EN = "Le chiffre exact n'est pas transmis.", "The exact figure is not passed on."
TRANCHE = Rule("tranche", "bracket", "quotient_familial.valeur", (500, 800, 1200))
IN_FRENCH = (
    "Montant du quotient familial : seulement sa tranche, parmi : moins de 500 ; de 500 à 799 ; de 800 à 1 199 ; "
    "1 200 et plus. Le chiffre exact n'est pas transmis."
)
IN_ENGLISH = (
    "Amount of the family quotient: only its range, one of: below 500; 500 to 799; 800 to 1,199; 1,200 and above. "
    "The exact figure is not passed on."
)


def plain(text: str) -> str:
    """Without the spaces and apostrophes of careful typography."""
    special = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{RIGHT SINGLE QUOTATION MARK}"
    return text.translate(str.maketrans(special, "  '"))


@pytest.mark.parametrize(
    ("text", "field", "fr", "en"),
    [
        (
            "n=bracket(q.valeur,500,501)",
            AMOUNT,
            f"Montant : seulement sa tranche, parmi : moins de 500 ; exactement 500 ; 501 et plus. {EXACT_FR}",
            f"Amount: only its range, one of: below 500; exactly 500; 501 and above. {EXACT_EN}",
        ),
        (
            "n=bracket(q.parts,1,2)",
            PARTS,
            f"Parts : seulement sa tranche, parmi : moins de 1 ; de 1 à moins de 2 ; 2 et plus. {EXACT_FR}",
            f"Shares: only its range, one of: below 1; 1 to less than 2; 2 and above. {EXACT_EN}",
        ),
        (
            "n=at_most(q.valeur,1200)",
            AMOUNT,
            "Montant : seulement si le chiffre dépasse 1 200 ou non. Le chiffre exact n'est pas transmis.",
            "Amount: only whether the figure is above 1,200 or not. The exact figure is not passed on.",
        ),
        (
            "n=at_least(q.valeur,-5)",
            AMOUNT,
            "Montant : seulement si le chiffre atteint -5 ou non. Le chiffre exact n'est pas transmis.",
            "Amount: only whether the figure reaches -5 or not. The exact figure is not passed on.",
        ),
        (
            "n=is_present(q.valeur)",
            AMOUNT,
            "Montant : seulement si cette information existe ou non. Elle n'est pas transmise elle-même.",
            "Amount: only whether this information exists or not. It is not passed on itself.",
        ),
        (
            "n=count(e.date,6)",
            BIRTHS,
            "Naissances : seulement le nombre d'enfants de moins de 6 ans. Aucune date n'est transmise.",
            "Births: only how many children are younger than 6 years. No date is passed on.",
        ),
        (
            "n=count(e.date,1)",
            PARENTS,
            "Naissances : seulement le nombre de personnes de moins de 12 mois. Aucune date n'est transmise.",
            "Births: only how many people are younger than 12 months. No date is passed on.",
        ),
        (
            "n=is_present(gone.field)",
            None,
            "gone.field : seulement si cette information existe ou non. Elle n'est pas transmise elle-même.",
            "gone.field: only whether this information exists or not. It is not passed on itself.",
        ),
    ],
)
def test_every_kind_of_rule_is_said_in_both_languages(text: str, field: FieldNotice | None, fr: str, en: str) -> None:
    rule = rule_from_text(text)
    assert (plain(in_words(rule, field, "fr")), plain(in_words(rule, field, "en"))) == (fr, en)


def test_what_is_no_rule_in_an_entry_is_not_said() -> None:
    assert read_rules(["<script>", "n=sum(a,1)", "n=bracket(a,2,1)", TRANCHE.text]) == (TRANCHE,)


def asked(*rules: Rule) -> Asked:
    detail = replace(DETAIL, fields=("adresse.code_postal_ville",), rules=rules)
    return Asked(detail, PERMIT, NOTICE)


@pytest.fixture(autouse=True)
def _amounts_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    name = TRANCHE.field
    monkeypatch.setitem(NOTICE.fields, name, replace(NOTICE.fields[name], type="integer"))


@pytest.mark.parametrize(("language", "said"), [("fr", IN_FRENCH), ("en", IN_ENGLISH)])
def test_the_notice_says_the_bracket_and_not_the_amount_and_its_hash_covers_every_bound(
    language: Language, said: str
) -> None:
    shown = notice(CLIENT, (asked(TRANCHE),), now=NOW, language=language)
    assert f"- {said}" in plain(shown.text).splitlines()
    narrower = replace(TRANCHE, numbers=(500, 800, 1201))
    assert notice(CLIENT, (asked(narrower),), now=NOW, language=language).sha256 != shown.sha256
    assert notice(CLIENT, (asked(),), now=NOW, language=language).sha256 != shown.sha256


def test_a_derived_answer_is_a_box_to_tick_like_a_field() -> None:
    what = next(part for part in notice(CLIENT, (asked(TRANCHE),), now=NOW, language="fr").parts if part.key == "what")
    assert [option.value for option in what.options] == ["0:adresse.code_postal_ville", "0:tranche"]


def test_the_receipt_says_the_rule_as_derived_data_and_its_text() -> None:
    class Catalogue:
        def notice(self, _dataset: str) -> Any:
            return NOTICE

    class Registry:
        def client(self, _client_id: str) -> None:
            return None

        def organisation_name(self, _siret: str) -> None:
            return None

    grant: Any = replace(GRANT, details=(replace(DETAIL, fields=(), rules=(TRANCHE,)),))
    writer: Any = RecordWriter("https://accord.example", Catalogue(), Registry())  # type: ignore[arg-type]
    (process,) = writer.write(grant, subject="s", notice=None, now=NOW)["dpv:hasProcess"]
    (said,) = process["dpv:hasPersonalData"]
    assert said["@type"] == "dpv:DerivedPersonalData"
    assert said["accord:rule"] == TRANCHE.text
    assert {one["@language"]: plain(one["@value"]) for one in said["dct:title"]} == {"fr": IN_FRENCH, "en": IN_ENGLISH}


DERIVED = replace(DETAIL, fields=("adresse.code_postal_ville",), rules=(TRANCHE,))


def words(page: str) -> str:
    return plain(unescape(page))


def test_the_screen_says_the_bracket_in_words_and_a_derived_answer_may_be_unticked(
    camille: TestClient, scene: Scene
) -> None:
    scene.desk.waiting = replace(PENDING, details=(DERIVED,))
    page = camille.get(AUTHORIZE).text
    assert IN_FRENCH in words(page)
    assert IN_ENGLISH in words(camille.get(AUTHORIZE, headers={"accept-language": "en"}).text)
    assert form_of(page)["champ"] == ["0:adresse.code_postal_ville", "0:tranche"]
    answer(camille, form_of(page))
    answer(camille, form_of(page), champ=["0:adresse.code_postal_ville"])
    answer(camille, form_of(page), champ=["0:tranche"])
    # A box that was never on the screen: the amount itself.
    answer(camille, form_of(page), champ=["0:tranche", f"0:{TRANCHE.field}"])
    assert [fields for fields, _, _ in scene.desk.agreed] == [
        (("adresse.code_postal_ville", "tranche"),),
        (("adresse.code_postal_ville",),),
        (("tranche",),),
        (("tranche",),),
    ]


def test_her_authorisations_and_accesses_say_the_answer_and_not_the_amount(camille: TestClient, scene: Scene) -> None:
    scene.desk.grants = [replace(GRANT, details=(DERIVED,))]
    scene.accesses.views = [  # type: ignore[union-attr]
        replace(ACCESS, fields=["adresse.code_postal_ville", TRANCHE.field], rules=[TRANCHE.text])
    ]
    for path in ("/mes-autorisations", f"/mes-autorisations/{GRANT.grant_id}", "/mes-acces"):
        page = words(camille.get(path).text)
        assert f"<li>{IN_FRENCH}</li>" in page, path
        assert "<li>Montant du quotient familial</li>" not in page, path
        assert "Calculer le tarif de la crèche" in page
