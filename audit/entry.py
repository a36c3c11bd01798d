"""An entry of the log: canonical JSON (RFC 8785) whose detail is sealed by a salted hash, so that it can be erased."""

from collections.abc import Mapping
from hashlib import sha256

import orjson

from audit.model import DetailValue, EntryValue

SALT_BYTES = 32


def canonical(value: Mapping[str, object]) -> bytes:
    """RFC 8785 for what entries hold: ASCII keys, strings, integers, booleans and lists of strings.

    For these orjson with sorted keys writes the same bytes; a test compares it with an implementation of the RFC.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def seal(salt: bytes, detail: bytes) -> str:
    """SHA-256(salt || detail) in hexadecimal: binds the entry to its detail and tells nothing once that is erased."""
    return sha256(salt + detail).hexdigest()


def leaf_of(skeleton: Mapping[str, EntryValue], *, salt: bytes, detail: bytes) -> bytes:
    """The bytes that are hashed into the tree."""
    return canonical({**skeleton, "sealed": seal(salt, detail)})


def detail_bytes(detail: Mapping[str, DetailValue]) -> bytes:
    """The sealed part as it is kept."""
    return canonical(detail)
