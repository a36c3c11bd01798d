from dataclasses import replace

import jwt
import pytest

from consent.config import ConsentConfig
from consent.identity import pairwise_subject, seal
from consent.tokens import make_token
from exchange.consent_token import MAX_TOKEN_BYTES, ConsentTokenVerifier
from openapi.fields import CogCode, PivotIdentity
from openapi.problem import AccordError
from tests.consent.test_store import DETAIL, GRANT
from tests.consent.world import FIELDS, ISSUER, NOTICE, NOW, TOWN

JEANNE = PivotIdentity("Canari", "female", CogCode("99100"), ("Jeanne",), "1980-02-03", CogCode("75056"))


def test_a_token_says_what_was_granted_to_whom_and_until_when(config: ConsentConfig) -> None:
    made = make_token(replace(GRANT, expires_at=NOW + 86_400), config, now=NOW, jti="j1")
    header = jwt.get_unverified_header(made.token)
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": "t2"}
    key = jwt.PyJWK(config.token_keys.jwks()["keys"][0])
    claims = jwt.decode(made.token, key, algorithms=["ES256"], audience=ISSUER, options={"verify_iat": False})
    assert claims == {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": pairwise_subject("jeanne", TOWN, config.pseudonym_key),
        "client_id": "portail-famille",
        "iat": NOW,
        "exp": NOW + 600,
        "jti": "j1",
        "grant_id": "g1",
        "acr": "eidas1",
        "authorization_details": [
            {
                "type": "urn:accord:quotient_familial",
                "datatypes": list(FIELDS),
                "purpose": "tarification_creche",
                "recipient": TOWN,
                "access": "recurring",
                "expires_at": NOW + 60,
            }
        ],
        "status": {"status_list": {"idx": 7, "uri": ISSUER + "/status/0"}},
        "identity": "sealed",
        "notice_sha256": NOTICE,
    }
    assert made.expires_in == 600


def test_a_token_never_outlives_its_grant(config: ConsentConfig) -> None:
    assert make_token(GRANT, config, now=NOW, jti="j1").expires_in == 60


def test_neither_the_token_nor_the_pseudonym_is_shown_in_a_traceback(config: ConsentConfig) -> None:
    made = make_token(GRANT, config, now=NOW, jti="j1")
    assert made.token not in repr(made)
    assert "jeanne" not in repr(made)


def test_the_gateway_reads_the_token_as_it_was_meant(config: ConsentConfig) -> None:
    identity = seal(JEANNE, "jeanne", config.sealing_keys)
    made = make_token(replace(GRANT, identity=identity), config, now=NOW, jti="j1")
    read = _verifier(config).verify(made.token.encode(), now=NOW)
    assert (read.client_id, read.grant_id, read.acr, read.status_index) == ("portail-famille", "g1", "eidas1", 7)
    assert (read.citizen, read.identity) == ("jeanne", JEANNE)
    assert read.details == {"quotient_familial": DETAIL}
    with pytest.raises(AccordError, match="token_expired"):
        _verifier(config).verify(made.token.encode(), now=NOW + 60)


def test_the_largest_token_fits_what_a_gateway_reads(config: ConsentConfig) -> None:
    names = tuple(f"{'x' * 55}_{number:02}" for number in range(64))
    identity = seal(replace(JEANNE, given_names=("J" * 100,) * 10), "jeanne", config.sealing_keys)
    made = make_token(
        replace(GRANT, details=(replace(DETAIL, fields=names),), identity=identity), config, now=NOW, jti="j"
    )
    assert len(made.token) < MAX_TOKEN_BYTES


def _verifier(config: ConsentConfig) -> ConsentTokenVerifier:
    return ConsentTokenVerifier(
        issuer=config.issuer,
        audience=config.audience,
        keys={key.kid: key.private.public_key() for key in config.token_keys.signing},
        sealing_keys=config.sealing_keys.keys,
    )
