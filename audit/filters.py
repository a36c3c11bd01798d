"""What an auditor asks for, as a URL has it: parsed, bounded, and turned into what is looked for. Pure.

A saved search is its URL. A filter by a citizen or by an authorisation is for readers of sealed details, and for a
ground that is stated: it is written into the entry of the query.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from audit.auditors import Auditor
from audit.query import Wanted
from openapi.fields import InvalidValue, siret
from openapi.problem import AccordError

PARIS = ZoneInfo("Europe/Paris")
GROUNDS = ("complaint", "citizen_request", "incident", "inspection", "judicial_request")
"""Why a citizen or an authorisation is looked up."""

TERMS = {
    "organisation": "recipient",
    "delegate": "delegate",
    "application": "client",
    "dataset": "dataset",
    "field": "field",
    "purpose": "purpose",
    "legal_basis": "legal_basis",
    "provider": "provider",
    "kind": "kind",
    "outcome": "outcome",
}
"""Parameter of a URL -> key of an entry."""
SEALED = {"citizen": "citizen", "grant": "grant_id"}
"""Parameter of a URL -> key of a sealed detail."""

_VALUE = re.compile(r"[\x21-\x7e]{1,120}", re.ASCII)
_FORMS = {
    "ground": re.compile("|".join(GROUNDS)),
    "case": re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,39}", re.ASCII),
}
_EXPECTED = {
    "ground": "one of " + ", ".join(GROUNDS),
    "case": "a file's reference of at most 40 letters, digits and ._/-, without any name",
}
_EXPECTED_VALUE = "at most 120 printable ASCII characters without spaces"
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The parameters as they were given; what is empty was not asked.

    ``since`` and ``until``: a day of Paris (``2026-10-31``; both belong to the period) or a moment in UTC
    (``2026-10-31T08:00:00Z``; the second is the first moment after it). ``ground`` and ``case``: why a citizen is
    looked up, a code of :data:`GROUNDS` and the reference of a file, without her name.
    """

    organisation: str = ""
    delegate: str = ""
    application: str = ""
    dataset: str = ""
    field: str = ""
    purpose: str = ""
    legal_basis: str = ""
    provider: str = ""
    kind: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""
    citizen: str = ""
    grant: str = ""
    request_id: str = ""
    ground: str = ""
    case: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Self:
        """Those parameters that are a filter's; others are passed over.

        Raises :class:`AccordError`: ``request_malformed`` with the parameter, or ``audit_ground_missing``.
        """
        values = {name: value for name in names() if (value := given.get(name, "").strip())}
        for name, value in values.items():
            _check(name, value)
        parsed = cls(**values)
        if parsed.is_personal and not (parsed.ground and parsed.case):
            raise AccordError("audit_ground_missing")
        since, until = parsed.period
        if since is not None and until is not None and since >= until:
            raise AccordError("request_malformed", field="until", expected="a day or moment after 'since'")
        return parsed

    @property
    def is_personal(self) -> bool:
        """Whether one person is looked for."""
        return bool(self.citizen or self.grant)

    @property
    def given(self) -> dict[str, str]:
        """What was asked, for a URL or a manifest, in the order of the parameters."""
        return {name: value for name in names() if (value := getattr(self, name))}

    @property
    def public(self) -> dict[str, str]:
        """What of it an entry may say in the clear: neither whom nor which authorisation, nor why."""
        return {name: value for name, value in self.given.items() if name not in {*SEALED, "ground", "case"}}

    @property
    def period(self) -> tuple[int | None, int | None]:
        """First moment and first moment after, Unix seconds."""
        since = _moment(self.since) if self.since else None
        until = _moment(self.until, end=True) if self.until else None
        return since, until

    def wanted(self) -> Wanted:
        """What is looked for."""
        since, until = self.period
        rare = {key: value for name, key in SEALED.items() if (value := getattr(self, name))}
        if self.request_id:
            rare["request_id"] = self.request_id
        terms = {key: value for name, key in TERMS.items() if (value := getattr(self, name))}
        return Wanted(terms, rare=rare, since=since, until=until)


def names() -> tuple[str, ...]:
    """The parameters of a filter."""
    return tuple(one.name for one in fields(Filter))


def narrowed(asked: Filter, reader: Auditor) -> Filter:
    """The filter as this reader may use it: an auditor of one organisation sees that one alone.

    Raises :class:`AccordError`: ``auditor_not_allowed``.
    """
    if asked.is_personal and not reader.sees_details:
        raise AccordError("auditor_not_allowed")
    if reader.organisation is None:
        return asked
    if asked.organisation not in {"", reader.organisation}:
        raise AccordError("auditor_not_allowed")
    return replace(asked, organisation=reader.organisation)


def _check(name: str, value: str) -> None:
    try:
        if name in {"organisation", "delegate"}:
            siret(value, field=name)
        elif name in {"since", "until"}:
            _moment(value, end=name == "until")
        elif not _FORMS.get(name, _VALUE).fullmatch(value):
            raise AccordError("request_malformed", field=name, expected=_EXPECTED.get(name, _EXPECTED_VALUE))
    except InvalidValue as error:
        raise AccordError("request_malformed", field=error.field, expected=error.expected) from None
    except (ValueError, OverflowError):
        raise AccordError("request_malformed", field=name, expected="2026-10-31 or 2026-10-31T08:00:00Z") from None


def _moment(value: str, *, end: bool = False) -> int:
    """Unix seconds. The end of a period given as a day is the first moment of the next one."""
    if _MOMENT.fullmatch(value):
        found = datetime.fromisoformat(value)
    elif _DAY.fullmatch(value):
        day = date.fromisoformat(value) + timedelta(days=end)
        found = datetime(day.year, day.month, day.day, tzinfo=PARIS)
    else:
        raise ValueError("neither a day nor a moment")
    if not _FIRST <= found <= _LAST:
        raise ValueError("outside of the years 2000 to 2199")
    return int(found.timestamp())
