from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from consent.config import ConsentConfig
from consent.keys import SealingKeys, SigningKey, TokenKeys


def test_the_newest_key_signs_and_all_are_published_without_their_private_half(config: ConsentConfig) -> None:
    keys = config.token_keys
    assert keys.current.kid == "t2"
    assert [jwk["kid"] for jwk in keys.jwks()["keys"]] == ["t2", "t1"]
    assert all("d" not in jwk for jwk in keys.jwks()["keys"])
    token = jwt.encode({"a": 1}, keys.current.private, algorithm="ES256")
    assert jwt.decode(token, jwt.PyJWK(keys.jwks()["keys"][0]), algorithms=["ES256"]) == {"a": 1}


def test_a_key_that_is_too_new_is_published_and_does_not_sign(config: ConsentConfig) -> None:
    keys = replace(config.token_keys, unripe=1)
    assert (keys.current.kid, keys.kid_in_use, keys.kids) == ("t1", "t1", ("t2", "t1"))
    assert [jwk["kid"] for jwk in keys.jwks()["keys"]] == list(keys.public()) == ["t2", "t1"]
    for unripe in (-1, 2):
        with pytest.raises(ValueError, match="one of them signs"):
            replace(keys, unripe=unripe)


def test_a_key_of_another_curve_does_not_sign() -> None:
    with pytest.raises(ValueError, match="P-256"):
        SigningKey("k", ec.generate_private_key(ec.SECP384R1()))


def test_keys_must_be_there_and_told_apart() -> None:
    key = SigningKey("k", ec.generate_private_key(ec.SECP256R1()))
    for signing in ((), (key, key)):
        with pytest.raises(ValueError, match="token keys"):
            TokenKeys(signing)
    for sealing, current in (({"a": b"short"}, "a"), ({"a": b"x" * 32}, "b")):
        with pytest.raises(ValueError, match="sealing keys"):
            SealingKeys(sealing, current=current)


def test_nothing_secret_is_shown(config: ConsentConfig) -> None:
    shown = repr(config)
    assert "secret" not in shown
    assert "ssss" not in shown
    assert "pppp" not in shown
    assert "\\x00" not in shown


@pytest.mark.parametrize(
    "lifetime", [{"token_lifetime": 601}, {"code_lifetime": 61}, {"request_lifetime": 91}, {"code_lifetime": 0}]
)
def test_no_lifetime_exceeds_what_the_profile_allows(config: ConsentConfig, lifetime: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="seconds"):
        replace(config, **lifetime)  # type: ignore[arg-type]  # one of the integers


def test_the_issuer_has_no_slash_at_the_end(config: ConsentConfig) -> None:
    with pytest.raises(ValueError, match="issuer"):
        replace(config, issuer="https://accord.example/")
