"""What a consent exchange asks besides its token: bounded, known, and what is personal never in a URL."""

import asyncio
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.asgi import Message
from exchange.model import Refusal
from exchange.question import MAX_BODY_BYTES, Question, question, read_body
from providers.manifest import manifests

_JOBS, _SCHOOL, _PLAIN = (manifests()[name] for name in ("demandeur_emploi", "scolarites", "quotient_familial"))


def _post(**members: object) -> bytes:
    return json.dumps(members).encode()


def test_a_get_names_fields_and_the_parameters_that_say_nothing_of_a_person() -> None:
    asked = question(
        b"fields=est_scolarise,echelon_bourse&anneeScolaire=2026-2027&degreEtablissement=2D", None, _SCHOOL
    )
    assert isinstance(asked, Question)
    assert asked.fields == ("est_scolarise", "echelon_bourse")
    assert asked.parameters == {"anneeScolaire": "2026-2027", "degreEtablissement": "2D"}


def test_a_post_names_them_in_its_body() -> None:
    body = _post(fields=["inscription.date_debut"], parameters={"identifiant": "zoe.canari"})
    assert question(b"", body, _JOBS) == Question(("inscription.date_debut",), (), {"identifiant": "zoe.canari"})


def test_what_is_personal_is_refused_in_a_url_even_when_it_is_right() -> None:
    refused = question(b"identifiant=zoe.canari", None, _JOBS)
    assert isinstance(refused, Refusal)
    assert refused.facts["field"] == "identifiant"
    assert "never in a URL" in str(refused.facts["expected"])
    assert "zoe" not in str(refused.facts)


@pytest.mark.parametrize(
    ("query", "body", "field"),
    [
        (b"", None, "identifiant"),
        (b"", b"{}", "identifiant"),
        (b"", _post(parameters={}), "identifiant"),
        (b"", _post(parameters={"identifiant": "Canari<script>"}), "identifiant"),
        (b"", _post(parameters={"identifiant": ""}), "identifiant"),
        (b"", _post(parameters={"identifiant": 3}), "parameters"),
        (b"", _post(parameters={"identifiant": "a", "Canari": "b"}), "parameters"),
        (b"", _post(parameters=["a"]), "parameters"),
        (b"", _post(fields="inscription.date_debut", parameters={"identifiant": "a"}), "fields"),
        (b"", _post(fields=[1], parameters={"identifiant": "a"}), "fields"),
        (b"", _post(fields=["a"] * 101, parameters={"identifiant": "a"}), "fields"),
        (b"", _post(canari=1), "body"),
        (b"", b"[]", "body"),
        (b"", b"", "body"),
        (b"", b"\xff", "body"),
        (b"fields=identifiant", _post(parameters={"identifiant": "a"}), "query"),
        (b"fields=identifiant&fields=identifiant", None, "query"),
        (b"Canari=1", None, "query"),
    ],
)
def test_a_wrong_question_is_told_which_part_and_nothing_of_it_is_repeated(
    query: bytes, body: bytes | None, field: str
) -> None:
    refused = question(query, body, _JOBS)
    assert isinstance(refused, Refusal)
    assert (refused.slug, refused.facts["field"]) == ("request_malformed", field)
    assert "anari" not in str(refused.facts)


def test_a_dataset_without_parameters_takes_none() -> None:
    assert isinstance(question(b"", _post(parameters={"identifiant": "a"}), _PLAIN), Refusal)
    assert question(b"", _post(fields=["quotient_familial.valeur"]), _PLAIN) == Question(("quotient_familial.valeur",))
    assert question(b"", None, _PLAIN) == Question()


def test_nothing_personal_is_in_its_representation() -> None:
    assert "zoe" not in repr(Question(parameters={"identifiant": "zoe"}))


@given(st.binary(max_size=60), st.none() | st.binary(max_size=60))
def test_whatever_comes_in_is_a_question_or_a_refusal(query: bytes, body: bytes | None) -> None:
    assert isinstance(question(query, body, _JOBS), Question | Refusal)


def _received(messages: Iterable[Message]) -> bytes | Refusal:
    left = iter(messages)

    async def receive() -> Message:
        return next(left)

    return asyncio.run(read_body(receive))


def test_a_body_is_put_together_and_bounded() -> None:
    part = {"type": "http.request", "body": b"x" * 1000, "more_body": True}
    assert _received([part, {"type": "http.request", "body": b"y"}]) == b"x" * 1000 + b"y"
    refused = _received([part] * 20)
    assert isinstance(refused, Refusal)
    assert (refused.slug, refused.facts["limit"]) == ("request_too_large", MAX_BODY_BYTES)
    assert isinstance(_received([part, {"type": "http.disconnect"}]), Refusal)
