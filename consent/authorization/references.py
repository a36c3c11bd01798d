"""Secrets that we hand out and recognise later: codes and request URIs. Only their hashes are stored.

They carry 256 random bits, so a plain hash suffices: there is nothing to guess, and finding a hash in an index tells
an attacker nothing about the secret.
"""

import hashlib
from secrets import token_urlsafe

REQUEST_URI_PREFIX = "urn:ietf:params:oauth:request_uri:"
"""RFC 9126 section 2.2."""
MAX_LENGTH = 128
"""No code or request URI of ours is longer."""

_RANDOM_BYTES = 32


def new_request_uri() -> str:
    """A fresh ``request_uri``."""
    return REQUEST_URI_PREFIX + token_urlsafe(_RANDOM_BYTES)


def new_code() -> str:
    """A fresh authorization code."""
    return token_urlsafe(_RANDOM_BYTES)


def new_refresh_token() -> str:
    """A fresh refresh token."""
    return token_urlsafe(_RANDOM_BYTES)


def hashed(reference: str) -> str:
    """How a code, a ``request_uri`` or a refresh token is stored: SHA-256 in hex."""
    return hashlib.sha256(reference.encode("utf-8", "replace")).hexdigest()
