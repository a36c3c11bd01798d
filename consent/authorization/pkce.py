"""PKCE (RFC 7636) with S256 alone: ``plain`` would put the verifier in the request it protects."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode

METHOD = "S256"

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")


def is_challenge(challenge: str) -> bool:
    """Whether it is a SHA-256 in base64url, as S256 makes it (section 4.2)."""
    return bool(_CHALLENGE.match(challenge))


def proves(verifier: str, challenge: str) -> bool:
    """Whether the verifier is the one the challenge was made from, in constant time (section 4.6)."""
    if not _VERIFIER.match(verifier):
        return False
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return hmac.compare_digest(urlsafe_b64encode(digest).rstrip(b"="), challenge.encode("ascii"))
