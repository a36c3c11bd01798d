"""The FAPI 2.0 Security Profile (final), one test for each conformance module that applies (``docs/fapi2.md``).

The application here is registered with ``sender_constraint = "dpop"`` and authenticates with ``private_key_jwt``.
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from secrets import token_urlsafe
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi.testclient import TestClient
from joserfc.jwk import ECKey

from consent.routes import CERTIFICATE, INTROSPECTION_JWT
from tests.consent.world import (
    CALLBACK,
    CITIZEN,
    FIELDS,
    ISSUER,
    NOTICE,
    NOW,
    VERIFIER,
    World,
    challenge,
    detail,
    public_jwk,
)

DAY = 86_400


@dataclass
class Fapi:
    """The town's application, its DPoP key, and the authority."""

    world: World
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def jkt(self) -> str:
        return ECKey.import_key(public_jwk(self.key)).thumbprint()

    def proof(self, path: str, *, method: str = "POST", key: Any = None, token: str | None = None, **more: Any) -> str:
        signer = key or self.key
        claims = {"jti": token_urlsafe(8), "htm": method, "htu": ISSUER + path, "iat": self.world.clock.now} | more
        if token is not None:
            claims["ath"] = urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        headers = {"typ": "dpop+jwt", "jwk": public_jwk(signer)}
        return jwt.encode(claims, signer, algorithm="ES256", headers=headers)

    def post(self, path: str, form: Mapping[str, str], *, dpop: str | None = "") -> Any:
        """``dpop``: a proof, none when ``None``, a right one by default."""
        proof = self.proof(path) if dpop == "" else dpop
        headers = {} if proof is None else {"DPoP": proof}
        return self.world.http.post(path, data=dict(form), headers=headers)

    def mine(self, **form: str) -> dict[str, str]:
        now = self.world.clock.now
        return {**self.world.town.proof(self.world.town.assertion(iat=now, exp=now + 60)), **form}

    def push(self, *, dpop: str | None = None, **changed: str | None) -> Any:
        return self.post("/oauth/par", self.world.form(**changed), dpop=dpop)

    def code(self, *, dpop: str | None = None, **changed: str | None) -> str:
        pushed = self.push(dpop=dpop, **changed)
        assert pushed.status_code == 201, pushed.text
        return self.world.agree(pushed.json()["request_uri"])

    def redeem(self, code: str, *, dpop: str | None = "", **changed: str | None) -> Any:
        return self.post("/oauth/token", self.world.token_form(code, **changed), dpop=dpop)

    def token(self) -> dict[str, Any]:
        answer = self.redeem(self.code())
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def refresh(self, token: str, *, dpop: str | None = "") -> Any:
        return self.post("/oauth/token", self.mine(grant_type="refresh_token", refresh_token=token), dpop=dpop)

    def own_token(self, scope: str) -> str:
        answer = self.post("/oauth/token", self.mine(grant_type="client_credentials", scope=scope))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@pytest.fixture
def fapi(world: World) -> Fapi:
    bound = replace(world.town.client, sender_constraint="dpop")
    world.registry.clients[bound.client_id] = bound
    world.town = replace(world.town, client=bound)
    return Fapi(world)


def refused(answer: Any, code: str, named: str, *, status: int = 400) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert answer.json()["error_description"].partition(":")[0] == named, answer.text
    assert answer.headers["cache-control"] == "no-store"


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


# The happy flow and what it returns


def test_a_token_is_bound_to_the_key_that_its_request_proved(fapi: Fapi) -> None:
    body = fapi.token()
    assert body["token_type"] == "DPoP"
    assert claims_of(body["access_token"])["cnf"] == {"jkt": fapi.jkt}


def test_the_metadata_says_what_fapi2_asks_of_it(fapi: Fapi) -> None:
    body = fapi.world.http.get("/.well-known/oauth-authorization-server").json()
    assert body["issuer"] == ISSUER
    assert body["require_pushed_authorization_requests"] is True
    assert body["authorization_response_iss_parameter_supported"] is True
    assert body["code_challenge_methods_supported"] == ["S256"]
    assert body["dpop_signing_alg_values_supported"] == ["ES256", "PS256"]
    assert "none" not in json.dumps(body["token_endpoint_auth_signing_alg_values_supported"])
    assert {"private_key_jwt", "self_signed_tls_client_auth"} == set(body["token_endpoint_auth_methods_supported"])
    assert body["authorization_details_types_supported"] == ["urn:accord:quotient_familial", "urn:accord:revenu_fiscal"]
    resource = fapi.world.http.get("/.well-known/oauth-protected-resource").json()
    assert resource["resource"] == ISSUER
    assert resource["authorization_servers"] == [ISSUER]


def test_a_request_without_state_comes_back_without_one(fapi: Fapi) -> None:
    assert fapi.push(state=None).status_code == 201


@pytest.mark.parametrize("length", [128, 512])
def test_a_long_state_comes_back_whole(fapi: Fapi, length: int) -> None:
    assert fapi.push(state="s" * length).status_code == 201


def test_an_unknown_parameter_such_as_nonce_or_claims_is_passed_over(fapi: Fapi) -> None:
    assert fapi.push(nonce="n" * 64, claims="{}").status_code == 201


# DPoP at the token endpoint


def test_without_a_proof_the_refusal_says_that_the_proof_is_missing(fapi: Fapi) -> None:
    code = fapi.code()
    refused(fapi.redeem(code, dpop=None), "invalid_dpop_proof", "DPoP")
    assert fapi.redeem(code).status_code == 200


def test_a_proof_serves_once(fapi: Fapi) -> None:
    proof = fapi.proof("/oauth/token")
    assert fapi.redeem(fapi.code(), dpop=proof).status_code == 200
    refused(fapi.redeem(fapi.code(), dpop=proof), "invalid_dpop_proof", "jti")


@pytest.mark.parametrize("seconds", [-10, 10])
def test_a_proof_made_ten_seconds_before_or_after_is_accepted(fapi: Fapi, seconds: int) -> None:
    assert fapi.redeem(fapi.code(), dpop=fapi.proof("/oauth/token", iat=NOW + seconds)).status_code == 200


def test_exp_and_nbf_of_a_proof_are_checked_when_they_are_there(fapi: Fapi) -> None:
    code = fapi.code()
    refused(fapi.redeem(code, dpop=fapi.proof("/oauth/token", exp=NOW - 1)), "invalid_dpop_proof", "exp")
    refused(fapi.redeem(code, dpop=fapi.proof("/oauth/token", nbf=NOW + 90)), "invalid_dpop_proof", "nbf")
    assert fapi.redeem(code, dpop=fapi.proof("/oauth/token", exp=NOW + 30, nbf=NOW)).status_code == 200


@pytest.mark.parametrize(
    ("named", "changed"),
    [
        ("htm", {"htm": "GET"}),
        ("htu", {"htu": ISSUER + "/oauth/par"}),
        ("iat", {"iat": NOW - 300}),
        ("jti", {"jti": ""}),
    ],
)
def test_a_wrong_proof_leaves_the_code_usable(fapi: Fapi, named: str, changed: dict[str, Any]) -> None:
    code = fapi.code()
    refused(fapi.redeem(code, dpop=fapi.proof("/oauth/token", **changed)), "invalid_dpop_proof", named)
    assert fapi.redeem(code).status_code == 200


def test_two_proofs_at_once_are_refused(fapi: Fapi) -> None:
    form, proofs = fapi.world.token_form(fapi.code()), [fapi.proof("/oauth/token"), fapi.proof("/oauth/token")]
    headers = httpx2.Headers([("DPoP", proof) for proof in proofs])
    refused(fapi.world.http.post("/oauth/token", data=form, headers=headers), "invalid_dpop_proof", "DPoP")


# dpop_jkt and proofs at the PAR endpoint


def test_a_code_is_bound_to_the_key_named_by_dpop_jkt(fapi: Fapi) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    code = fapi.code(dpop_jkt=fapi.jkt)
    refused(fapi.redeem(code, dpop=fapi.proof("/oauth/token", key=other)), "invalid_grant", "dpop_jkt")
    assert fapi.redeem(code).status_code == 200


def test_a_code_is_bound_to_the_key_proved_at_the_par_endpoint(fapi: Fapi) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    code = fapi.code(dpop=fapi.proof("/oauth/par"))
    refused(fapi.redeem(code, dpop=fapi.proof("/oauth/token", key=other)), "invalid_grant", "dpop_jkt")
    assert fapi.redeem(code).status_code == 200


def test_dpop_jkt_and_the_proof_at_the_par_endpoint_must_agree(fapi: Fapi) -> None:
    other = ECKey.import_key(public_jwk(ec.generate_private_key(ec.SECP256R1()))).thumbprint()
    refused(fapi.push(dpop=fapi.proof("/oauth/par"), dpop_jkt=other), "invalid_dpop_proof", "dpop_jkt")
    refused(fapi.push(dpop_jkt="short"), "invalid_request", "dpop_jkt")
    assert fapi.push(dpop=fapi.proof("/oauth/par"), dpop_jkt=fapi.jkt).status_code == 201


# Nonces


def test_where_a_nonce_is_required_the_refusal_brings_it_and_the_answer_too(fapi: Fapi) -> None:
    world = fapi.world
    strict = Fapi(
        World(replace(world.config, dpop_nonce_required=True), world.store, world.registry, world.town, world.other),
        fapi.key,
    )
    first = strict.push(dpop=strict.proof("/oauth/par"))
    refused(first, "use_dpop_nonce", "nonce")
    nonce = first.headers["dpop-nonce"]
    second = strict.push(dpop=strict.proof("/oauth/par", nonce=nonce))
    assert (second.status_code, second.headers["dpop-nonce"]) == (201, nonce)


# The pushed request


def test_a_request_uri_in_a_pushed_request_is_refused(fapi: Fapi) -> None:
    refused(fapi.push(request_uri="urn:x"), "invalid_request", "request_uri")


@pytest.mark.parametrize("response_type", ["code id_token", "token", "id_token", None])
def test_no_response_type_but_code(fapi: Fapi, response_type: str | None) -> None:
    refused(fapi.push(response_type=response_type), "unsupported_response_type", "response_type")


@pytest.mark.parametrize("redirect_uri", [None, CALLBACK + "/", "https://evil.example/retour"])
def test_no_redirect_uri_but_a_registered_one(fapi: Fapi, redirect_uri: str | None) -> None:
    refused(fapi.push(redirect_uri=redirect_uri), "invalid_request", "redirect_uri")


def test_pkce_is_required_and_never_plain(fapi: Fapi) -> None:
    refused(fapi.push(code_challenge=None), "invalid_request", "code_challenge")
    refused(fapi.push(code_challenge_method=None), "invalid_request", "code_challenge_method")
    refused(
        fapi.push(code_challenge_method="plain", code_challenge=VERIFIER), "invalid_request", "code_challenge_method"
    )


def test_the_code_verifier_is_required_and_must_match(fapi: Fapi) -> None:
    code = fapi.code()
    refused(fapi.redeem(code, code_verifier=None), "invalid_request", "code_verifier")
    refused(fapi.redeem(code, code_verifier="w" * 43), "invalid_grant", "code_verifier")
    assert fapi.redeem(code).status_code == 200


def test_no_verb_but_post_at_the_par_endpoint(fapi: Fapi) -> None:
    for verb in ("get", "put", "delete", "patch"):
        assert getattr(fapi.world.http, verb)("/oauth/par").status_code == 405


def test_a_parameter_sent_twice_is_refused(fapi: Fapi) -> None:
    form = [*fapi.world.form().items(), ("state", "again")]
    body = "&".join(f"{name}={httpx2.QueryParams({'v': value})['v']}" for name, value in form if name == "state")
    answer = fapi.world.http.post(
        "/oauth/par", content=body, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    refused(answer, "invalid_request", "the form")


def test_a_request_uri_may_be_shown_again_until_the_citizen_decides_and_never_after(fapi: Fapi) -> None:
    request_uri = fapi.push().json()["request_uri"]
    mine = fapi.world.town.client.client_id
    assert fapi.world.desk.pending(mine, request_uri) == fapi.world.desk.pending(mine, request_uri)
    fapi.world.agree(request_uri)
    with pytest.raises(Exception, match="request_uri"):
        fapi.world.desk.pending(mine, request_uri)


def test_a_request_uri_expires_and_is_its_applications_alone(fapi: Fapi) -> None:
    request_uri = fapi.push().json()["request_uri"]
    with pytest.raises(Exception, match="request_uri"):
        fapi.world.desk.pending(fapi.world.other.client.client_id, request_uri)
    fapi.world.later(91)
    with pytest.raises(Exception, match="request_uri"):
        fapi.world.desk.pending(fapi.world.town.client.client_id, request_uri)


# Client authentication


@pytest.mark.parametrize("path", ["/oauth/par", "/oauth/token", "/oauth/introspect", "/oauth/revoke"])
def test_every_endpoint_wants_the_application_to_authenticate(fapi: Fapi, path: str) -> None:
    refused(
        fapi.world.http.post(path, data={"client_id": "portail-famille"}),
        "invalid_client",
        "client_assertion",
        status=401,
    )


@pytest.mark.parametrize(
    ("named", "changed"),
    [
        ("aud", {"aud": [ISSUER]}),
        ("aud", {"aud": ISSUER + "/oauth/par"}),
        ("aud", {"aud": ISSUER + "/oauth/token"}),
        ("aud", {"aud": "https://other.example"}),
        ("sub", {"sub": None}),
        ("exp", {"exp": NOW - 300}),
        ("iat", {"iat": NOW + 90}),
        ("nbf", {"nbf": NOW + 90}),
    ],
)
def test_a_wrong_client_assertion_is_refused_by_name(fapi: Fapi, named: str, changed: dict[str, Any]) -> None:
    wrong = fapi.world.town.assertion(**changed)
    refused(fapi.push(client_assertion=wrong), "invalid_client", named, status=401)


def test_an_assertion_eight_seconds_ahead_is_accepted(fapi: Fapi) -> None:
    assert fapi.push(client_assertion=fapi.world.town.assertion(iat=NOW + 8, nbf=NOW + 8)).status_code == 201


# Codes


def test_a_code_is_its_applications_alone(fapi: Fapi) -> None:
    code = fapi.code()
    stolen = {**fapi.world.token_form(code), **fapi.world.other.proof()}
    refused(fapi.post("/oauth/token", stolen), "invalid_grant", "code")
    assert fapi.redeem(code).status_code == 200


def test_a_code_expires_after_a_minute(fapi: Fapi) -> None:
    code = fapi.code()
    fapi.world.later(61)
    form = {**fapi.world.token_form(code), **fapi.mine()}
    refused(fapi.post("/oauth/token", form), "invalid_grant", "code")


def test_a_code_used_again_withdraws_everything_made_from_it(fapi: Fapi) -> None:
    code = fapi.code()
    body = fapi.redeem(code).json()
    refused(fapi.redeem(code), "invalid_grant", "code")
    refused(fapi.refresh(body["refresh_token"]), "invalid_grant", "grant")
    assert fapi.world.journal.kinds == ["grant.given", "grant.withdrawn"]


# Refresh tokens


def test_a_refresh_token_serves_until_the_grant_ends_and_is_not_rotated(fapi: Fapi) -> None:
    token = fapi.token()["refresh_token"]
    for _ in range(2):
        fapi.world.later(3600)
        answer = fapi.refresh(token)
        assert answer.status_code == 200, answer.text
        assert "refresh_token" not in answer.json()
        assert claims_of(answer.json()["access_token"])["cnf"] == {"jkt": fapi.jkt}
    (grant,) = fapi.world.desk.grants_of(CITIZEN.pseudonym)
    fapi.world.desk.withdraw(grant.grant_id, CITIZEN.pseudonym)
    refused(fapi.refresh(token), "invalid_grant", "grant")


def test_a_refresh_token_is_its_applications_alone_and_needs_a_proof(fapi: Fapi) -> None:
    token = fapi.token()["refresh_token"]
    stolen = {**fapi.world.other.proof(), "grant_type": "refresh_token", "refresh_token": token}
    refused(fapi.post("/oauth/token", stolen), "invalid_grant", "refresh_token")
    refused(fapi.refresh(token, dpop=None), "invalid_dpop_proof", "DPoP")
    refused(fapi.refresh("made-up"), "invalid_grant", "refresh_token")


def test_a_grant_of_a_single_use_has_no_refresh_token(fapi: Fapi) -> None:
    once = json.dumps([detail(access="once", expires_at=NOW + DAY)])
    assert "refresh_token" not in fapi.redeem(fapi.code(authorization_details=once)).json()


# Introspection and revocation


def _about(fapi: Fapi, token: str, path: str = "/oauth/introspect", **headers: str) -> Any:
    return fapi.world.http.post(path, data=fapi.mine(token=token), headers=headers)


def test_introspection_tells_an_application_about_its_own_tokens_alone(fapi: Fapi) -> None:
    body = fapi.token()
    told = _about(fapi, body["access_token"]).json()
    assert (told["active"], told["token_type"], told["cnf"]) == (True, "DPoP", {"jkt": fapi.jkt})
    assert told["grant_id"] == body["grant_id"]
    assert "identity" not in told
    assert _about(fapi, body["refresh_token"]).json()["active"] is True
    theirs = fapi.world.http.post("/oauth/introspect", data={**fapi.world.other.proof(), "token": body["access_token"]})
    assert theirs.json() == {"active": False}
    assert _about(fapi, "made-up").json() == {"active": False}
    refused(fapi.world.http.post("/oauth/introspect", data=fapi.mine()), "invalid_request", "token")


def test_introspection_comes_signed_when_it_is_asked_so(fapi: Fapi) -> None:
    answer = _about(fapi, fapi.token()["access_token"], accept=INTROSPECTION_JWT)
    assert answer.headers["content-type"].startswith(INTROSPECTION_JWT)
    keys = jwt.PyJWKSet.from_dict(fapi.world.http.get("/oauth/jwks").json())
    header = jwt.get_unverified_header(answer.text)
    assert header["typ"] == "token-introspection+jwt"
    claims = jwt.decode(
        answer.text,
        keys[header["kid"]],
        algorithms=["ES256"],
        audience=fapi.world.town.client.client_id,
        issuer=ISSUER,
        options={"verify_iat": False},
    )
    assert claims["token_introspection"]["active"] is True


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_gives_the_authorisation_back(fapi: Fapi, which: str) -> None:
    body = fapi.token()
    theirs = {**fapi.world.other.proof(), "token": body[which]}
    assert fapi.world.http.post("/oauth/revoke", data=theirs).status_code == 200
    assert _about(fapi, body["access_token"]).json()["active"] is True
    assert _about(fapi, body[which], "/oauth/revoke").status_code == 200
    assert fapi.world.journal.kinds == ["grant.given", "grant.withdrawn"]
    assert _about(fapi, body["access_token"]).json() == {"active": False}
    assert _about(fapi, body[which], "/oauth/revoke").status_code == 200


# Grant management


def _managed(fapi: Fapi, grant_id: str, token: str, *, method: str = "GET", proof: str | None = "") -> Any:
    path = f"/grants/{grant_id}"
    headers = {"Authorization": f"DPoP {token}"}
    made = fapi.proof(path, method=method, token=token) if proof == "" else proof
    if made is not None:
        headers["DPoP"] = made
    return fapi.world.http.request(method, path, headers=headers)


def test_an_application_queries_and_gives_back_its_own_grants(fapi: Fapi) -> None:
    grant_id = fapi.token()["grant_id"]
    token = fapi.own_token("grant_management_query grant_management_revoke")
    body = _managed(fapi, grant_id, token).json()
    assert (body["grant_id"], body["status"]) == (grant_id, "active")
    assert body["authorization_details"][0]["datatypes"] == list(FIELDS[:2])
    assert _managed(fapi, grant_id, token, method="DELETE").status_code == 204
    assert _managed(fapi, grant_id, token).json()["status"] == "withdrawn"
    assert _managed(fapi, grant_id, token, method="DELETE").status_code == 204
    assert fapi.world.journal.kinds == ["grant.given", "grant.withdrawn"]


def test_grant_management_refuses_by_name(fapi: Fapi) -> None:
    body = fapi.token()
    query = fapi.own_token("grant_management_query")
    refused(_managed(fapi, "nobody", query), "invalid_grant_id", "grant_id", status=404)
    refused(_managed(fapi, body["grant_id"], query, method="DELETE"), "insufficient_scope", "scope", status=403)
    refused(_managed(fapi, body["grant_id"], body["access_token"]), "invalid_token", "access token", status=401)
    refused(_managed(fapi, body["grant_id"], query, proof=None), "invalid_token", "DPoP", status=401)
    bearer = fapi.world.http.get(f"/grants/{body['grant_id']}", headers={"Authorization": f"Bearer {query}"})
    refused(bearer, "invalid_token", "Authorization", status=401)
    assert fapi.world.http.get("/grants/x").headers["www-authenticate"].startswith("DPoP ")
    wrong = fapi.post("/oauth/token", fapi.mine(grant_type="client_credentials", scope="everything"))
    refused(wrong, "invalid_scope", "scope")


@pytest.mark.parametrize(("action", "fields"), [("replace", FIELDS[2:3]), ("merge", (FIELDS[2], *FIELDS[:2]))])
def test_a_grant_that_is_replaced_or_merged_ends_when_the_new_one_is_given(
    fapi: Fapi, action: str, fields: tuple[str, ...]
) -> None:
    old = fapi.token()["grant_id"]
    asked = json.dumps([detail(datatypes=[FIELDS[2]])])
    pushed = fapi.push(authorization_details=asked, grant_management_action=action, grant_id=old).json()
    shown = fapi.world.desk.meant_for(
        fapi.world.desk.pending(fapi.world.town.client.client_id, pushed["request_uri"]), CITIZEN
    )
    assert shown.details[0].fields == fields
    fapi.world.desk.agree(shown, CITIZEN, fields=(fields,), expires_at=shown.latest_end, notice_sha256=NOTICE)
    grants = {grant.grant_id: grant for grant in fapi.world.desk.grants_of(CITIZEN.pseudonym)}
    assert grants[old].status == "withdrawn"
    (new,) = [grant for grant in grants.values() if grant.status == "active"]
    assert (new.supersedes, new.details[0].fields) == (old, fields)
    assert fapi.world.journal.kinds == ["grant.given", "grant.given", "grant.withdrawn"]


def test_nobody_replaces_or_is_shown_anothers_grant(fapi: Fapi) -> None:
    old = fapi.token()["grant_id"]
    refused(fapi.push(grant_management_action="merge", grant_id="nobody"), "invalid_grant_id", "grant_id", status=404)
    refused(fapi.push(grant_management_action="merge"), "invalid_request", "grant_id")
    refused(fapi.push(grant_management_action="create", grant_id=old), "invalid_request", "grant_id")
    refused(fapi.push(grant_management_action="steal"), "invalid_request", "grant_management_action")
    pushed = fapi.push(grant_management_action="merge", grant_id=old).json()
    pending = fapi.world.desk.pending(fapi.world.town.client.client_id, pushed["request_uri"])
    with pytest.raises(Exception, match="grant_id"):
        fapi.world.desk.meant_for(pending, replace(CITIZEN, pseudonym="somebody-else"))


def test_a_merge_of_two_purposes_is_refused(fapi: Fapi) -> None:
    old = fapi.token()["grant_id"]
    asked = json.dumps([detail(purpose="cantine")])
    pushed = fapi.push(authorization_details=asked, grant_management_action="merge", grant_id=old).json()
    pending = fapi.world.desk.pending(fapi.world.town.client.client_id, pushed["request_uri"])
    with pytest.raises(Exception, match="purpose"):
        fapi.world.desk.meant_for(pending, CITIZEN)


def test_the_challenge_is_of_the_verifier() -> None:
    assert challenge() != challenge("another-verifier-of-forty-three-characters-0")


# mTLS (RFC 8705): the certificate's thumbprint is what a trusted proxy's header gave


PRINT = "x" * 43


@pytest.fixture
def mtls(world: World) -> World:
    bound = replace(world.town.client, sender_constraint="mtls", certificates=(PRINT,), jwks={})
    world.registry.clients[bound.client_id] = bound
    world.town = replace(world.town, client=bound)
    return world


def _shown(world: World, path: str, form: Mapping[str, str], *, certificate: str | None = PRINT) -> Any:
    async def behind_a_proxy(scope: Any, receive: Any, send: Any) -> None:
        await world.app(scope | ({CERTIFICATE: certificate} if certificate else {}), receive, send)

    plain = {name: value for name, value in form.items() if not name.startswith("client_assertion")}
    return TestClient(behind_a_proxy).post(path, data={**plain, "client_id": world.town.client.client_id})


def test_an_application_authenticates_with_its_registered_certificate_and_its_token_is_bound_to_it(mtls: World) -> None:
    pushed = _shown(mtls, "/oauth/par", mtls.form())
    assert pushed.status_code == 201, pushed.text
    code = mtls.agree(pushed.json()["request_uri"])
    body = _shown(mtls, "/oauth/token", mtls.token_form(code)).json()
    assert body["token_type"] == "Bearer"
    assert claims_of(body["access_token"])["cnf"] == {"x5t#S256": PRINT}


def test_another_certificate_or_none_is_refused_by_name(mtls: World) -> None:
    other = _shown(mtls, "/oauth/par", mtls.form(), certificate="y" * 43)
    refused(other, "invalid_client", "certificate", status=401)
    refused(_shown(mtls, "/oauth/par", mtls.form(), certificate=None), "invalid_client", "client_assertion", status=401)


def test_an_application_that_signs_but_is_bound_to_a_certificate_needs_it_for_a_token(world: World) -> None:
    bound = replace(world.town.client, sender_constraint="mtls")
    world.registry.clients[bound.client_id] = bound
    refused(world.redeem(world.agree()), "invalid_request", "certificate")
