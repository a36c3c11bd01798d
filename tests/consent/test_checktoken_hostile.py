"""Whatever comes back from ``/checktoken``, at any layer, is believed whole or refused with a declared error."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.checktoken import CheckedToken, TokenChecker, decrypted, introspected
from consent.config import FranceConnectConfig
from openapi.problem import AccordError
from tests.consent.checktoken_answers import TOKEN, Answer, Keys, make_keys
from tests.consent.pages.loopback_franceconnect import CLIENT_ID, CLIENT_SECRET, LoopbackFranceConnect
from tests.consent.pages.scene import NOW

pytestmark = pytest.mark.enable_socket

REFUSED = "franceconnect_answer_invalid"
DECLARED = {"", REFUSED, "franceconnect_token_inactive", "identity_incomplete"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
HEADERS = st.sampled_from(["alg", "enc", "epk", "apu", "apv", "kid", "zip", "crit", "cty", "p2c", "iv", "tag"])
TOLD = st.sampled_from(
    ["active", "aud", "exp", "iat", "acr", "jti", "scope", "gender", "given_name_array", "birthdate"]
)


@pytest.fixture(scope="module")
def keys() -> Keys:
    return make_keys()


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackFranceConnect]:
    with LoopbackFranceConnect() as server:
        yield server


@pytest.fixture(scope="module")
def checker(server: LoopbackFranceConnect, keys: Keys) -> Iterator[TokenChecker]:
    config = FranceConnectConfig(server.issuer, CLIENT_ID, CLIENT_SECRET)
    with closing(TokenChecker(config, keys.ours, clock=lambda: NOW)) as checker:
        yield checker


def outcome(attempt: Callable[[], object]) -> str:
    """The slug of the refusal, or nothing. Any other exception fails the test."""
    try:
        attempt()
    except AccordError as error:
        return error.slug
    return ""


def segment(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")


@settings(max_examples=200, deadline=None)
@given(garbage=st.binary(max_size=400))
def test_bytes_that_are_no_answer_are_refused(keys, garbage):
    assert outcome(lambda: decrypted(garbage, keys.ours)) == REFUSED


@settings(max_examples=300, deadline=None)
@given(
    header=st.dictionaries(HEADERS, JSON, max_size=4),
    algorithm=st.sampled_from(["ECDH-ES", "RSA-OAEP-256"]),
    parts=st.tuples(*(st.binary(max_size=size) | st.just(bytes(size)) for size in (256, 12, 300, 16))),
)
def test_an_encryption_that_is_only_claimed_is_refused(keys, header, algorithm, parts):
    claimed = {"alg": algorithm, "enc": "A256GCM", "epk": keys.other_ec.as_dict(private=False)} | header
    answer = b".".join(segment(part) for part in [json.dumps(claimed).encode(), *parts])
    assert outcome(lambda: decrypted(answer, keys.ours)) == REFUSED


@settings(max_examples=200, deadline=None)
@given(epk=JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(["kty", "crv", "x", "y", "d"], JSON)))
def test_an_ephemeral_key_that_is_none_is_refused(keys, epk):
    whole = {**keys.other_ec.as_dict(private=False), **epk} if isinstance(epk, dict) else epk
    header = json.dumps({"alg": "ECDH-ES", "enc": "A256GCM", "epk": whole}).encode()
    answer = b".".join(segment(part) for part in [header, b"", bytes(12), b"content", bytes(16)])
    assert outcome(lambda: decrypted(answer, keys.ours)) == REFUSED


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_header_nested_without_end_is_refused(keys, opening):
    answer = b".".join([segment(opening * (760 // len(opening))), b"", b"", b"", b""])
    assert outcome(lambda: decrypted(answer, keys.ours)) == REFUSED


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=200) | JSON.map(json.dumps).map(str.encode) | st.just(b"e30.e30.e30"))
def test_content_that_is_encrypted_but_not_signed_is_refused(server, checker, keys, content):
    answer = Answer(server.issuer, server.key, keys.ec).encrypted(content)
    server.answers["/checktoken"] = lambda: (200, "application/token-introspection+jwt", answer)
    assert outcome(lambda: checker.check(TOKEN)) == REFUSED


@settings(max_examples=40, deadline=None)
@given(header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]), JSON, max_size=3))
def test_a_signature_that_is_only_claimed_is_refused(server, checker, keys, header):
    made = Answer(server.issuer, server.key, keys.ec)
    claimed = json.dumps({"alg": "ES256", "kid": "fc-1"} | header).encode()
    content = b".".join(segment(part) for part in [claimed, json.dumps(made.payload()).encode(), bytes(64)])
    answer = made.encrypted(content)
    server.answers["/checktoken"] = lambda: (200, "application/token-introspection+jwt", answer)
    assert outcome(lambda: checker.check(TOKEN)) == REFUSED


@pytest.mark.parametrize("name", ["jti", "acr", "aud", "scope", "family_name", "birthdate"])
def test_half_a_character_which_json_can_carry_is_refused(keys, name):
    payload = Answer("https://fc.example", keys.ec, keys.ec, told={name: "\ud800"}).payload()
    assert outcome(lambda: introspected(payload, token=TOKEN, now=NOW)) in {REFUSED, "identity_incomplete"}


@settings(max_examples=300, deadline=None)
@given(
    claims=st.dictionaries(st.sampled_from(["iat", "token_introspection"]), JSON, max_size=1),
    told=st.dictionaries(TOLD, JSON, max_size=3),
)
def test_what_was_signed_is_of_the_declared_types_or_refused(keys, claims, told):
    payload = Answer("https://fc.example", keys.ec, keys.ec, claims, told).payload()
    found: list[CheckedToken] = []
    assert outcome(lambda: found.append(introspected(payload, token=TOKEN, now=NOW))) in DECLARED
    for one in found:
        assert one.expires_at > NOW
        assert one.acr in {"eidas1", "eidas2", "eidas3"}
        assert all(isinstance(text, str) for text in (one.client_id, *one.scopes))
