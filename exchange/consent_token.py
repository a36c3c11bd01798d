"""Verifying a consent token on the data path: RFC 9068 claims under an ES256 signature, identity under AES-GCM.

Pure apart from the keys it holds. Parses hostile bytes and raises only :class:`AccordError` with a ``token_*``
slug. ``cryptography`` is called directly: a general JWT library costs twice as much here and has more choices to
get wrong. The algorithm is fixed: the header may only confirm it (RFC 8725 section 3.1).
"""

from binascii import a2b_base64
from collections.abc import Mapping
from typing import TypeAlias

import orjson
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from consent.dpop import is_thumbprint
from consent.model import DETAIL_TYPE_PREFIX, MAX_PER_DAY, Detail
from consent.status import index_of
from exchange.model import ConsentToken
from openapi.fields import InvalidValue, PivotIdentity, Siret
from openapi.problem import AccordError, Fact
from openapi.rules import Rule, check_together, rule_from_claim

MAX_TOKEN_BYTES = 16_384
CLOCK_SKEW = 5
"""Seconds by which another machine's clock may differ."""

Claims: TypeAlias = Mapping[str, object]

_SIGNATURE_BYTES = 64
_JWE_PARTS = 5
_KNOWN_HEADERS = 64
_BASE64 = bytes.maketrans(b"-_+/=", b"+/!!!")
"""Base64url to base64; what is of base64 alone becomes what neither has."""
_PADDING = (b"", b"", b"==", b"=")
_ES256 = ECDSA(SHA256())


class _Known:
    """The keys of one moment: public keys by ``kid``, and what opens identities.

    The two dictionaries of headers already seen only ever hold headers of tokens that verified, so an attacker
    cannot grow them. They belong to these keys: a key that is gone leaves no header behind.
    """

    __slots__ = ("headers", "keys", "sealed_headers", "sealing")

    def __init__(self, keys: Mapping[str, EllipticCurvePublicKey], sealing_keys: Mapping[str, bytes]) -> None:
        self.keys = dict(keys)
        self.sealing = {kid: AESGCM(key) for kid, key in sealing_keys.items()}
        self.headers: dict[bytes, EllipticCurvePublicKey] = {}
        self.sealed_headers: dict[bytes, AESGCM] = {}


class ConsentTokenVerifier:
    """Verifies with the keys it was last told of, all of them at once; a rotation replaces them by one assignment."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: Mapping[str, EllipticCurvePublicKey],
        sealing_keys: Mapping[str, bytes],
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._known = _Known(keys, sealing_keys)

    def learn(self, *, keys: Mapping[str, EllipticCurvePublicKey], sealing_keys: Mapping[str, bytes]) -> None:
        """Verify with these keys from now on; a verification under way ends with those it began with."""
        self._known = _Known(keys, sealing_keys)

    def verify(self, token: bytes, *, now: float) -> ConsentToken:
        """The verified token. Raises ``AccordError('token_*')`` naming the first check that failed."""
        header, payload, signature = _parts(token)
        known = self._known
        headers = known.headers
        key = headers.get(header) or _key(header, known.keys)
        _check_signature(key, header + b"." + payload, signature)
        if len(headers) < _KNOWN_HEADERS:
            headers[header] = key
        claims = _json_object(payload)
        self._check_registered(claims, now)
        citizen, identity = _identity(_text(claims, "identity"), known)
        jkt, certificate = _binding(claims)
        return ConsentToken(
            client_id=_text(claims, "client_id"),
            grant_id=_text(claims, "grant_id"),
            acr=_text(claims, "acr"),
            status_index=_status_index(claims, self._issuer),
            details=_details(claims),
            citizen=citizen,
            identity=identity,
            jkt=jkt,
            certificate=certificate,
        )

    def _check_registered(self, claims: Claims, now: float) -> None:
        if claims.get("iss") != self._issuer:
            raise AccordError("token_issuer_invalid")
        if claims.get("aud") != self._audience:
            raise AccordError("token_audience_invalid")
        if _integer(claims, "exp") <= now:
            raise AccordError("token_expired")
        if _integer(claims, "iat") > now + CLOCK_SKEW:
            raise AccordError("token_not_yet_valid")


def _parts(token: bytes) -> tuple[bytes, bytes, bytes]:
    if len(token) > MAX_TOKEN_BYTES:
        raise AccordError("token_malformed")
    parts = token.split(b".")
    if len(parts) != 3:  # noqa: PLR2004  # a JWS in compact form has three parts, RFC 7515 section 7.1
        raise AccordError("token_malformed")
    return parts[0], parts[1], parts[2]


def _key(header: bytes, keys: Mapping[str, EllipticCurvePublicKey]) -> EllipticCurvePublicKey:
    fields = _json_object(header)
    if fields.get("alg") != "ES256":
        raise AccordError("token_algorithm_refused")
    if fields.get("typ") not in ("at+jwt", "application/at+jwt"):
        raise AccordError("token_type_invalid")
    if "crit" in fields:
        raise AccordError("token_malformed")
    kid = fields.get("kid")
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise AccordError("token_key_unknown")
    return key


def _identity(sealed: str, known: _Known) -> tuple[str, PivotIdentity]:
    try:
        plain = orjson.loads(_open(sealed.encode("ascii"), known))
        return _text(plain, "citizen"), PivotIdentity.from_claims(plain["pivot"])
    except (InvalidTag, ValueError, KeyError, TypeError, AttributeError, AccordError):
        # ValueError covers bad base64, bad JSON, InvalidValue and a nonce of the wrong length.
        raise AccordError("token_identity_unreadable") from None


def _open(sealed: bytes, known: _Known) -> bytes:
    """Open a compact JWE (RFC 7516) with ``dir`` and ``A256GCM``, nothing else."""
    parts = sealed.split(b".")
    if len(parts) != _JWE_PARTS or parts[1]:
        raise ValueError("not a compact JWE with a direct key")
    header, _, nonce, ciphertext, tag = parts
    headers = known.sealed_headers
    cipher = headers.get(header) or _cipher(header, known.sealing)
    plain = cipher.decrypt(_decode(nonce), _decode(ciphertext) + _decode(tag), header)
    if len(headers) < _KNOWN_HEADERS:
        headers[header] = cipher
    return plain


def _cipher(header: bytes, sealing: Mapping[str, AESGCM]) -> AESGCM:
    fields = orjson.loads(_decode(header))
    if fields.get("alg") != "dir" or fields.get("enc") != "A256GCM" or fields.keys() & {"crit", "zip"}:
        raise ValueError("not dir with A256GCM")
    return sealing[fields["kid"]]


def _check_signature(key: EllipticCurvePublicKey, signed: bytes, signature: bytes) -> None:
    try:
        raw = _decode(signature)
    except ValueError:
        raise AccordError("token_malformed") from None
    if len(raw) != _SIGNATURE_BYTES:
        raise AccordError("token_signature_invalid")
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        key.verify(pair, signed, _ES256)
    except InvalidSignature:
        raise AccordError("token_signature_invalid") from None


def _decode(segment: bytes) -> bytes:
    """Base64url without padding, strictly (RFC 7515 section 2). Raises ``ValueError``."""
    return a2b_base64(segment.translate(_BASE64) + _PADDING[len(segment) % 4], strict_mode=True)


def _json_object(segment: bytes) -> Claims:
    try:
        value = orjson.loads(_decode(segment))
    except ValueError:
        raise AccordError("token_malformed") from None
    if not isinstance(value, dict):
        raise AccordError("token_malformed")
    return value


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise _bad(name)
    return value


def _integer(claims: Claims, name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _bad(name)
    return value


def _binding(claims: Claims) -> tuple[str | None, str | None]:
    """``cnf``: a key's thumbprint or a certificate's. Any other way of binding, or two at once, is not passed over."""
    cnf = claims.get("cnf")
    if cnf is None:
        return None, None
    if not isinstance(cnf, dict) or cnf.keys() not in ({"jkt"}, {"x5t#S256"}):
        raise _bad("cnf")
    (value,) = cnf.values()
    if not isinstance(value, str) or not is_thumbprint(value):
        raise _bad("cnf")
    return (value, None) if "jkt" in cnf else (None, value)


def _status_index(claims: Claims, issuer: str) -> int:
    status = claims.get("status")
    reference = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(reference, dict):
        raise _bad("status")
    try:
        return index_of(issuer, _text(reference, "uri"), _integer(reference, "idx"))
    except ValueError:
        raise _bad("status") from None


def _details(claims: Claims) -> dict[str, Detail]:
    details = claims.get("authorization_details")
    if not isinstance(details, list):
        raise _bad("authorization_details")
    try:
        return {detail.dataset: detail for detail in map(_detail, details)}
    except (KeyError, TypeError, AttributeError, InvalidValue):
        raise _bad("authorization_details") from None


def _detail(claim: dict[str, object]) -> Detail:
    kind, fields, access = claim["type"], claim["datatypes"], claim.get("access", "once")
    if not isinstance(kind, str) or not kind.startswith(DETAIL_TYPE_PREFIX):
        raise TypeError("type")
    if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
        raise TypeError("datatypes")
    if access not in ("once", "recurring"):
        raise TypeError("access")
    return Detail(
        dataset=kind.removeprefix(DETAIL_TYPE_PREFIX),
        fields=tuple(fields),
        purpose=_text(claim, "purpose"),
        # Checked when the grant was made, and again by the policy, which compares it with the registry.
        recipient=Siret(_text(claim, "recipient")),
        access=access,
        max_per_day=_limit(claim),
        expires_at=_integer(claim, "expires_at") if "expires_at" in claim else None,
        retention=_text(claim, "retention") if "retention" in claim else None,
        rules=_rules(claim["derived"], fields) if "derived" in claim else (),
    )


def _rules(claim: object, fields: list[str]) -> tuple[Rule, ...]:
    """The rules, under every limit under which they were agreed to."""
    if not isinstance(claim, list):
        raise TypeError("derived")
    rules = tuple(map(rule_from_claim, claim))
    check_together(rules, fields)
    return rules


def _limit(claim: dict[str, object]) -> int | None:
    if "max_per_day" not in claim:
        return None
    limit = _integer(claim, "max_per_day")
    if not 0 < limit <= MAX_PER_DAY:
        raise TypeError("max_per_day")
    return limit


def _bad(claim: str, **facts: Fact) -> AccordError:
    return AccordError("token_claims_invalid", claim=claim, **facts)
