"""Rules of derived answers: the application learns an answer about a field without learning the field.

A value type that several packages speak: consent reads it from a request and says it in words, the gateway reads it
from a token, the log keeps its text. A rule is one of five kinds over one field, with a few whole numbers: small,
total and bounded, so that a citizen can read what she agrees to and an auditor what was answered.

=============  ====================  ========================================================
``rule``       its member            the answer
=============  ====================  ========================================================
`bracket`      ``bounds``            between which two of the bounds the number is
`at_most`      ``value``             whether the number is that or less
`at_least`     ``value``             whether the number is that or more
`is_present`                         whether the holder has a value
`count`        ``under_years``       how many of the dates of birth are of people under that age
=============  ====================  ========================================================
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from openapi.fields import InvalidValue

RuleKind: TypeAlias = Literal["bracket", "at_most", "at_least", "is_present", "count"]

MAX_RULES = 8
"""Rules about one dataset in one authorisation."""
MAX_CUTS = 12
"""Numbers in all the rules over one field: what is answered about it tells at most 13 things apart."""
LARGEST = 1_000_000_000
"""Bounds and thresholds lie between minus this and this."""
OLDEST = 120
"""Years."""

NoAnswer: TypeAlias = Literal["missing", "several_values", "unreadable", "date_incomplete", "not_computable_by_holder"]
NO_ANSWER: tuple[NoAnswer, ...] = get_args(NoAnswer)
"""Why a rule has no answer. ``missing``: the holder gives no value, or not for everyone who is counted.
``several_values``: there are more than one where one is needed. ``unreadable``: not a number, not a date, a date that
does not exist or lies ahead. ``date_incomplete``: its day or month is unknown and would decide.
``not_computable_by_holder``: the holder says that a file exists and the value does not."""

RULE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")

MEMBERS: Mapping[RuleKind, str | None] = {
    "bracket": "bounds",
    "at_most": "value",
    "at_least": "value",
    "is_present": None,
    "count": "under_years",
}
"""The member that carries a rule's numbers."""
_TEXT = re.compile(r"([a-z0-9_]{1,32})=([a-z_]{1,16})\(([A-Za-z0-9_.]{1,200})((?:,-?[0-9]{1,10}){0,12})\)\Z")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, checked when it is made; raises :class:`InvalidValue`, naming the member.

    ``numbers``: the bounds in their order, the one threshold, the one age in years, or nothing.
    """

    name: str
    """Under which its answer is given, and may be asked for; the application's own word."""
    kind: RuleKind
    field: str
    numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not RULE_NAME.match(self.name):
            raise InvalidValue("name", "1 to 32 of a-z, 0-9 and _, beginning with a letter")
        if self.kind not in get_args(RuleKind):
            raise InvalidValue("rule", f"one of {', '.join(get_args(RuleKind))}")
        _check_numbers(self.kind, self.numbers)

    @property
    def text(self) -> str:
        """The canonical text, in ASCII without spaces: ``tranche=bracket(quotient_familial.valeur,500,800)``."""
        return f"{self.name}={self.kind}({','.join((self.field, *map(str, self.numbers)))})"

    def to_claim(self) -> dict[str, object]:
        """The rule as ``authorization_details`` carries it."""
        claim: dict[str, object] = {"name": self.name, "rule": self.kind, "field": self.field}
        member = MEMBERS[self.kind]
        if member is not None:
            claim[member] = list(self.numbers) if member == "bounds" else self.numbers[0]
        return claim


def rule_from_claim(claim: object) -> Rule:
    """The inverse of :meth:`Rule.to_claim`, for hostile JSON too. Raises :class:`InvalidValue`."""
    kind = claim.get("rule") if isinstance(claim, dict) else None
    if not isinstance(claim, dict) or not isinstance(kind, str) or kind not in get_args(RuleKind):
        raise InvalidValue("rule", f"one of {', '.join(get_args(RuleKind))}")
    member = MEMBERS[cast("RuleKind", kind)]
    known = {"name", "rule", "field", *((member,) if member is not None else ())}
    if claim.keys() != known:
        raise InvalidValue("derived", f"{kind} has exactly the members {', '.join(sorted(known))}")
    name, field = claim["name"], claim["field"]
    if not isinstance(name, str) or not isinstance(field, str):
        raise InvalidValue("derived", "name and field are texts")
    return Rule(name, cast("RuleKind", kind), field, _numbers(member, claim))


def rule_from_text(text: str) -> Rule:
    """The inverse of :attr:`Rule.text`. Raises :class:`InvalidValue`."""
    found = _TEXT.match(text)
    if found is None:
        raise InvalidValue("rule", "name=kind(field,numbers)")
    name, kind, field, numbers = found.groups()
    return Rule(name, cast("RuleKind", kind), field, tuple(int(one) for one in numbers.split(",")[1:]))


def read_rules(texts: object) -> tuple[Rule, ...]:
    """The rules of an entry of the log, from what stands under its ``rules``; what is not one is left out."""
    return tuple(_readable(texts if isinstance(texts, list | tuple) else ()))


def sources(rules: Iterable[Rule]) -> tuple[str, ...]:
    """The fields that rules are about, each once, in their order."""
    return tuple(dict.fromkeys(rule.field for rule in rules))


def check_together(rules: Sequence[Rule], fields: Collection[str]) -> None:
    """Hold the rules of one authorisation to what they may tell in all. Raises :class:`InvalidValue`.

    ``fields`` are those that leave as they are: a rule over one of them would tell nothing more, and what the citizen
    reads ("the amount is not passed on") would not be true.
    """
    if len(rules) > MAX_RULES:
        raise InvalidValue("derived", f"at most {MAX_RULES} rules")
    if len({rule.name for rule in rules}) != len(rules):
        raise InvalidValue("derived", "each name at most once")
    if any(rule.field in fields for rule in rules):
        raise InvalidValue("derived", "no rule over a field that is asked for itself")
    cuts: dict[str, set[tuple[bool, int]]] = defaultdict(set)
    for rule in rules:
        # 'at most 500' cuts above 500, everything else below its number.
        cuts[rule.field].update((rule.kind == "at_most", number) for number in rule.numbers)
    if any(len(found) > MAX_CUTS for found in cuts.values()):
        raise InvalidValue("derived", f"at most {MAX_CUTS} numbers over one field, in all rules together")


def _readable(texts: Iterable[object]) -> Iterator[Rule]:
    for text in texts:
        try:
            yield rule_from_text(str(text))
        except InvalidValue:
            continue


def _numbers(member: str | None, claim: Mapping[str, object]) -> tuple[int, ...]:
    if member is None:
        return ()
    value = claim[member]
    numbers = value if member == "bounds" else [value]
    # The exact type: a bool is an int to Python and not to JSON.
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise InvalidValue(member, "an array of whole numbers" if member == "bounds" else "a whole number")
    return tuple(numbers)


def _check_numbers(kind: RuleKind, numbers: tuple[int, ...]) -> None:
    if kind == "bracket":
        _check_bounds(numbers)
    elif len(numbers) != (MEMBERS[kind] is not None):
        raise InvalidValue(MEMBERS[kind] or "rule", "one number" if MEMBERS[kind] else "no number")
    elif kind == "count" and not 1 <= numbers[0] <= OLDEST:
        raise InvalidValue("under_years", f"a whole number, 1 to {OLDEST}")
    elif any(abs(number) > LARGEST for number in numbers):
        raise InvalidValue("value", f"a whole number, at most {LARGEST} from 0")


def _check_bounds(bounds: tuple[int, ...]) -> None:
    if not 1 <= len(bounds) <= MAX_CUTS or any(abs(bound) > LARGEST for bound in bounds):
        raise InvalidValue("bounds", f"1 to {MAX_CUTS} whole numbers, at most {LARGEST} from 0")
    if list(bounds) != sorted(set(bounds)):
        raise InvalidValue("bounds", "each number larger than the one before")
