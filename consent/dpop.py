"""DPoP (RFC 9449): a proof, made for one request, that its sender holds the key that a token is bound to. Pure.

Every check of section 4.3 is here and each has its name, so that a refusal says which one failed. Replay is not: a
``jti`` is spent by whoever writes (the log's commit for an exchange, consent's store for the OAuth endpoints).

Nonces (section 8) are stateless: a window of time under an HMAC, good on every replica that shares the key.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard
from urllib.parse import urlsplit

import jwt
import orjson
from joserfc.jwk import ECKey, RSAKey

ALGORITHMS = ("ES256", "PS256")
MAX_AGE = 60
"""Seconds that a proof may be old."""
CLOCK_SKEW = 30
"""Seconds that its maker's clock may be ahead: FAPI 2.0 section 5.3.2.1 wants 10 accepted and 60 refused."""
MAX_PROOF = 4096
MAX_JTI = 128
NONCE_SECONDS = 300
"""A nonce is good for this long at least and twice as long at most."""

_KEY_TYPES = {"ES256": "EC", "PS256": "RSA"}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_LEAST_RSA_BITS = 2048
_JWS = jwt.PyJWS(algorithms=list(ALGORITHMS), options={"verify_signature": True, "enforce_minimum_key_length": True})
_UNREADABLE = (jwt.PyJWTError, ValueError, KeyError, TypeError, RecursionError)
_PORTS = {"https": 443, "http": 80}


class ProofInvalid(Exception):  # a refusal with its reason
    """A proof fails; ``check`` names the first thing that is wrong with it, in words for a developer."""

    def __init__(self, check: str, *, nonce: bool = False) -> None:
        super().__init__(check)
        self.check = check
        self.wants_nonce = nonce
        """Whether a fresh nonce would help (``use_dpop_nonce``)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that holds. ``jti`` must be spent once, until ``expires_at`` (Unix seconds), before it is believed."""

    jkt: str
    """The key's RFC 7638 thumbprint."""
    jti: str
    expires_at: int

    @property
    def spend_key(self) -> str:
        """What is spent: the hash of key and ``jti``, which tells nothing about either."""
        return hashlib.sha256(f"dpop\0{self.jkt}\0{self.jti}".encode("utf-8", "replace")).hexdigest()


class Nonces:
    """Makes and recognises nonces. ``key``: 32 secret bytes that every replica shares."""

    def __init__(self, key: bytes, *, required: bool) -> None:
        self._key = hashlib.sha256(b"dpop nonce\0" + key).digest()
        self._required = required

    def current(self, now: float) -> str:
        """The nonce to hand out."""
        return self._of(int(now) // NONCE_SECONDS)

    def check(self, nonce: object, now: float) -> None:
        """Raise :class:`ProofInvalid` unless the nonce is one of the last two, or absent where none is required."""
        if nonce is None:
            if self._required:
                raise ProofInvalid("nonce: required; take it from the DPoP-Nonce header", nonce=True)
            return
        window = int(now) // NONCE_SECONDS
        known = [self._of(window), self._of(window - 1)]
        given = nonce.encode() if isinstance(nonce, str) else b""
        if not any(hmac.compare_digest(given, one.encode()) for one in known):
            raise ProofInvalid("nonce: too old; take a fresh one from the DPoP-Nonce header", nonce=True)

    def _of(self, window: int) -> str:
        digest = hmac.digest(self._key, window.to_bytes(8), "sha256")[:18]
        return urlsafe_b64encode(digest).decode()


def check_proof(
    proof: str, *, method: str, url: str, now: float, nonces: Nonces, access_token: bytes | None = None
) -> Proof:
    """The proof of one request. ``url``: what was asked, without query. Raises :class:`ProofInvalid`.

    ``access_token``: the token it comes with, which ``ath`` must name; at the OAuth endpoints there is none.
    """
    header, payload = _read(proof)
    jkt = _verified(proof, header)
    claims = _claims(payload)
    _check_request(claims, method=method, url=url)
    issued_at = _check_times(claims, now)
    nonces.check(claims.get("nonce"), now)
    if access_token is not None:
        _check_token(claims, access_token)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        raise ProofInvalid(f"jti: required, 1 to {MAX_JTI} characters, new for each request")
    return Proof(jkt, jti, issued_at + MAX_AGE + CLOCK_SKEW)


def is_thumbprint(text: str) -> bool:
    """Whether it has the form of an RFC 7638 thumbprint by SHA-256."""
    return len(text) == 43 and text.isascii() and text.replace("-", "").replace("_", "").isalnum()  # noqa: PLR2004  # 32 bytes in base64url


def _read(proof: str) -> tuple[Mapping[str, object], bytes]:
    if len(proof) > MAX_PROOF:
        raise ProofInvalid(f"DPoP: at most {MAX_PROOF} characters")
    try:
        read = _JWS.decode_complete(proof, options={"verify_signature": False})
    except _UNREADABLE:
        raise ProofInvalid("DPoP: not a JWT in compact form") from None
    return read["header"], read["payload"]


def _verified(proof: str, header: Mapping[str, object]) -> str:
    """The thumbprint of the key that signed it."""
    algorithm, jwk = header.get("alg"), header.get("jwk")
    if header.get("typ") != "dpop+jwt":
        raise ProofInvalid("typ: must be dpop+jwt")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise ProofInvalid(f"alg: must be {' or '.join(ALGORITHMS)}")
    if header.keys() & {"crit", "b64"}:
        raise ProofInvalid("crit: not understood")
    if not isinstance(jwk, dict) or jwk.keys() & _PRIVATE_MEMBERS or jwk.get("kty") != _KEY_TYPES[algorithm]:
        raise ProofInvalid("jwk: a public key of the algorithm, and nothing private")
    try:
        key = jwt.PyJWK(jwk, algorithm)
        thumbprint = _thumbprint(jwk)
    except _UNREADABLE:
        raise ProofInvalid("jwk: not a public key of the algorithm") from None
    try:
        _JWS.decode_complete(proof, key, algorithms=[algorithm])
    except _UNREADABLE:
        raise ProofInvalid("signature: not made with the key in jwk") from None
    return thumbprint


def _thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638, of the members that make the key, so that a foreign member changes nothing."""
    if jwk["kty"] == "EC":
        if jwk.get("crv") != "P-256":
            raise ValueError("crv")
        return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")}).thumbprint()
    key = RSAKey.import_key({name: jwk[name] for name in ("kty", "n", "e")})
    if key.public_key.key_size < _LEAST_RSA_BITS:
        raise ValueError("n")
    return key.thumbprint()


def _claims(payload: bytes) -> Mapping[str, object]:
    try:
        claims = orjson.loads(payload)
    except ValueError:
        raise ProofInvalid("DPoP: its payload is not JSON") from None
    if not isinstance(claims, dict):
        raise ProofInvalid("DPoP: its payload is not an object")
    return claims


def _check_request(claims: Mapping[str, object], *, method: str, url: str) -> None:
    if claims.get("htm") != method:
        raise ProofInvalid(f"htm: must be {method}")
    asked = claims.get("htu")
    if not isinstance(asked, str) or _normal(asked) != _normal(url):
        raise ProofInvalid("htu: must be the URL of the request, without query and fragment")


def _normal(url: str) -> tuple[str, str, int | None, str] | None:
    """What section 4.3 compares: scheme and host without case, the port or its default, the path."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts.scheme, (parts.hostname or ""), port or _PORTS.get(parts.scheme), parts.path or "/"


def _check_times(claims: Mapping[str, object], now: float) -> int:
    issued_at = claims.get("iat")
    if not _is_time(issued_at) or not now - MAX_AGE <= issued_at <= now + CLOCK_SKEW:
        raise ProofInvalid(f"iat: the present, in whole seconds, at most {MAX_AGE} seconds ago; check the clock")
    ends, begins = claims.get("exp"), claims.get("nbf")
    if ends is not None and not (_is_time(ends) and ends > now):
        raise ProofInvalid("exp: the proof has ended")
    if begins is not None and not (_is_time(begins) and begins <= now + CLOCK_SKEW):
        raise ProofInvalid("nbf: the proof does not hold yet")
    return issued_at


def _is_time(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_token(claims: Mapping[str, object], access_token: bytes) -> None:
    expected = urlsafe_b64encode(hashlib.sha256(access_token).digest()).rstrip(b"=")
    given = claims.get("ath")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode("utf-8", "replace"), expected):
        raise ProofInvalid("ath: must be the SHA-256 of the access token")
