"""The form of a search: what was typed, what is wrong with it, and what may be chosen. Pure but for a port.

A filter is checked parameter by parameter, so that every mistake is marked at once; what is right alone may still be
wrong together (a period that ends before it begins, a person without a ground).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import urlencode

from audit.auditors import Auditor
from audit.filters import GROUNDS, SEALED, TERMS, Filter, names
from audit.pages.dates import days_ago
from audit.pages.texts import codes, say
from audit.pages.wording import Wording
from audit.query import AccessRecord
from openapi.problem import AccordError

MAIN = ("organisation", "application", "kind", "outcome", "since", "until")
MORE = ("dataset", "field", "purpose", "legal_basis", "provider", "delegate", "request_id")
PERSONAL = ("citizen", "grant", "ground", "case")
UNCOUNTED = ("request_id", *PERSONAL)
"""What a count does not take: it would be about one person or one request."""
PERIODS = (7, 30, 365)
"""Days, today among them, that one press of a link searches."""

_CHOSEN = {"kind": "kind", "legal_basis": "legal_basis"}
"""Parameters with few values: chosen from a list, which the texts begin."""
_SUGGESTED = ("organisation", "delegate", "application", "outcome", "dataset", "field", "purpose", "provider")
_EDGES = ("since", "until")
_MOST_OFFERED = 500
"""Values suggested for one field: any other can be typed."""
_MAX_SHOWN = 200
"""Characters of a value that is shown again with its mistake."""
_DAY_LENGTH = len("2026-10-31")

Widget: TypeAlias = Literal["text", "date", "select", "fixed"]


@dataclass(frozen=True, slots=True)
class Asked:
    """An address read as a filter. ``filter`` is ``None`` where there are ``mistakes`` (parameter -> sentence)."""

    given: Mapping[str, str]
    filter: Filter | None
    mistakes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Option:
    """A value to choose, with its words."""

    value: str
    words: str


@dataclass(frozen=True, slots=True)
class Control:
    """One field of the form. ``words``: what its value means; ``mistake``: what to correct, or nothing."""

    name: str
    label: str
    value: str
    widget: Widget
    hint: str
    words: str
    mistake: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Criterion:
    """A filter that holds, and the address of the same search without it."""

    label: str
    words: str
    without: str


@dataclass(frozen=True, slots=True)
class Period:
    """The same search in the last days."""

    words: str
    address: str


@dataclass(frozen=True, slots=True)
class Form:
    """All that the form's template needs. ``personal`` is empty for readers who may not look a person up."""

    action: str
    main: Sequence[Control]
    more: Sequence[Control]
    personal: Sequence[Control]
    mistakes: Sequence[Control]
    criteria: Sequence[Criterion]
    periods: Sequence[Period]
    opened: frozenset[str] = field(default_factory=frozenset)


def read(parameters: Mapping[str, str], *, counted: bool = False) -> Asked:
    """The filter of an address, or what is wrong with it. ``counted``: a person or a request may not be asked for."""
    given = {name: value for name in names() if (value := parameters.get(name, "").strip())}
    mistakes = {name: found for name, value in given.items() if (found := _mistake(name, value))}
    if counted:
        mistakes |= {name: "not_counted" for name in UNCOUNTED if name in given}
    elif any(name in given for name in SEALED):
        mistakes |= {name: f"{name}_missing" for name in ("ground", "case") if name not in given}
    if mistakes:
        return Asked(given, None, mistakes)
    try:
        return Asked(given, Filter.parse(given), {})
    except AccordError:
        # All that is wrong with values which are right alone, and with a ground that is stated.
        return Asked(given, None, {"until": "order"})


def address(path: str, given: Mapping[str, str], **more: object) -> str:
    """A path of ours with a filter, and what else is ``more``."""
    asked = urlencode({**given, **more})
    return f"{path}?{asked}" if asked else path


def without(given: Mapping[str, str], name: str) -> dict[str, str]:
    """A filter without one parameter; the ground goes with the last person it was stated for."""
    left = {key: value for key, value in given.items() if key != name}
    if name in PERSONAL and not any(key in left for key in SEALED):
        return {key: value for key, value in left.items() if key not in PERSONAL}
    return left


def make_form(
    asked: Asked,
    *,
    action: str,
    reader: Auditor,
    wording: Wording,
    seen: Sequence[AccessRecord] = (),
    counted: bool = False,
    now: float,
) -> Form:
    """``seen``: entries on the page, whose values may be chosen too."""
    maker = _Maker(asked, reader, wording, seen)
    shown = UNCOUNTED if counted else ()
    main = [maker.control(name) for name in MAIN]
    more = [maker.control(name) for name in MORE if name not in shown or name in asked.mistakes]
    personal = [maker.control(name) for name in PERSONAL if name not in shown or name in asked.mistakes]
    if not reader.sees_details:
        personal = []
    groups = {"more": more, "personal": personal}
    return Form(
        action=action,
        main=main,
        more=more,
        personal=personal,
        mistakes=[one for one in (*main, *more, *personal) if one.mistake],
        criteria=_criteria(asked, action, wording),
        periods=_periods(asked, action, wording, now),
        opened=frozenset(name for name, group in groups.items() if any(one.value or one.mistake for one in group)),
    )


@dataclass(frozen=True, slots=True)
class _Maker:
    asked: Asked
    reader: Auditor
    wording: Wording
    seen: Sequence[AccessRecord]

    def control(self, name: str) -> Control:
        if name == "organisation" and self.reader.organisation is not None:
            return self._fixed(self.reader.organisation)
        value = self.asked.given.get(name, "")[:_MAX_SHOWN]
        mistake = self.asked.mistakes.get(name, "")
        words = self.wording.value(name, value) if value and not mistake else ""
        widget = _widget(name, value, mistaken=bool(mistake))
        return Control(
            name=name,
            label=self._say(f"label.{name}"),
            value=value,
            widget=widget,
            hint=self._hint(name, widget),
            words="" if words == value or name in _EDGES else words,
            mistake=self._say(f"mistake.{mistake}") if mistake else "",
            options=self._options(name, value),
        )

    def _hint(self, name: str, widget: Widget) -> str:
        if name in _EDGES and widget == "text":
            return self._say("hint.moment")
        return self._say(f"hint.{name}") if name in codes("hint") else ""

    def _fixed(self, siret: str) -> Control:
        label, words = self._say("label.organisation"), self.wording.organisation(siret)
        mistake = self.asked.mistakes.get("organisation", "")
        return Control(
            "organisation", label, siret, "fixed", "", words, self._say(f"mistake.{mistake}") if mistake else ""
        )

    def _options(self, name: str, value: str) -> tuple[Option, ...]:
        if name == "ground":
            return tuple(Option(one, self.wording.value(name, one)) for one in GROUNDS)
        if name in _CHOSEN:
            # What was typed into the address stays, or sending the form again would drop it unseen.
            found = dict.fromkeys((*codes(name), *self._offered(name), *((value,) if value else ())))
            return tuple(Option(one, self.wording.value(name, one)) for one in found)
        if name not in _SUGGESTED:
            return ()
        values = {*self._offered(name), *self._seen(name)}
        options = (Option(one, self.wording.value(name, one)) for one in values)
        return tuple(sorted(options, key=lambda one: (one.words.casefold(), one.value)))[:_MOST_OFFERED]

    def _offered(self, name: str) -> Collection[str]:
        return self.wording.names.offered(name, organisation=self.reader.organisation)

    def _seen(self, name: str) -> set[str]:
        found: set[str] = set()
        for record in self.seen:
            value = record.skeleton.get("fields" if name == "field" else TERMS[name])
            found.update(map(str, value) if isinstance(value, list) else str(value or "").split(","))
        return found - {""}

    def _say(self, key: str) -> str:
        return say(self.wording.language, key)


def _widget(name: str, value: str, *, mistaken: bool) -> Widget:
    if name in _CHOSEN or name == "ground":
        return "select"
    # A moment in UTC, which a pattern's address has, does not fit a browser's calendar of days.
    if name in _EDGES and not mistaken and len(value) in {0, _DAY_LENGTH}:
        return "date"
    return "text"


def _mistake(name: str, value: str) -> str:
    """What is wrong with one value alone: the name of a sentence, or nothing."""
    stated = {"ground": GROUNDS[0], "case": "x"} if name in SEALED else {}
    try:
        Filter.parse({**stated, name: value})
    except AccordError:
        kinds = {"organisation": "siret", "delegate": "siret", "since": "moment", "until": "moment"}
        return kinds.get(name, name if name in {"ground", "case"} else "value")
    return ""


def _criteria(asked: Asked, action: str, wording: Wording) -> list[Criterion]:
    if asked.filter is None:
        return []
    return [
        Criterion(
            say(wording.language, f"label.{name}"),
            wording.value(name, value),
            address(action, without(asked.given, name)),
        )
        for name, value in asked.given.items()
    ]


def _periods(asked: Asked, action: str, wording: Wording, now: float) -> list[Period]:
    if asked.filter is None:
        return []
    left = {name: value for name, value in asked.given.items() if name not in {"since", "until"}}
    return [
        Period(say(wording.language, f"period.last_{days}"), address(action, left, since=days_ago(now, days - 1)))
        for days in PERIODS
    ]
