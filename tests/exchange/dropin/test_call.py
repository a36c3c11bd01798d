"""What comes in at a drop-in door: bounded, parsed, and never a defect."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.dropin.call import Call, read_call
from openapi.problem import AccordError

BEARER = (b"authorization", b"Bearer accord_x")


def scope(query: bytes = b"", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"path": "/v3/dss/quotient_familial/identite", "query_string": query, "headers": list(headers)}


def read(query: bytes = b"", *headers: tuple[bytes, bytes]) -> Call:
    return read_call(scope(query, *headers), began=0)


def test_parameters_and_token_are_read_as_the_states_apis_read_them() -> None:
    call = read(b"prenoms%5B%5D=Jean&prenoms[]=Luc+Marie&recipient=1&recipient=2&vide=", BEARER)
    assert call.token == b"accord_x"
    assert call.parameters["prenoms[]"] == ("Jean", "Luc Marie")
    assert call.one("recipient") == "2"
    assert call.one("vide") == call.one("absent") == ""
    assert "Jean" not in repr(call)


@pytest.mark.parametrize(
    ("query", "headers", "slug"),
    [
        (b"a=" + b"x" * 9_000, (), "request_malformed"),
        (b"&".join([b"a=1"] * 100), (), "request_malformed"),
        (b"nomNaissance=%ff", (), "request_malformed"),
        (b"", (BEARER, BEARER), "application_token_missing"),
        (b"", ((b"authorization", b"Basic eA=="),), "application_token_missing"),
        (b"", ((b"authorization", b"Bearer "),), "application_token_missing"),
    ],
)
def test_what_cannot_be_read_is_refused(query: bytes, headers: tuple[tuple[bytes, bytes], ...], slug: str) -> None:
    with pytest.raises(AccordError) as caught:
        read(query, *headers)
    assert caught.value.slug == slug


@pytest.mark.parametrize("value", [b"", b" ", b"x" * 500, b"\xff", b"a\tb"])
def test_a_header_that_cannot_be_read_is_refused_by_its_name(value: bytes) -> None:
    with pytest.raises(AccordError) as caught:
        read(b"", (b"x-agent-id", value)).header(b"x-agent-id")
    assert (caught.value.slug, caught.value.facts["field"]) == ("request_malformed", "x-agent-id")


def test_a_header_sent_twice_is_refused_and_one_not_sent_is_none() -> None:
    assert read().header(b"x-agent-id") is None
    assert read(b"", (b"x-agent-id", b"agent-7")).header(b"x-agent-id") == "agent-7"
    with pytest.raises(AccordError):
        read(b"", (b"x-agent-id", b"a"), (b"x-agent-id", b"b")).header(b"x-agent-id")


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_whatever_is_sent_the_answer_is_a_call_or_a_refusal(query: bytes, authorization: bytes) -> None:
    assert answered(query, authorization) in ("call", "request_malformed", "application_token_missing")


def answered(query: bytes, authorization: bytes) -> str:
    try:
        read(query, (b"authorization", authorization))
    except AccordError as error:
        return error.slug
    return "call"
