"""The stand-in's ``/checktoken`` over real HTTP: to the State's schema and tests, and as Accord's client reads it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jsonschema
import pytest
from fastapi import FastAPI
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from consent.checktoken import CheckedToken, TokenChecker
from consent.config import FranceConnectConfig
from openapi.problem import AccordError
from sandbox.franceconnect import DataProvider, Provider, router
from sandbox.franceconnect.provider import TOKEN_SECONDS
from sandbox.servers import sandbox_running
from tests.sandbox.conftest import OTHER_PARTNER, PARTNER, PEOPLE, Clock, free_port
from tests.sandbox.test_franceconnect import REQUEST
from tests.thirdparty.franceconnect_browser import Browser

pytestmark = pytest.mark.enable_socket

SECRET = "a-data-providers-secret-of-this-test"
SCOPE = "openid identite_pivot cnaf_quotient_familial dgfip_rfr"
PRIVATE = {"by-ec": ECKey.generate_key("P-256"), "by-rsa": RSAKey.generate_key(2048)}
SCOPES = {"by-ec": ("cnaf_quotient_familial", "cnaf_enfants"), "by-rsa": ("dgfip_rfr",)}
CLOCK = Clock()


def registered(client_id: str) -> DataProvider:
    public = type(PRIVATE[client_id]).import_key(PRIVATE[client_id].as_dict(private=False))
    return DataProvider(client_id, SECRET, public, SCOPES[client_id])


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    port = free_port()
    issuer = f"http://127.0.0.1:{port}/api/v2"
    asking = [registered(name) for name in PRIVATE]
    provider = Provider(issuer, partners=[PARTNER, OTHER_PARTNER], people=PEOPLE, data_providers=asking, clock=CLOCK)
    app = FastAPI()
    app.include_router(router(provider), prefix="/api/v2")
    with sandbox_running(app, port=port):
        yield issuer


def access_token(issuer: str, person: str = "anne", scope: str = SCOPE) -> str:
    """What the application has in hand after a login."""
    with Browser(issuer) as browser:
        code = browser.log_in(f"{issuer}/authorize?{urlencode(REQUEST | {'scope': scope})}", person=person)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": PARTNER.redirect_uris[0]}
    form |= {"client_id": PARTNER.client_id, "client_secret": PARTNER.client_secret}
    return str(httpx.post(f"{issuer}/token", data=form, trust_env=False).json()["access_token"])


def ask(issuer: str, form: Mapping[str, str] | str) -> httpx.Response:
    content = form if isinstance(form, str) else urlencode(form)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return httpx.post(f"{issuer}/checktoken", content=content, headers=headers, trust_env=False)


def form_of(token: str, client_id: str = "by-ec") -> dict[str, str]:
    return {"token": token, "client_id": client_id, "client_secret": SECRET}


def opened(
    issuer: str, answer: httpx.Response, client_id: str = "by-ec"
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The two headers, of the JWE and of the JWS, and the payload."""
    kinds = ["ECDH-ES", "RSA-OAEP-256", "A256GCM"]
    outer = jwe.decrypt_compact(answer.text, PRIVATE[client_id], algorithms=kinds)
    keys = KeySet.import_key_set(httpx.get(f"{issuer}/jwks", trust_env=False).json())
    inner = jwt.decode(outer.plaintext or b"", keys, algorithms=["ES256"])
    return [outer.headers(), inner.header], inner.claims


def check(issuer: str, token: str, client_id: str = "by-ec", **changes: Any) -> CheckedToken:
    """As Accord asks."""
    config = FranceConnectConfig(issuer, changes.get("asks_as", client_id), changes.get("secret", SECRET))
    with closing(TokenChecker(config, KeySet([PRIVATE[client_id]]), clock=CLOCK)) as checker:
        return checker.check(token)


def refusal(issuer: str, token: str, **changes: Any) -> str:
    with pytest.raises(AccordError) as caught:
        check(issuer, token, **changes)
    return f"{caught.value.slug} {caught.value.facts.get('check', '')}".strip()


@pytest.mark.parametrize("person", ["anne", "mona"])
def test_the_payload_is_of_the_states_schema(issuer: str, reference: Path, person: str) -> None:
    schema = json.loads((reference / "franceconnect" / "france_connect_json_schema.json").read_text())
    _, payload = opened(issuer, ask(issuer, form_of(access_token(issuer, person))))
    jsonschema.validate(payload, schema)
    # The schema allows more; FranceConnect gives no more than this.
    assert payload.keys() == schema["properties"].keys()
    assert payload["token_introspection"].keys() == schema["properties"]["token_introspection"]["properties"].keys()


@pytest.mark.parametrize(
    ("client_id", "header"),
    [("by-ec", {"alg": "ECDH-ES", "enc": "A256GCM"}), ("by-rsa", {"alg": "RSA-OAEP-256", "enc": "A256GCM"})],
)
def test_the_answer_has_the_headers_that_franceconnects_own_tests_ask_for(
    issuer: str, client_id: str, header: dict[str, str]
) -> None:
    answer = ask(issuer, form_of(access_token(issuer), client_id))
    (outer, inner), payload = opened(issuer, answer, client_id)
    assert answer.headers["content-type"] == "application/token-introspection+jwt"
    assert outer.keys() - {"epk"} == header.keys()
    assert outer.items() >= header.items()
    assert inner.keys() == {"alg", "kid"}
    assert (payload["iss"], payload["aud"], payload["iat"]) == (issuer, client_id, int(CLOCK()))


def test_the_introspection_names_the_token_the_application_and_the_scopes_of_who_asks(issuer: str) -> None:
    token = access_token(issuer)
    answers = [opened(issuer, ask(issuer, form_of(token, name)), name)[1] for name in PRIVATE]
    told = [answer["token_introspection"] for answer in answers]
    assert [one["jti"] for one in told] == [token, token]
    assert [one["aud"] for one in told] == [PARTNER.client_id, PARTNER.client_id]
    assert [one["scope"] for one in told] == ["cnaf_quotient_familial", "dgfip_rfr"]
    assert told[0]["sub"] != told[1]["sub"]
    assert told[0]["exp"] - told[0]["iat"] == TOKEN_SECONDS


def test_an_inactive_token_is_told_with_status_200_and_nothing_else(issuer: str) -> None:
    answer = ask(issuer, form_of("unknown"))
    assert answer.status_code == 200
    assert opened(issuer, answer)[1]["token_introspection"] == {"active": False}


@pytest.mark.parametrize("change", [{"token": ""}, {"client_id": ""}, {"client_secret": ""}, {"scope": "openid"}])
def test_a_request_without_its_three_parameters_or_with_another_is_malformed(
    issuer: str, change: dict[str, str]
) -> None:
    answer = ask(issuer, form_of("unknown") | change)
    expected = {"error": "invalid_request", "error_description": "Required parameter missing or invalid."}
    assert (answer.status_code, answer.json()) == (400, expected)
    assert ask(issuer, urlencode(form_of("unknown")) + "&token=again").json() == expected


@pytest.mark.parametrize(
    "change",
    [
        {"client_secret": "wrong"},
        {"client_secret": "é"},
        {"client_id": "nobody"},
        {"client_id": PARTNER.client_id, "client_secret": PARTNER.client_secret},
    ],
    ids=["wrong secret", "not ASCII", "unknown", "a service provider"],
)
def test_who_is_no_data_provider_is_told_nothing(issuer: str, change: dict[str, str]) -> None:
    answer = ask(issuer, form_of(access_token(issuer)) | change)
    expected = {"error": "invalid_client", "error_description": "Client authentication failed."}
    assert (answer.status_code, answer.json()) == (401, expected)


@pytest.mark.parametrize("client_id", ["by-ec", "by-rsa"])
def test_accord_learns_who_she_is_for_which_application_and_until_when(issuer: str, client_id: str) -> None:
    checked = check(issuer, access_token(issuer), client_id)
    expected = PEOPLE[0].identity.to_claims()
    # The civil register does not know the name in use.
    del expected["preferred_username"]
    assert checked.identity.to_claims() == expected
    assert checked.client_id == PARTNER.client_id
    assert set(checked.scopes) <= set(SCOPES[client_id])
    assert checked.expires_at == int(CLOCK()) + TOKEN_SECONDS


def test_accord_learns_of_someone_born_abroad_whatever_the_application_asked_to_see(issuer: str) -> None:
    checked = check(issuer, access_token(issuer, "mona", "openid cnaf_quotient_familial"))
    assert checked.identity == PEOPLE[1].identity
    assert checked.scopes == ("cnaf_quotient_familial",)


def test_accord_refuses_a_token_that_was_never_issued(issuer: str) -> None:
    assert refusal(issuer, "never-issued") == "franceconnect_token_inactive"


def test_accord_refuses_a_token_after_its_minute(issuer: str) -> None:
    token = access_token(issuer)
    assert check(issuer, token).client_id == PARTNER.client_id
    CLOCK.now += TOKEN_SECONDS
    assert refusal(issuer, token) == "franceconnect_token_inactive"


def test_accord_with_a_wrong_secret_says_that_its_credentials_failed(issuer: str) -> None:
    assert refusal(issuer, access_token(issuer), secret="wrong") == "franceconnect_answer_invalid credentials"


def test_accord_cannot_read_what_is_for_another_data_provider(issuer: str) -> None:
    found = refusal(issuer, access_token(issuer), asks_as="by-rsa")
    assert found == "franceconnect_answer_invalid encryption"


def test_a_scope_of_no_data_provider_cannot_be_asked_for(issuer: str) -> None:
    url = f"{issuer}/authorize?{urlencode(REQUEST | {'scope': 'openid cnous_email'})}"
    answer = httpx.get(url, trust_env=False)
    assert answer.is_redirect
    assert "error=invalid_scope" in answer.headers["location"]
