"""A derived answer as an auditor reads it: which rule, over which field, and that the field itself did not leave."""

from collections.abc import Collection
from typing import Any

from audit.exports.columns import ENTRY_COLUMNS, row
from audit.exports.ocsf import ocsf_event
from audit.pages.wording import Wording
from audit.query import AccessRecord
from openapi.problem import Language

VALUE = "quotient_familial.valeur"
RULE = f"tranche=bracket({VALUE},500,800)"
ENTRY: dict[str, Any] = {
    "v": 1,
    "kind": "access",
    "time": "2026-11-25T10:00:00.000Z",
    "outcome": "ok",
    "dataset": "quotient_familial",
    "fields": ["quotient_familial.mois", VALUE],
    "rules": [RULE],
}
RECORD = AccessRecord(7, ENTRY, {})


class Names:
    def organisation(self, siret: str) -> str | None:
        return None

    def dataset(self, name: str, language: Language) -> str | None:
        return "Quotient familial"

    def field(self, name: str, language: Language) -> str | None:
        return {VALUE: "Montant", "quotient_familial.mois": "Mois"}.get(name)

    def offered(self, parameter: str, *, organisation: str | None) -> Collection[str]:
        return ()


def test_the_row_says_of_which_fields_only_the_answer_left() -> None:
    assert Wording(Names(), "fr").row(RECORD).fields == "Mois\N{NO-BREAK SPACE}; Montant (réponse seulement)"
    assert Wording(Names(), "en").row(RECORD).fields == "Mois; Montant (answer only)"


def test_the_entry_in_full_gives_the_rule_as_it_is_written() -> None:
    lines = {line.label: line.values for line in Wording(Names(), "fr").lines(RECORD)}
    (said,) = lines["Réponses dérivées"]
    assert (said.text, said.code) == (
        "«\N{NO-BREAK SPACE}tranche\N{NO-BREAK SPACE}», sur\N{NO-BREAK SPACE}: Montant",
        RULE,
    )
    assert "rules" not in lines


def test_what_is_no_rule_breaks_no_page() -> None:
    for rules in ("x", [1, None], ["<b>"], [RULE[:-1]]):
        odd = AccessRecord(7, {**ENTRY, "rules": rules}, {})
        assert Wording(Names(), "fr").row(odd).fields == "Mois\N{NO-BREAK SPACE}; Montant"
        Wording(Names(), "fr").lines(odd)


def test_exports_and_the_siem_feed_have_the_rules() -> None:
    exported = dict(zip((one.name for one in ENTRY_COLUMNS), row(7, ENTRY, {}, columns=ENTRY_COLUMNS), strict=True))
    assert exported["rules"] == [RULE]
    event: Any = ocsf_event(RECORD, product_version="1", log_origin="accord.example/log")
    assert event["unmapped"]["rules"] == [RULE]
