"""Derived answers: what a rule answers about a holder's record. Pure and total.

Every rule has an answer for every record; that it cannot be worked out is an answer of its own, with its reason, and
never 0, ``false`` or the lowest bracket. An answer is all that leaves: no function here returns a value of the record.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias
from zoneinfo import ZoneInfo

from openapi.rules import NoAnswer, Rule

PARIS = ZoneInfo("Europe/Paris")

AnswerValue: TypeAlias = bool | int | Mapping[str, int]
Calculation: TypeAlias = Callable[[Mapping[str, object], date], "DerivedAnswer"]

_DATE = re.compile(r"([0-9]{4})-(0[0-9]|1[0-2])-([0-2][0-9]|3[01])\Z")
_Born: TypeAlias = tuple[int, int, int]
_LAST_MONTH, _LAST_DAY = 12, 31


@dataclass(frozen=True, slots=True)
class DerivedAnswer:
    """An answer, or why there is none. ``repr`` shows neither."""

    value: AnswerValue | None = None
    reason: NoAnswer | None = None

    def __repr__(self) -> str:
        return "DerivedAnswer(...)"

    def to_json(self) -> dict[str, object]:
        """As it leaves: ``value`` is null where ``computable`` is false, and ``reason`` says why."""
        if self.reason is not None:
            return {"computable": False, "value": None, "reason": self.reason}
        return {"computable": True, "value": self.value}


class _NotComputable(Exception):
    """Carries its reason, nothing of the record."""

    def __init__(self, reason: NoAnswer) -> None:
        super().__init__(reason)
        self.reason: NoAnswer = reason


def derive(rules: Sequence[Rule], record: Mapping[str, object], *, at: int) -> dict[str, DerivedAnswer]:
    """Each rule's answer under its name. ``at``: when the record was retrieved, Unix seconds.

    Ages are those of that day in Paris.
    """
    today = datetime.fromtimestamp(at, PARIS).date()
    return {rule.name: _calculation(rule)(record, today) for rule in rules}


def not_computable(rules: Sequence[Rule], reason: NoAnswer) -> dict[str, DerivedAnswer]:
    """The same answer to every rule: there is none."""
    return {rule.name: DerivedAnswer(reason=reason) for rule in rules}


@lru_cache(maxsize=4096)
def _calculation(rule: Rule) -> Calculation:
    """The rule made ready; two rules of the same text are equal and share it."""
    segments, answer = tuple(rule.field.split(".")), _KINDS[rule.kind](rule)

    def calculate(record: Mapping[str, object], today: date) -> DerivedAnswer:
        try:
            return DerivedAnswer(answer(list(_values(record, segments)), today))
        except _NotComputable as none:
            return DerivedAnswer(reason=none.reason)

    return calculate


def _values(node: object, segments: tuple[str, ...]) -> Iterator[object]:
    """Every value at the path's end; lists are crossed; ``None`` where the way breaks off."""
    if isinstance(node, list):
        for item in node:
            yield from _values(item, segments)
    elif not segments:
        yield node
    elif isinstance(node, Mapping):
        yield from _values(node.get(segments[0]), segments[1:])
    else:
        yield None


_Compute: TypeAlias = Callable[[list[object], date], AnswerValue]


def _bracket(rule: Rule) -> _Compute:
    edges = (None, *rule.numbers, None)
    brackets = [
        {name: bound for name, bound in (("from", low), ("below", high)) if bound is not None}
        for low, high in pairwise(edges)
    ]

    def compute(values: list[object], _today: date) -> AnswerValue:
        number = _one_number(values)
        return brackets[sum(number >= bound for bound in rule.numbers)]

    return compute


def _at_most(rule: Rule) -> _Compute:
    return lambda values, _today: _one_number(values) <= rule.numbers[0]


def _at_least(rule: Rule) -> _Compute:
    return lambda values, _today: _one_number(values) >= rule.numbers[0]


def _is_present(_rule: Rule) -> _Compute:
    return lambda values, _today: any(value not in (None, "") for value in values)


def _count(rule: Rule) -> _Compute:
    years = rule.numbers[0]
    return lambda values, today: sum(_is_under(value, years, today) for value in values)


_KINDS: Mapping[str, Callable[[Rule], _Compute]] = {
    "bracket": _bracket,
    "at_most": _at_most,
    "at_least": _at_least,
    "is_present": _is_present,
    "count": _count,
}


def _one_number(values: list[object]) -> float:
    if len(values) > 1:
        raise _NotComputable("several_values")
    value = values[0] if values else None
    if value is None:
        raise _NotComputable("missing")
    # The exact type: a bool is an int to Python, and no amount. Integers may be too large for a float: they compare.
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    raise _NotComputable("unreadable")


def _is_under(value: object, years: int, today: date) -> bool:
    """Whether somebody born then is younger than ``years`` today.

    An age is reached on the birthday; who was born on 29 February reaches it on 1 March in other years.
    """
    earliest, latest = _born(value, today)
    # Born after this day: under the age. It need not exist in the calendar, it is only compared with.
    limit = (today.year - years, today.month, today.day)
    if (earliest > limit) != (latest > limit):
        raise _NotComputable("date_incomplete")
    return latest > limit


def _born(value: object, today: date) -> tuple[_Born, _Born]:
    """The first and the last day that a date of birth may mean: ``00`` is an unknown month or day."""
    if value in (None, ""):
        raise _NotComputable("missing")
    found = _DATE.match(value) if isinstance(value, str) else None
    if found is None:
        raise _NotComputable("unreadable")
    year, month, day = (int(part) for part in found.groups())
    if not year:
        raise _NotComputable("date_incomplete")
    earliest = (year, month or 1, day if month and day else 1)
    latest = (year, month or _LAST_MONTH, day if month and day else _LAST_DAY)
    now = (today.year, today.month, today.day)
    if earliest > now or (month and day and not _exists(year, month, day)):
        raise _NotComputable("unreadable")
    return earliest, min(latest, now)


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
