import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.authorization.client_auth import authenticate
from consent.authorization.forms import ASSERTION_TYPE, ClientForm
from consent.errors import OAuthError
from tests.consent.world import ISSUER, NOW, SENDER, TOWN, Application, FakeRegistry, World, make_client


def form(assertion: str, **changed: str) -> ClientForm:
    given: dict[str, Any] = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, "client_id": ""}
    return ClientForm.model_construct(**{**given, **changed})  # also what the form itself would refuse


def refusal(world: World, assertion: str, **changed: str) -> str:
    with pytest.raises(OAuthError) as refused:
        world.desk.issuance.authenticate(form(assertion, **changed), SENDER)
    assert refused.value.code == "invalid_client"
    assert refused.value.status == 401
    return refused.value.description.partition(":")[0]


def forged(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def test_an_application_that_signs_is_known(world: World) -> None:
    assert world.desk.issuance.authenticate(form(world.town.assertion()), SENDER) == world.town.client
    assert (
        world.desk.issuance.authenticate(form(world.town.assertion(), client_id="portail-famille"), SENDER)
        == world.town.client
    )


def test_an_rsa_key_signs_with_ps256(world: World, rsa_key: rsa.RSAPrivateKey) -> None:
    client = make_client("portail-famille", rsa_key, organisation=TOWN)
    world.registry.clients[client.client_id] = client
    assert world.desk.issuance.authenticate(form(Application(client, rsa_key, "PS256").assertion()), SENDER) == client
    assert refusal(world, Application(client, rsa_key, "RS256").assertion()) == "alg"


def test_a_short_rsa_key_is_refused_even_when_registered(world: World) -> None:
    short = rsa.generate_private_key(65_537, 1024)  # noqa: S505  # that is the point
    client = make_client("portail-famille", short, organisation=TOWN)
    world.registry.clients[client.client_id] = client
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        assertion = Application(client, short, "PS256").assertion()
    assert refusal(world, assertion) == "signature"


def test_an_assertion_replayed_is_refused(world: World) -> None:
    assertion = world.town.assertion()
    world.desk.issuance.authenticate(form(assertion), SENDER)
    assert refusal(world, assertion) == "jti"
    assert (
        refusal(world, world.town.assertion(jti=jwt.decode(assertion, options={"verify_signature": False})["jti"]))
        == "jti"
    )


def test_two_applications_may_choose_the_same_jti(world: World) -> None:
    world.desk.issuance.authenticate(form(world.town.assertion(jti="1")), SENDER)
    assert world.desk.issuance.authenticate(form(world.other.assertion(jti="1")), SENDER) == world.other.client


def test_an_assertion_that_was_refused_did_not_spend_its_jti(world: World) -> None:
    assert refusal(world, world.town.assertion(jti="1", aud="https://elsewhere.example")) == "aud"
    world.desk.issuance.authenticate(form(world.town.assertion(jti="1")), SENDER)


@pytest.mark.parametrize(
    "audience", [[ISSUER], [ISSUER, "https://elsewhere.example"], f"{ISSUER}/oauth/token", f"{ISSUER}/", None]
)
def test_the_audience_must_be_the_issuer_as_a_string(world: World, audience: Any) -> None:
    assert refusal(world, world.town.assertion(aud=audience)) == "aud"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"iss": "autre-portail"}, "iss"),
        ({"iss": None}, "iss"),
        ({"sub": "unknown"}, "sub"),
        ({"sub": None}, "sub"),
        ({"exp": NOW}, "exp"),
        ({"exp": NOW + 301}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": float(NOW + 60)}, "exp"),
        ({"iat": NOW + 60}, "iat"),
        ({"nbf": NOW + 60}, "nbf"),
        ({"jti": None}, "jti"),
        ({"jti": "j" * 129}, "jti"),
        ({"jti": 7}, "jti"),
    ],
)
def test_each_claim_is_checked_under_its_name(world: World, changed: dict[str, Any], named: str) -> None:
    claims = {**world.town.claims(), **changed}
    claims = {name: value for name, value in claims.items() if value is not None}
    # PyJWT refuses to sign some of these: they are signed as bytes.
    assertion = jwt.PyJWS().encode(json.dumps(claims).encode(), world.town.key, "ES256", {"kid": "k1"})
    assert refusal(world, assertion) == named


def test_alg_none_is_refused(world: World) -> None:
    for none in ("none", "None", "NONE"):
        assert refusal(world, forged({"alg": none, "kid": "k1"}, world.town.claims())) in ("alg", "client_assertion")


def test_hs256_with_the_public_key_is_refused(world: World) -> None:
    public = world.town.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "kid": "k1", "typ": "JWT"}
    unsigned = forged(header, world.town.claims()).rpartition(".")[0]
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(unsigned.encode(), public)
    assert refusal(world, unsigned + "." + urlsafe_b64encode(mac).rstrip(b"=").decode()) == "alg"


def test_a_key_never_verifies_another_algorithm_than_its_own(world: World) -> None:
    assertion = world.town.assertion()
    _, payload, signature = assertion.split(".")
    header = urlsafe_b64encode(b'{"alg":"PS256","kid":"k1"}').rstrip(b"=").decode()
    assert refusal(world, f"{header}.{payload}.{signature}") == "signature"


def test_another_applications_key_does_not_sign_for_this_one(world: World) -> None:
    impostor = replace(world.other, client=world.town.client)
    assert refusal(world, impostor.assertion()) == "signature"


def test_the_registered_key_is_named(world: World) -> None:
    assert refusal(world, world.town.assertion(header={"kid": "k2"})) == "kid"
    client = world.town.client
    first = client.jwks["keys"][0]  # type: ignore[index]
    world.registry.clients[client.client_id] = replace(client, jwks={"keys": [first, {**first, "kid": "k2"}]})
    anonymous = jwt.encode(world.town.claims(), world.town.key, algorithm="ES256")
    assert refusal(world, anonymous) == "kid"
    world.registry.clients[client.client_id] = client
    assert world.desk.issuance.authenticate(form(anonymous), SENDER) == client


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": "dpop+jwt"}, {"crit": ["exp"], "exp": 1}])
def test_a_token_signed_for_another_use_is_refused(world: World, header: dict[str, Any]) -> None:
    assert refusal(world, world.town.assertion(header=header)) in ("typ", "client_assertion")


def test_the_form_must_say_what_it_carries(world: World) -> None:
    assert refusal(world, "") == "client_assertion"
    assert refusal(world, world.town.assertion(), client_assertion_type="jwt") == "client_assertion_type"
    with pytest.raises(OAuthError, match="client_id"):
        world.desk.issuance.authenticate(form(world.town.assertion(), client_id="autre-portail"), SENDER)


KEY = ec.generate_private_key(ec.SECP256R1())
REGISTRY = FakeRegistry({"portail-famille": make_client("portail-famille", KEY, organisation=TOWN)})
PARTS = st.binary(max_size=60) | st.sampled_from([b'{"alg":"ES256"}', b"{}", b"[" * 1200, b'{"sub":"portail-famille"}'])


@settings(max_examples=200)
@given(
    st.text(max_size=200)
    | st.lists(PARTS.map(lambda part: urlsafe_b64encode(part).rstrip(b"=").decode()), max_size=4).map(".".join)
)
def test_a_hostile_assertion_raises_the_declared_error_and_nothing_else(assertion: str) -> None:
    with pytest.raises(OAuthError):
        authenticate(form(assertion), registry=REGISTRY, issuer=ISSUER, now=NOW)
