"""The Status List Token: a list of grants' statuses, compressed and signed (Token Status List, draft 21). Pure."""

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import jwt

from consent.config import ConsentConfig
from consent.status import PATH

BITS = 2
TTL = 60
"""Seconds after which a relying party asks again."""
LIFE = 600
"""Seconds after which a token is worth nothing."""
MEDIA_TYPE = "application/statuslist+jwt"
MAX_COMPRESSED = 8_000_000
_LEVEL = 9


def encode(statuses: bytes) -> str:
    """``lst``: the bytes in DEFLATE with ZLIB's frame, base64url without padding (section 4.1)."""
    return urlsafe_b64encode(zlib.compress(statuses, _LEVEL)).rstrip(b"=").decode()


def decode(lst: str, *, size: int) -> bytes:
    """The bytes of a ``lst``, at most ``size`` of them. Raises ``ValueError`` for anything else."""
    if len(lst) > MAX_COMPRESSED:
        raise ValueError("lst: too long")
    inflate = zlib.decompressobj()
    try:
        statuses = inflate.decompress(urlsafe_b64decode(lst + "=" * (-len(lst) % 4)), size)
    except zlib.error:
        raise ValueError("lst: not DEFLATE") from None
    if not inflate.eof or inflate.unused_data:
        raise ValueError("lst: cut short, or longer than it may be")
    return statuses


def status_at(statuses: bytes, index: int, *, bits: int = BITS) -> int:
    """The status at ``index``; the first of a byte is in its lowest bits (section 4.1)."""
    place, shift = divmod(index * bits, 8)
    return statuses[place] >> shift & ((1 << bits) - 1)


def make_status_token(statuses: bytes, number: int, config: ConsentConfig, *, now: int) -> str:
    """The signed list ``number`` as of ``now`` (Unix seconds; section 5.1)."""
    claims: dict[str, Any] = {
        "sub": f"{config.issuer}{PATH}{number}",
        "iat": now,
        "exp": now + LIFE,
        "ttl": TTL,
        "status_list": {"bits": BITS, "lst": encode(statuses)},
    }
    key = config.token_keys.current
    return jwt.encode(claims, key.private, algorithm="ES256", headers={"typ": "statuslist+jwt", "kid": key.kid})
