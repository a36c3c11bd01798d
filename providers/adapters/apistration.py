"""What API Particulier and API Entreprise, one platform of the State's, say alike. Pure.

An answer is ``{"data", "links", "meta"}``; a refusal is
``{"errors": [{"code", "title", "detail", ...}]}``; a code is two digits for who answered (``00``: the platform itself)
and three for what happened, so that ``01003``, ``04003`` and ``34003`` all mean that nothing was found.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

import orjson

from providers.errors import (
    AnswerInvalid,
    BadInput,
    HolderBusy,
    HolderFailed,
    HolderRefused,
    HolderTimeout,
    HolderUnreachable,
    ProviderError,
)
from providers.port import HolderReply
from providers.rate import told_to_wait

LONGEST_EXTRA = 2_048
"""Characters of a text in ``links`` or ``meta``: a URL, at most."""

BY_STATUS: Mapping[int, type[ProviderError]] = {
    400: BadInput,
    401: HolderRefused,
    403: HolderRefused,
    # The same question is under way: its answer is about to come.
    409: HolderBusy,
    422: BadInput,
    429: HolderBusy,
    500: HolderFailed,
    502: HolderFailed,
    503: HolderUnreachable,
    504: HolderUnreachable,
}
"""What a status means on either; what 404 means depends on whom the dataset is about."""

_PASSING = (HolderBusy, HolderFailed, HolderUnreachable, HolderTimeout)
"""Errors after which waiting helps."""
_CODE_DIGITS = 5
_PLATFORM = "00"


@dataclass(frozen=True, slots=True)
class Errors:
    """The table of one API: a whole code counts before its last three digits, and those before the status."""

    by_status: Mapping[int, type[ProviderError]]
    by_code: Mapping[str, type[ProviderError]] = field(default_factory=dict)
    by_subcode: Mapping[str, type[ProviderError]] = field(default_factory=dict)

    def of(self, holder: str, reply: HolderReply, *, now: float) -> ProviderError:
        """The declared error that a reply other than 200 is. ``now``: Unix seconds."""
        code = _code(reply.body)
        kind = self.by_code.get(code) or self._by_subcode(code) or self.by_status.get(reply.status, AnswerInvalid)
        if issubclass(kind, _PASSING):
            return kind(holder, retry_in=ceil(told_to_wait(reply.headers, now)))
        return kind(holder)

    def _by_subcode(self, code: str) -> type[ProviderError] | None:
        return self.by_subcode.get(code[2:]) if len(code) == _CODE_DIGITS and code[:2] != _PLATFORM else None


def extras(envelope: Mapping[str, object], key: str, names: frozenset[str]) -> dict[str, object]:
    """Those of ``links`` or ``meta`` (``key``) that the manifest names: single values, of bounded length.

    Raises ``TypeError`` where they are not in an object.
    """
    if not names:
        return {}
    found = envelope.get(key) or {}
    if not isinstance(found, dict):
        raise TypeError(key)
    return {name: found[name] for name in sorted(names) if name in found and _is_single(found[name])}


def _is_single(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_EXTRA
    return value is None or isinstance(value, int | float)


def _code(body: bytes) -> str:
    """The code of the first error, or nothing: an error's body may be anything."""
    try:
        code = orjson.loads(body)["errors"][0]["code"]
    except (ValueError, TypeError, KeyError, IndexError):
        return ""
    return code if isinstance(code, str) else ""
