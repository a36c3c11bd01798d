"""The stand-in behaves as FranceConnect's documentation says, refusals and lifetimes included."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import KeySet

from sandbox.franceconnect.provider import CODE_SECONDS, TOKEN_SECONDS
from tests.sandbox.conftest import ISSUER, OTHER_PARTNER, PARTNER, Clock

pytestmark = pytest.mark.enable_socket

SCOPES = "openid given_name family_name birthdate gender birthplace birthcountry preferred_username"
REQUEST = {
    "response_type": "code",
    "client_id": PARTNER.client_id,
    "redirect_uri": PARTNER.redirect_uris[0],
    "acr_values": "eidas1",
    "scope": SCOPES,
    "state": "s" * 22,
    "nonce": "n" * 22,
}


def log_in(client: TestClient, person: str = "anne", **changes: str) -> str:
    page = client.get("/api/v2/authorize", params={**REQUEST, **changes})
    assert page.status_code == 303
    back = client.post(urlsplit(page.headers["location"]).path, data={"person": person})
    assert back.status_code == 303
    return parse_qs(urlsplit(back.headers["location"]).query)["code"][0]


def redeem(client: TestClient, code: str, **changes: str) -> tuple[int, Mapping[str, object]]:
    form = {
        "grant_type": "authorization_code",
        "client_id": PARTNER.client_id,
        "client_secret": PARTNER.client_secret,
        "redirect_uri": PARTNER.redirect_uris[0],
        "code": code,
        **changes,
    }
    answer = client.post("/api/v2/token", data=form)
    return answer.status_code, answer.json()


def claims(client: TestClient, token: str) -> Mapping[str, object]:
    keys = KeySet.import_key_set(client.get("/api/v2/jwks").json())
    return jwt.decode(token, keys, algorithms=["ES256"]).claims


def userinfo(client: TestClient, person: str, **changes: str) -> Mapping[str, object]:
    _, tokens = redeem(client, log_in(client, person, **changes))
    answer = client.get("/api/v2/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert answer.headers["content-type"] == "application/jwt"
    return claims(client, answer.text)


def test_discovery_names_every_endpoint_under_the_issuer(client: TestClient) -> None:
    document = client.get("/api/v2/.well-known/openid-configuration").json()
    assert document["issuer"] == ISSUER
    endpoints = [value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))]
    assert len(endpoints) == 5
    assert all(value.startswith(ISSUER + "/") for value in endpoints)


def test_the_published_keys_are_public_only(client: TestClient) -> None:
    (key,) = client.get("/api/v2/jwks").json()["keys"]
    assert key["alg"] == "ES256"
    assert "d" not in key


def test_the_login_page_lists_the_people_and_lets_the_form_end_at_the_partner(client: TestClient) -> None:
    page = client.get(urlsplit(client.get("/api/v2/authorize", params=REQUEST).headers["location"]).path)
    assert re.findall(r'name="person" value="(\w+)"', page.text) == ["anne", "mona", "jean"]
    assert "form-action 'self' http://localhost:8000" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": "a" * 43},
        {"response_mode": "query"},
        {"client_id": "nobody"},
        {"redirect_uri": "http://localhost:8000/franceconnect/retour/"},
        {"state": "s" * 21},
        {"nonce": "n" * 21},
        {"nonce": ""},
        {"acr_values": ""},
        {"state": "s" * 4000},
    ],
)
def test_a_malformed_request_is_told_on_franceconnects_own_page(client: TestClient, changes: dict[str, str]) -> None:
    page = client.get("/api/v2/authorize", params={**REQUEST, **changes})
    assert page.status_code == 400
    assert "Y000400" in page.text


def test_a_parameter_given_twice_is_malformed(client: TestClient) -> None:
    page = client.get("/api/v2/authorize", params=[*REQUEST.items(), ("scope", "openid")])
    assert page.status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"acr_values": "eidas2"}, "invalid_request"),
        ({"prompt": "none"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "identite_pivot"}, "invalid_scope"),
        ({"scope": "openid phone"}, "invalid_scope"),
    ],
)
def test_a_refused_request_is_told_to_the_partner(client: TestClient, changes: dict[str, str], error: str) -> None:
    target = client.get("/api/v2/authorize", params={**REQUEST, **changes}).headers["location"]
    query = parse_qs(urlsplit(target).query)
    assert target.startswith(REQUEST["redirect_uri"])
    assert query["error"] == [error]
    assert query["state"] == [REQUEST["state"]]


def test_whoever_gives_up_is_sent_back_with_access_denied(client: TestClient) -> None:
    page = client.get("/api/v2/authorize", params=REQUEST)
    back = client.post(urlsplit(page.headers["location"]).path, data={"abandon": "1"})
    query = parse_qs(urlsplit(back.headers["location"]).query)
    assert query["error"] == ["access_denied"]
    assert query["state"] == [REQUEST["state"]]


def test_a_login_page_serves_once(client: TestClient) -> None:
    path = urlsplit(client.get("/api/v2/authorize", params=REQUEST).headers["location"]).path
    assert client.post(path, data={"person": "anne"}).status_code == 303
    assert client.post(path, data={"person": "anne"}).status_code == 400


def test_an_unknown_person_cannot_log_in(client: TestClient) -> None:
    path = urlsplit(client.get("/api/v2/authorize", params=REQUEST).headers["location"]).path
    assert client.post(path, data={"person": "nobody"}).status_code == 400


def test_a_form_beyond_the_bound_is_refused(client: TestClient) -> None:
    assert client.post("/api/v2/token", data={"code": "x" * 20_000}).status_code == 400


def test_the_id_token_carries_the_nonce_and_lives_a_minute(client: TestClient, clock: Clock) -> None:
    status, tokens = redeem(client, log_in(client))
    assert status == 200
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == TOKEN_SECONDS
    found = claims(client, str(tokens["id_token"]))
    assert found["iss"] == ISSUER
    assert found["aud"] == PARTNER.client_id
    assert found["nonce"] == REQUEST["nonce"]
    assert found["acr"] == "eidas1"
    assert found["exp"] == int(clock.now) + TOKEN_SECONDS


def test_a_code_serves_once(client: TestClient) -> None:
    code = log_in(client)
    assert redeem(client, code)[0] == 200
    assert redeem(client, code)[1]["error"] == "invalid_grant"


def test_a_code_lives_thirty_seconds(client: TestClient, clock: Clock) -> None:
    code = log_in(client)
    clock.now += CODE_SECONDS
    assert redeem(client, code)[1]["error"] == "invalid_grant"


def test_a_code_is_the_partners_it_was_made_for(client: TestClient) -> None:
    code = log_in(client)
    _, answer = redeem(client, code, client_id=OTHER_PARTNER.client_id, client_secret=OTHER_PARTNER.client_secret)
    assert answer["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": "é"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"redirect_uri": "http://localhost:8000/elsewhere"}, 400, "invalid_grant"),
    ],
)
def test_the_token_endpoint_refuses(client: TestClient, changes: dict[str, str], status: int, error: str) -> None:
    found = redeem(client, log_in(client), **changes)
    assert found[0] == status
    assert found[1]["error"] == error


def test_an_access_token_lives_a_minute(client: TestClient, clock: Clock) -> None:
    _, tokens = redeem(client, log_in(client))
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert client.get("/api/v2/userinfo", headers=bearer).status_code == 200
    clock.now += TOKEN_SECONDS
    assert client.get("/api/v2/userinfo", headers=bearer).status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer unknown", "Basic abc"])
def test_userinfo_without_a_living_token_is_unauthorised(client: TestClient, header: str) -> None:
    assert client.get("/api/v2/userinfo", headers={"Authorization": header}).status_code == 401


def test_userinfo_is_the_signed_pivot_identity(client: TestClient) -> None:
    found = userinfo(client, "anne")
    assert found["iss"] == ISSUER
    assert found["aud"] == PARTNER.client_id
    assert found["given_name"] == "Anne Lise"
    assert found["given_name_array"] == ["Anne", "Lise"]
    assert found["family_name"] == "MARCEAU"
    assert found["preferred_username"] == "DURIVAGE"
    assert found["birthplace"] == "2A004"


def test_someone_born_abroad_has_an_empty_birthplace(client: TestClient) -> None:
    found = userinfo(client, "mona")
    assert found["birthcountry"] == "99127"
    assert found["birthplace"] == ""


def test_an_unknown_month_and_day_of_birth_are_zeros(client: TestClient) -> None:
    assert userinfo(client, "jean")["birthdate"] == "1951-00-00"


def test_a_scope_opens_its_own_claims_only(client: TestClient) -> None:
    identity = userinfo(client, "anne", scope="openid gender").keys() - {"sub", "aud", "iss", "iat", "exp"}
    assert identity == {"gender"}


def test_the_pivot_scope_leaves_out_the_name_in_use(client: TestClient) -> None:
    assert "preferred_username" not in userinfo(client, "anne", scope="openid identite_pivot")


def test_two_partners_see_two_subjects_and_one_partner_always_the_same(client: TestClient) -> None:
    first, again = userinfo(client, "anne")["sub"], userinfo(client, "anne")["sub"]
    code = log_in(client, client_id=OTHER_PARTNER.client_id)
    _, tokens = redeem(client, code, client_id=OTHER_PARTNER.client_id, client_secret=OTHER_PARTNER.client_secret)
    assert first == again
    assert re.fullmatch(r"[0-9a-f]{64}v1", str(first))
    assert claims(client, str(tokens["id_token"]))["sub"] != first


def test_logout_returns_to_the_partner_with_its_state(client: TestClient, clock: Clock) -> None:
    _, tokens = redeem(client, log_in(client))
    clock.now += 3600
    query = {
        "id_token_hint": str(tokens["id_token"]),
        "post_logout_redirect_uri": PARTNER.post_logout_redirect_uris[0],
        "state": "st",
    }
    answer = client.get("/api/v2/session/end", params=query)
    assert answer.headers["location"] == "http://localhost:8000/?state=st"


@pytest.mark.parametrize(
    "changes",
    [
        {"id_token_hint": ""},
        {"id_token_hint": "a.b.c"},
        {"post_logout_redirect_uri": "http://localhost:8000/x"},
        {"state": ""},
    ],
)
def test_logout_needs_its_hint_its_registered_url_and_its_state(client: TestClient, changes: dict[str, str]) -> None:
    _, tokens = redeem(client, log_in(client))
    query = {
        "id_token_hint": str(tokens["id_token"]),
        "post_logout_redirect_uri": PARTNER.post_logout_redirect_uris[0],
        "state": "st",
        **changes,
    }
    assert client.get("/api/v2/session/end", params=query).status_code == 400
