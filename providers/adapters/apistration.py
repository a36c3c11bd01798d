"""How the State's platform says no: API Particulier and API Entreprise share its form and its table of errors. Pure.

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
        return kind(holder, retry_in=retry_in(reply, now)) if issubclass(kind, _PASSING) else kind(holder)

    def _by_subcode(self, code: str) -> type[ProviderError] | None:
        return self.by_subcode.get(code[2:]) if len(code) == _CODE_DIGITS and code[:2] != _PLATFORM else None


def retry_in(reply: HolderReply, now: float) -> int:
    """Whole seconds to wait."""
    return ceil(told_to_wait(reply.headers, now))


def _code(body: bytes) -> str:
    """The code of the first error, or nothing: an error's body may be anything."""
    try:
        code = orjson.loads(body)["errors"][0]["code"]
    except (ValueError, TypeError, KeyError, IndexError):
        return ""
    return code if isinstance(code, str) else ""
