import asyncio
import json
from typing import Any

import jwt
import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.authorization.forms import MAX_BYTES, parse_params, read_body
from consent.errors import OAuthError
from consent.ports import Refusal
from tests.consent.world import (
    CALLBACK,
    CITIZEN,
    DESCRIPTION,
    FIELDS,
    ISSUER,
    NOW,
    VERIFIER,
    World,
    changed_form,
    detail,
    refusal_alone,
)


def refused(answer: Any, code: str, named: str, *, status: int = 400) -> None:
    """The answer is RFC 6749's, for this reason, and is not kept by a cache."""
    body = answer.json()
    assert (answer.status_code, body["error"]) == (status, code), body
    assert body.keys() == {"error", "error_description"}
    assert body["error_description"].partition(":")[0] == named, body
    assert DESCRIPTION.fullmatch(body["error_description"])
    assert answer.headers["cache-control"] == "no-store"


def test_a_pushed_request_gets_a_request_uri(world: World) -> None:
    answer = world.http.post("/oauth/par", data=world.form())
    assert answer.status_code == 201
    assert answer.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert answer.json()["expires_in"] == 90
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("changed", "code", "named"),
    [
        ({"response_type": "token"}, "unsupported_response_type", "response_type"),
        ({"response_type": None}, "unsupported_response_type", "response_type"),
        ({"response_mode": "fragment"}, "invalid_request", "response_mode"),
        ({"redirect_uri": None}, "invalid_request", "redirect_uri"),
        ({"redirect_uri": CALLBACK + "/"}, "invalid_request", "redirect_uri"),
        ({"redirect_uri": CALLBACK + "?x=1"}, "invalid_request", "redirect_uri"),
        ({"redirect_uri": CALLBACK.upper()}, "invalid_request", "redirect_uri"),
        ({"redirect_uri": "https://portail.example.attacker.example/retour"}, "invalid_request", "redirect_uri"),
        ({"code_challenge": None}, "invalid_request", "code_challenge"),
        ({"code_challenge": VERIFIER}, "invalid_request", "code_challenge"),
        ({"code_challenge_method": "plain"}, "invalid_request", "code_challenge_method"),
        ({"code_challenge_method": None}, "invalid_request", "code_challenge_method"),
        ({"redirect_uri": CALLBACK + "\n"}, "invalid_request", "redirect_uri"),
        ({"state": "line\n"}, "invalid_request", "state"),
        ({"state": "\u00e9"}, "invalid_request", "state"),
        ({"state": "tab\t"}, "invalid_request", "state"),
        ({"state": "s" * 513}, "invalid_request", "state"),
        ({"request": "eyJ"}, "request_not_supported", "request"),
        ({"request_uri": "urn:x"}, "invalid_request", "request_uri"),
        ({"scope": "openid"}, "invalid_scope", "scope"),
        ({"authorization_details": None}, "invalid_authorization_details", "authorization_details"),
        ({"authorization_details": "[{}]"}, "invalid_authorization_details", "[0]"),
        ({"client_id": "autre-portail"}, "invalid_request", "client_id"),
    ],
)
def test_a_pushed_request_is_refused_by_the_parameter_that_fails(
    world: World, changed: dict[str, str | None], code: str, named: str
) -> None:
    refused(world.http.post("/oauth/par", data=changed_form(world.form(), changed)), code, named)


def test_unknown_and_empty_parameters_are_passed_over(world: World) -> None:
    world.push(nonce="n", prompt="consent", scope="", state="")


def test_what_the_registry_refuses_is_refused_with_its_reason(world: World) -> None:
    world.registry.refusal = Refusal("field_not_habilitated", {"fields": (FIELDS[0],)})
    answer = world.http.post("/oauth/par", data=world.form())
    refused(answer, "invalid_authorization_details", "field_not_habilitated")
    assert FIELDS[0] in answer.json()["error_description"]


@pytest.mark.parametrize("path", ["/oauth/par", "/oauth/token"])
def test_a_form_that_cannot_be_read_is_refused_in_oauths_own_words(world: World, path: str) -> None:
    form = "application/x-www-form-urlencoded"
    post = world.http.post
    refused(post(path, json={}), "invalid_request", "Content-Type")
    refused(post(path, files={"a": b"b"}), "invalid_request", "Content-Type")
    refused(post(path), "invalid_request", "Content-Type")
    refused(post(path, content=b"a=1&a=2", headers={"content-type": form}), "invalid_request", "the form")
    refused(post(path, content=b"a=%ff", headers={"content-type": form}), "invalid_request", "the form")
    refused(post(path, content=b"a=\xff", headers={"content-type": form}), "invalid_request", "the form")
    refused(post(path, content=b"a&" * 40, headers={"content-type": form}), "invalid_request", "the form")
    refused(post(path, data={"client_assertion": "x" * 8193}), "invalid_request", "client_assertion")
    too_large = b"a=" + b"x" * MAX_BYTES
    refused(post(path, content=too_large, headers={"content-type": form}), "invalid_request", "the form")
    streamed = iter([too_large[:40_000], too_large[40_000:]])
    refused(post(path, content=streamed, headers={"content-type": form}), "invalid_request", "the form")


@pytest.mark.parametrize("path", ["/oauth/par", "/oauth/token"])
def test_nothing_else_is_checked_before_the_application_is_known(world: World, path: str) -> None:
    refused(world.http.post(path, data={"x": "y"}), "invalid_client", "client_assertion", status=401)
    wrong = world.town.assertion(aud=[ISSUER])
    refused(world.http.post(path, data=world.town.proof(wrong)), "invalid_client", "aud", status=401)


def test_a_code_becomes_a_consent_token_once(world: World) -> None:
    code = world.agree(fields=(FIELDS[:1],))
    answer = world.redeem(code)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    members = {"access_token", "token_type", "expires_in", "refresh_token", "authorization_details", "grant_id"}
    assert body.keys() == members
    assert (body["token_type"], body["expires_in"], body["grant_id"]) == ("Bearer", 600, grant.grant_id)
    assert body["authorization_details"] == [detail(datatypes=list(FIELDS[:1]))]
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["authorization_details"] == body["authorization_details"]
    assert (claims["grant_id"], claims["status"]["status_list"]["idx"]) == (grant.grant_id, grant.status_index)


def test_a_code_used_twice_withdraws_the_grant(world: World) -> None:
    code = world.agree()
    assert world.redeem(code).status_code == 200
    refused(world.redeem(code, code_verifier="w" * 43), "invalid_grant", "code")
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    assert grant.status == "withdrawn"
    assert world.journal.kinds == ["grant.given", "grant.withdrawn"]
    assert world.feed.indexes == [grant.status_index]
    refused(world.redeem(code), "invalid_grant", "code")
    assert world.journal.kinds == ["grant.given", "grant.withdrawn"]


def test_a_code_replayed_long_after_still_withdraws_the_grant(world: World) -> None:
    code = world.agree()
    assert world.redeem(code).status_code == 200
    world.later(3600)
    late = world.town.assertion(iat=NOW + 3600, exp=NOW + 3660)
    refused(world.redeem(code, client_assertion=late), "invalid_grant", "code")
    assert world.desk.grants_of(CITIZEN.pseudonym)[0].status == "withdrawn"


def test_another_application_neither_uses_a_code_nor_ends_the_grant(world: World) -> None:
    code = world.agree()
    for _ in range(2):
        refused(world.redeem(code, **world.other.proof()), "invalid_grant", "code")
    assert world.redeem(code).status_code == 200
    refused(world.redeem(code, **world.other.proof()), "invalid_grant", "code")
    assert world.desk.grants_of(CITIZEN.pseudonym)[0].status == "active"


@pytest.mark.parametrize(
    ("changed", "code", "named"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type", "grant_type"),
        ({"grant_type": None}, "unsupported_grant_type", "grant_type"),
        ({"code": None}, "invalid_request", "code"),
        ({"code": "guess"}, "invalid_grant", "code"),
        ({"redirect_uri": None}, "invalid_request", "redirect_uri"),
        ({"redirect_uri": CALLBACK + "?depuis=creche"}, "invalid_grant", "redirect_uri"),
        ({"code_verifier": None}, "invalid_request", "code_verifier"),
        ({"code_verifier": VERIFIER[::-1]}, "invalid_grant", "code_verifier"),
        ({"code_verifier": "short"}, "invalid_grant", "code_verifier"),
        ({"code_verifier": "é" * 50}, "invalid_grant", "code_verifier"),
    ],
)
def test_a_token_request_is_refused_by_the_parameter_that_fails_and_leaves_the_code_usable(
    world: World, changed: dict[str, str | None], code: str, named: str
) -> None:
    good = world.agree()
    refused(world.http.post("/oauth/token", data=changed_form(world.token_form(good), changed)), code, named)
    assert world.redeem(good).status_code == 200


def test_a_code_expires_within_a_minute(world: World) -> None:
    code = world.agree()
    world.later(60)
    refused(world.redeem(code, client_assertion=world.town.assertion(exp=NOW + 120)), "invalid_grant", "code")


def test_no_token_is_made_from_a_withdrawn_grant(world: World) -> None:
    code = world.agree()
    (grant,) = world.desk.grants_of(CITIZEN.pseudonym)
    world.desk.withdraw(grant.grant_id, CITIZEN.pseudonym)
    refused(world.redeem(code), "invalid_grant", "grant")


def test_the_metadata_names_endpoints_that_answer(world: World) -> None:
    answer = world.http.get("/.well-known/oauth-authorization-server")
    body = answer.json()
    assert body["issuer"] == ISSUER
    assert body["require_pushed_authorization_requests"] is True
    assert body["authorization_response_iss_parameter_supported"] is True
    assert body["token_endpoint_auth_signing_alg_values_supported"] == ["ES256", "PS256"]
    for name in ("token_endpoint", "pushed_authorization_request_endpoint"):
        assert world.http.post(body[name].removeprefix(ISSUER)).status_code == 400
    keys = world.http.get(body["jwks_uri"].removeprefix(ISSUER)).json()["keys"]
    assert [key["kid"] for key in keys] == ["t2", "t1"]
    assert all("d" not in key for key in keys)


def test_the_contract_lists_every_status_and_no_validation_error_of_the_framework(world: World) -> None:
    document = world.app.openapi()
    forms = {path: item for path, item in document["paths"].items() if path.startswith("/oauth/")}
    assert "HTTPValidationError" not in json.dumps(forms)
    documented = {path: next(iter(operations.values()))["responses"] for path, operations in document["paths"].items()}
    assert documented["/oauth/par"].keys() == {"201", "400", "401", "408"}
    assert documented["/oauth/token"].keys() == {"200", "400", "401", "408", "503"}
    assert documented["/oauth/jwks"].keys() == {"200"}
    form = document["paths"]["/oauth/par"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
    assert {"redirect_uri", "code_challenge", "authorization_details"} <= set(form["schema"]["required"])


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text("a=&%;+ée0f", max_size=60).map(str.encode))
def test_hostile_bytes_in_a_form_raise_the_declared_error_and_nothing_else(body: bytes) -> None:
    with refusal_alone("invalid_request"):
        assert all(parse_params(body).values())


@pytest.mark.parametrize(("arrives", "status"), [("never", 408), ("broken off", 400)])
def test_a_form_that_does_not_arrive_is_not_waited_for(arrives: str, status: int) -> None:
    async def receive() -> dict[str, Any]:
        if arrives == "never":
            await asyncio.sleep(5)
        return {"type": "http.disconnect"}

    with pytest.raises(OAuthError) as refusal:
        asyncio.run(read_body(Request({"type": "http", "headers": []}, receive), within=0.01))
    assert refusal.value.status == status
