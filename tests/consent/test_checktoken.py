"""FranceConnect's token as a consent token: what is asked over real HTTP, what is believed, and what is not."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from consent.checktoken import TokenChecker
from consent.config import FranceConnectConfig
from openapi.problem import AccordError, problem
from tests.consent.checktoken_answers import APPLICATION, PERSONAL, SCOPES, TOKEN, Answer, Keys, make_keys
from tests.consent.pages.loopback_franceconnect import CLIENT_ID, CLIENT_SECRET, LoopbackFranceConnect, slowly
from tests.consent.pages.scene import NOW

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def keys() -> Keys:
    return make_keys()


@pytest.fixture(scope="module")
def loopback() -> Iterator[LoopbackFranceConnect]:
    with LoopbackFranceConnect() as server:
        yield server


@pytest.fixture
def server(loopback: LoopbackFranceConnect) -> LoopbackFranceConnect:
    loopback.reset()
    return loopback


@pytest.fixture
def checker(server: LoopbackFranceConnect, keys: Keys) -> Iterator[TokenChecker]:
    config = FranceConnectConfig(server.issuer, CLIENT_ID, CLIENT_SECRET)
    with closing(TokenChecker(config, keys.ours, clock=lambda: NOW)) as checker:
        yield checker


@pytest.fixture
def usual(server: LoopbackFranceConnect, keys: Keys) -> Answer:
    return Answer(server.issuer, server.key, keys.ec)


def serve(server: LoopbackFranceConnect, body: bytes, *, status: int = 200) -> None:
    server.answers["/checktoken"] = lambda: (status, "application/token-introspection+jwt", body)


def refusal(checker: TokenChecker, token: str = TOKEN) -> str:
    """The refusal's slug and check; nothing of the person, the token or the secret may show with it."""
    with pytest.raises(AccordError) as caught:
        checker.check(token)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(error.facts)
    shown += repr(problem(error.slug).document(error.facts, base="https://accord.example"))
    assert [word for word in (*PERSONAL, TOKEN, CLIENT_SECRET) if word in shown] == []
    return f"{error.slug} {error.facts.get('check', '')}".strip()


def test_an_active_token_gives_the_identity_the_scopes_the_application_and_its_end(checker, server, usual):
    serve(server, usual.encrypted())
    checked = checker.check(TOKEN)
    assert checked.identity.family_name == "MARTIN"
    assert checked.identity.given_names == ("Camille", "Anne")
    assert checked.scopes == SCOPES
    assert (checked.client_id, checked.acr, checked.expires_at) == (APPLICATION, "eidas1", NOW + 55)


def test_franceconnect_is_sent_the_three_parameters_that_it_lists_and_no_other(checker, server, usual):
    serve(server, usual.encrypted())
    checker.check(TOKEN)
    assert server.token_form == {"token": TOKEN, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


def test_an_rsa_key_and_rs256_do_as_well(checker, server, usual, keys):
    signer = RSAKey.generate_key(2048, {"kid": "fc-rsa", "use": "sig", "alg": "RS256"})
    server.published = [signer]
    serve(server, replace(usual, encrypts_to=keys.rsa, signs_with=signer, algorithm="RS256").encrypted())
    assert checker.check(TOKEN).scopes == SCOPES


def test_of_two_keys_of_a_kind_either_opens_as_the_answer_does_not_say_which(server, usual, keys):
    config = FranceConnectConfig(server.issuer, CLIENT_ID, CLIENT_SECRET)
    both = KeySet([keys.other_ec, keys.other_rsa, keys.ec, keys.rsa])
    with closing(TokenChecker(config, both, clock=lambda: NOW)) as checker:
        for key in both:
            serve(server, replace(usual, encrypts_to=key).encrypted())
            assert checker.check(TOKEN).scopes == SCOPES


def test_the_weakest_level_that_the_application_accepts_is_the_one_told(checker, server, usual):
    serve(server, replace(usual, told={"acr": "eidas3 eidas2"}).encrypted())
    assert checker.check(TOKEN).acr == "eidas2"


def test_an_application_with_no_scope_of_ours_has_none(checker, server, usual):
    serve(server, replace(usual, told={"scope": ""}).encrypted())
    assert checker.check(TOKEN).scopes == ()


def test_an_inactive_token_is_the_senders_problem(checker, server, usual):
    serve(server, replace(usual, claims={"token_introspection": {"active": False}}).encrypted())
    assert refusal(checker) == "franceconnect_token_inactive"
    assert problem("franceconnect_token_inactive").status == 401


def test_a_token_said_active_that_has_ended_is_not(checker, server, usual):
    serve(server, replace(usual, told={"exp": NOW}).encrypted())
    assert refusal(checker) == "franceconnect_token_inactive"


@pytest.mark.parametrize("token", ["", "a b", "é", "x" * 2049, "a\nb", "a&token=b"])
def test_what_cannot_be_a_token_of_franceconnects_is_not_sent_to_it(checker, server, token):
    assert refusal(checker, token) == "franceconnect_token_inactive"
    assert server.calls == []


@pytest.mark.parametrize(
    "change",
    [
        lambda answer, keys: replace(answer, encrypts_to=keys.other_ec),
        lambda answer, keys: replace(answer, encrypts_to=keys.other_rsa),
        lambda answer, keys: replace(answer, encrypts_to=OctKey.generate_key(256), header={"alg": "dir"}),
        lambda answer, keys: replace(answer, encrypts_to=keys.rsa, header={"alg": "RSA1_5"}),
        lambda answer, keys: replace(answer, encrypts_to=keys.rsa, header={"alg": "RSA-OAEP"}),
        lambda answer, keys: replace(answer, header={"alg": "ECDH-ES+A256KW"}),
        lambda answer, keys: replace(answer, header={"enc": "A128GCM"}),
        lambda answer, keys: replace(answer, header={"enc": "A256CBC-HS512"}),
        lambda answer, keys: replace(answer, header={"zip": "DEF"}),
    ],
    ids=["another EC key", "another RSA key", "dir", "RSA1_5", "RSA-OAEP", "ECDH-ES+A256KW", "A128GCM", "CBC", "zip"],
)
def test_an_answer_encrypted_otherwise_is_refused(checker, server, usual, keys, change):
    serve(server, change(usual, keys).encrypted())
    assert refusal(checker) == "franceconnect_answer_invalid encryption"
    assert server.calls == ["/checktoken"]


def test_an_answer_that_is_signed_but_not_encrypted_is_refused(checker, server, usual):
    serve(server, usual.signed().encode())
    assert refusal(checker) == "franceconnect_answer_invalid encryption"


def test_a_changed_bit_anywhere_is_refused(checker, server, usual):
    sound = usual.encrypted()
    parts = sound.split(b".")
    for number, part in enumerate(parts):
        changed = (b"B" if part[:1] == b"A" else b"A") + part[1:]
        serve(server, b".".join([*parts[:number], changed, *parts[number + 1 :]]))
        assert refusal(checker) == "franceconnect_answer_invalid encryption"


def test_an_unsigned_answer_is_refused(checker, server, usual):
    serve(server, replace(usual, algorithm="none").encrypted())
    assert refusal(checker) == "franceconnect_answer_invalid introspection"


def test_an_answer_signed_by_hmac_with_the_public_key_is_refused(checker, server, usual):
    secret = OctKey.import_key(server.key.as_dict(private=False)["x"], {"kid": "fc-1"})
    serve(server, replace(usual, signs_with=secret, algorithm="HS256").encrypted())
    assert refusal(checker) == "franceconnect_answer_invalid introspection"


def test_an_answer_signed_by_another_key_under_a_known_name_is_refused(checker, server, usual):
    serve(server, replace(usual, signs_with=ECKey.generate_key("P-256", {"kid": "fc-1"})).encrypted())
    assert refusal(checker) == "franceconnect_answer_invalid introspection"


def test_an_answer_signed_by_a_key_that_is_not_published_is_refused(checker, server, usual):
    serve(server, replace(usual, signs_with=server.other_key).encrypted())
    assert refusal(checker) == "franceconnect_answer_invalid kid"


@pytest.mark.parametrize(
    ("claims", "check"),
    [
        ({"iss": "https://evil.example/api/v2"}, "introspection"),
        ({"iss": None}, "introspection"),
        ({"aud": "another-data-provider"}, "introspection"),
        ({"aud": None}, "introspection"),
        ({"iat": NOW - 31}, "iat"),
        ({"iat": NOW + 31}, "introspection"),
        ({"iat": None}, "introspection"),
        ({"iat": str(NOW)}, "introspection"),
        ({"iat": NOW + 0.5}, "iat"),
        ({"exp": NOW - 60}, "introspection"),
        ({"token_introspection": None}, "active"),
        ({"token_introspection": "active"}, "active"),
        ({"token_introspection": {}}, "active"),
        ({"token_introspection": {"active": "true"}}, "active"),
        ({"token_introspection": {"active": 1}}, "active"),
    ],
)
def test_an_answer_for_another_from_another_or_of_another_moment_is_refused(checker, server, usual, claims, check):
    serve(server, replace(usual, claims=claims).encrypted())
    assert refusal(checker) == f"franceconnect_answer_invalid {check}"


@pytest.mark.parametrize(
    ("told", "check"),
    [
        ({"jti": "the-token-of-somebody-else"}, "jti"),
        ({"jti": None}, "jti"),
        ({"exp": None}, "exp"),
        ({"exp": str(NOW + 55)}, "exp"),
        ({"exp": True}, "exp"),
        ({"acr": None}, "acr"),
        ({"acr": ""}, "acr"),
        ({"acr": "eidas0"}, "acr"),
        ({"acr": "eidas1 eidas0"}, "acr"),
        ({"acr": ["eidas1"]}, "acr"),
        ({"aud": None}, "aud"),
        ({"aud": ""}, "aud"),
        ({"aud": "a b"}, "aud"),
        ({"aud": [APPLICATION]}, "aud"),
        ({"scope": None}, "scope"),
        ({"scope": ["openid"]}, "scope"),
    ],
)
def test_an_introspection_without_what_it_must_say_is_refused(checker, server, usual, told, check):
    serve(server, replace(usual, told=told).encrypted())
    assert refusal(checker) == f"franceconnect_answer_invalid {check}"


def test_an_identity_without_gender_is_refused_by_name_of_the_claim_alone(checker, server, usual):
    serve(server, replace(usual, told={"gender": None}).encrypted())
    with pytest.raises(AccordError) as caught:
        checker.check(TOKEN)
    assert (caught.value.slug, caught.value.facts) == ("identity_incomplete", {"field": "gender"})


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b'{"error": "invalid_client"}', "franceconnect_answer_invalid credentials"),
        (400, b'{"error": "invalid_request"}', "franceconnect_answer_invalid status"),
        (302, b"", "franceconnect_answer_invalid status"),
        (500, b"oops", "franceconnect_unreachable"),
        (200, b"", "franceconnect_answer_invalid encryption"),
        (200, b"<html>", "franceconnect_answer_invalid encryption"),
        (200, b"\xff\xfe....", "franceconnect_answer_invalid encryption"),
        (200, b"A" * 20_000, "franceconnect_answer_invalid encryption"),
        (200, b"A" * 200_000, "franceconnect_unreachable"),
    ],
)
def test_a_broken_or_a_huge_answer_is_one_of_two_problems(checker, server, status, body, expected):
    serve(server, body, status=status)
    assert refusal(checker) == expected


def test_an_answer_longer_than_any_of_franceconnects_is_not_decrypted(checker, server, usual):
    serve(server, replace(usual, claims={"padding": "A" * 9_000}).encrypted())
    assert refusal(checker) == "franceconnect_answer_invalid encryption"


def test_a_slow_franceconnect_is_not_waited_for(server, keys):
    server.answers["/checktoken"] = slowly(0.6)
    config = FranceConnectConfig(server.issuer, CLIENT_ID, CLIENT_SECRET)
    with closing(TokenChecker(config, keys.ours, clock=lambda: NOW, timeout=0.2)) as checker:
        assert refusal(checker) == "franceconnect_unreachable"


def test_a_franceconnect_that_is_down_is_said_to_be_down(keys):
    config = FranceConnectConfig("http://127.0.0.1:9/api/v2", CLIENT_ID, CLIENT_SECRET)
    with closing(TokenChecker(config, keys.ours, clock=lambda: NOW)) as checker:
        assert refusal(checker) == "franceconnect_unreachable"


def test_neither_the_identity_nor_the_token_nor_the_secret_shows_or_is_logged(checker, server, usual, caplog):
    caplog.set_level(logging.DEBUG)
    serve(server, usual.encrypted())
    shown = repr(checker.check(TOKEN)) + caplog.text
    assert "/checktoken" in caplog.text
    assert [word for word in (*PERSONAL, TOKEN, CLIENT_SECRET) if word in shown] == []


def short_rsa() -> RSAKey:
    # joserfc rightly warns of it.
    with pytest.warns(SecurityWarning):
        return RSAKey.import_key(rsa.generate_private_key(65_537, 1024))  # noqa: S505  # to be refused


@pytest.mark.parametrize(
    "unfit",
    [
        lambda keys: [],
        lambda keys: [ECKey.import_key(keys.ec.as_dict(private=False))],
        lambda keys: [keys.ec, ECKey.generate_key("P-384")],
        lambda keys: [keys.rsa, short_rsa()],
        lambda keys: [OctKey.generate_key(256)],
    ],
    ids=["none", "public", "another curve", "short RSA", "symmetric"],
)
def test_keys_that_cannot_serve_are_refused_at_the_start(keys, unfit):
    config = FranceConnectConfig("https://fc.example/api/v2", CLIENT_ID, CLIENT_SECRET)
    with pytest.raises(ValueError, match="checktoken"):
        TokenChecker(config, KeySet(unfit(keys)), clock=lambda: NOW)
