"""Refusals on drop-in paths: every problem that can occur, in the State's own codes and words."""

from pathlib import Path

import orjson
import pytest
import yaml

from exchange.dropin.errors import Fault, ParametersRefused, errors_of, provider_of, refused, table
from openapi.problem import AccordError, problem, problems

CNAV = provider_of("/v3/dss/quotient_familial/identite")
ELSEWHERE = (
    "login_",
    "proconnect_",
    "agent_login_",
    "auditor_",
    "audit_",
    "session_",
    "form_",
    "bundle_",
    "status_list_",
)
"""Problems of pages, of logins, of the auditors' API: no drop-in path raises them."""
ALSO_ELSEWHERE = {"not_acceptable", "request_from_another_site"}
STATUSES = {401, 403, 404, 405, 409, 413, 422, 429, 451, 500, 502, 503, 504}


def test_every_problem_that_a_drop_in_path_can_answer_has_a_row() -> None:
    possible = {slug for slug in problems() if not slug.startswith(ELSEWHERE)} - ALSO_ELSEWHERE
    assert possible - table()["slug"].keys() == set()
    assert table()["slug"].keys() - problems().keys() == set()


def test_every_answer_has_the_shape_of_the_states_and_a_status_of_its_own() -> None:
    for slug in table()["slug"]:
        said = refused(AccordError(slug, retry_in=7, provider="x"), provider=CNAV)
        (error,) = orjson.loads(said.body)["errors"]
        assert error.keys() == {"code", "title", "detail", "source", "meta"}
        assert len(error["code"]) == 5
        assert error["title"]
        assert error["detail"]
        assert said.status in STATUSES, slug


def test_codes_and_titles_are_those_of_the_states_table(reference: Path) -> None:
    rows = yaml.safe_load((reference / "errors.yml").read_text())
    by_code = {row.get("code", row.get("subcode")): row for row in rows}
    ours = {"00429", "00501"} | {"50001", "50002", "50003", "51999"}
    for kind in ("code", "subcode"):
        for code, words in table()[kind].items():
            if code not in by_code:
                assert code in ours, code
                continue
            assert words["title"] == by_code[code].get("title", words["title"]), code
            source = by_code[code].get("source") or {}
            assert source.get("parameter", words.get("parameter")) == words.get("parameter"), code
    assert {row["code"] for row in table()["parameter"].values()} <= table()["code"].keys()


def test_each_bad_parameter_is_an_error_of_its_own_and_its_value_is_nowhere() -> None:
    error = ParametersRefused([Fault("recipient", is_missing=True), Fault("recipient"), Fault("sexeEtatCivil")])
    said = refused(error, provider=CNAV)
    codes = [(one["code"], one["source"]["parameter"]) for one in orjson.loads(said.body)["errors"]]
    assert said.status == 422
    assert codes == [("00203", "recipient"), ("00210", "recipient"), ("00427", "sexeEtatCivil")]
    assert error.facts == {"parameters": ("recipient", "sexeEtatCivil")}


def test_a_holders_error_carries_the_holders_prefix_and_name() -> None:
    (unknown,) = errors_of(AccordError("citizen_unknown_to_holder", provider="api_particulier"), provider=CNAV)
    assert (unknown["code"], unknown["meta"]) == ("37003", {"provider": "CNAV"})
    student = provider_of("/v4/cnous/etudiant_boursier/identite")
    (failed,) = errors_of(AccordError("holder_failed", provider="api_particulier", retry_in=60), provider=student)
    assert (failed["code"], failed["meta"]) == ("26999", {"provider": "CNOUS"})
    (elsewhere,) = errors_of(AccordError("holder_failed", provider="x"), provider=provider_of("/v3/nobody/x"))
    assert (elsewhere["code"], elsewhere["meta"]) == ("00999", {})


@pytest.mark.parametrize("slug", ["ground_missing", "habilitation_missing", "delegation_missing", "token_expired"])
def test_what_only_accord_can_explain_is_said_in_its_own_french_words(slug: str) -> None:
    (error,) = errors_of(AccordError(slug, grounds=("agent", "consent")), provider=CNAV)
    document = problem(slug).document({"grounds": ("agent", "consent")}, base="", language="fr")
    assert error["detail"] == document["detail"]
    assert "consentement" not in str(error["detail"]) or "agent, consent" in str(error["detail"])


def test_waiting_times_are_told_where_waiting_helps() -> None:
    said = refused(AccordError("rate_limited", retry_in=3))
    assert (said.status, said.retry_in) == (429, 3)
    assert orjson.loads(said.body)["errors"][0]["meta"] == {"retry_in": 3}
    assert refused(AccordError("ground_missing")).retry_in is None


def test_a_problem_without_a_row_is_said_by_its_status() -> None:
    said = refused(AccordError("auditor_not_allowed"))
    assert (said.status, orjson.loads(said.body)["errors"][0]["code"]) == (403, "00100")
    assert refused(AccordError("no_such_slug")).status == 500
