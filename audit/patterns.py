"""Unusual patterns, shown and not judged: what stands out among one period's entries, in neutral words. Pure.

One pass over the observations in any order, in bounded memory: where a limit is reached, what was not looked at is
counted and said. A pattern is a figure with the filter that finds its entries; what it means is the auditor's to say.
"""

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from audit.query import ACCESS_KINDS
from openapi.problem import Language

PARIS = ZoneInfo("Europe/Paris")
HOUR = 3_600

MIN_BURST = 20
"""An hour of this many requests is ordinary for a counter clerk, however quiet the client's other hours are."""
BURST_FACTOR = 5
"""Times the median of the client's active hours: above the peaks of a start of term, below those of a loop."""
DAY_STARTS, DAY_ENDS = 7, 20
"""Hours of Paris between which town halls and their late openings work."""
WEEKEND = (6, 7)
"""ISO weekdays. Public holidays are not told apart: they move and differ by département."""
MIN_OFF_HOURS = 10
"""Fewer accesses out of hours are a late evening, not a habit."""
OFF_HOURS_SHARE = 10
"""Shown above one in this many of the client's accesses: what runs all day long spends more than that at night."""
MIN_REFUSALS = 10
"""Fewer refusals say nothing about a share."""
REFUSALS_SHARE = 5
"""Shown above one in this many requests: a client that asks what it may ask is refused far less."""
MIN_APPLICATIONS, MIN_RECIPIENTS = 3, 2
"""A family deals with a school's and a canteen's software of one town; a third one, of two organisations, is rare."""
WINDOW = 30 * 24 * HOUR
"""Seconds within which those are counted together: a month of procedures."""

MAX_CLIENTS = 2_000
"""Clients that are looked at: the first ones met. Fifty times those of a large département."""
MAX_HOURS = 100_000
"""Active hours counted, all clients together (about 30 MB): a month of 134 clients that never rest."""
MAX_LOOKS = 200_000
"""Accesses kept to compare who looked a citizen up (about 30 MB)."""
MAX_SHOWN = 100
"""Patterns shown of each kind, the latest: nobody reads more."""

PatternKind: TypeAlias = Literal["burst", "off_hours", "refusals", "several_applications"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One entry. ``time``: Unix seconds; ``client`` is empty when none made itself known.

    ``kind``: ``access``, ``refusal`` or ``failure`` (others are passed over); ``citizen``: the pseudonym, ``None``
    where the reader may not see it or it was erased.
    """

    index: int
    time: int
    recipient: str
    client: str
    outcome: str
    kind: str
    citizen: str | None


@dataclass(frozen=True, slots=True)
class Pattern:
    """What stands out, of whom, and where it is found.

    ``subject``: a client, for ``several_applications`` a citizen's pseudonym. ``count``: its entries, from
    ``first_index`` to ``last_index``, with others between. ``since`` and ``until``: Unix seconds, the first moment
    that belongs to it and the first after it. ``query`` finds its entries, and others where it cannot be as narrow:
    ``client``, ``since``, ``until`` (RFC 3339, in UTC, half-open like above), ``outcome``, ``citizen``.
    """

    kind: PatternKind
    subject: str
    first_index: int
    last_index: int
    count: int
    since: int
    until: int
    facts: Mapping[str, int | str]
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Observations that a limit kept out, or that are of no client (``nameless``); ``patterns``: those not shown."""

    clients: int = 0
    hours: int = 0
    looks: int = 0
    nameless: int = 0
    patterns: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What stands out, latest first, among how many ``observations``, and what was left out."""

    patterns: Sequence[Pattern]
    observations: int
    left_out: LeftOut


def find_patterns(observations: Iterable[Observation]) -> Found:
    """Every pattern of a period (times of 1970 to 9999); the same in any order, while no limit is reached."""
    tallies = _Tallies()
    for one in observations:
        if one.kind in ACCESS_KINDS:
            tallies.add(one)
    return tallies.found()


def off_hours(time: int) -> Literal["night", "weekend"] | None:
    """Whether a moment (Unix seconds) lies outside the office hours of Paris: on which side of them."""
    # Paris is whole hours from UTC, in summer and in winter: every second of an hour is alike.
    return _off_hour(time // HOUR)


def sentence(pattern: Pattern, language: Language) -> str:
    """What is seen, in neutral words; whose it is (``subject``) is for the page to name beside it."""
    facts = {name: grouped(fact, language) for name, fact in pattern.facts.items()}
    local = datetime.fromtimestamp(pattern.since, PARIS)
    return _SENTENCES[language][pattern.kind].format(
        count=grouped(pattern.count, language),
        first=_day(pattern.since, language),
        last=_day(pattern.until - 1, language),
        hour=f"{local.hour}\xa0h" if language == "fr" else f"{local.hour:02}:00",
        share=pattern.count * 100 // int(pattern.facts.get("among", pattern.count)),
        **facts,
    )


def what_was_left_out(found: Found, language: Language) -> tuple[str, ...]:
    """A sentence for each limit that was reached."""
    return tuple(
        words.format(count=grouped(count, language), limit=grouped(_LIMITS[name], language))
        for name, words in _LEFT_OUT[language].items()
        if (count := getattr(found.left_out, name))
    )


def grouped(fact: int | str, language: Language) -> str:
    """A number with its thousands apart: a narrow no-break space in French, a comma in English."""
    if isinstance(fact, str):
        return fact.replace(".", ",") if language == "fr" else fact
    return f"{fact:,}".replace(",", "\u202f") if language == "fr" else f"{fact:,}"


@dataclass(slots=True)
class _Span:
    """Entries counted together."""

    count: int = 0
    first_index: int = 0
    last_index: int = 0
    first: int = 0
    last: int = 0

    def add(self, one: Observation) -> None:
        if not self.count:
            self.first_index = self.last_index = one.index
            self.first = self.last = one.time
        self.count += 1
        self.first_index, self.last_index = min(self.first_index, one.index), max(self.last_index, one.index)
        self.first, self.last = min(self.first, one.time), max(self.last, one.time)


@dataclass(slots=True)
class _Client:
    """What is counted of one client."""

    requests: int = 0
    accesses: int = 0
    nights: int = 0
    weekends: int = 0
    off_hours: _Span = field(default_factory=_Span)
    refusals: _Span = field(default_factory=_Span)
    outcomes: set[str] = field(default_factory=set)
    """Of its refusals: at most two, enough to know whether there is but one."""
    hours: dict[int, _Span] = field(default_factory=dict)

    def add(self, one: Observation) -> None:
        self.requests += 1
        if one.kind == "refusal":
            self.refusals.add(one)
            if len(self.outcomes) <= 1:
                self.outcomes.add(one.outcome)
        elif one.kind == "access":
            self.accesses += 1
            if when := off_hours(one.time):
                self.off_hours.add(one)
                self.weekends += when == "weekend"
                self.nights += when == "night"


@dataclass(frozen=True, slots=True, order=True)
class _Look:
    """An access to a citizen's data."""

    time: int
    index: int
    client: str
    recipient: str


class _Tallies:
    """The only state of a run: counts by client and by citizen, within the limits."""

    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}
        self._citizens: dict[str, list[_Look]] = {}
        self._hours = self._looks = self._observations = 0
        self._left: Counter[str] = Counter()

    def add(self, one: Observation) -> None:
        self._observations += 1
        if not one.client:
            self._left["nameless"] += 1
            return
        if one.citizen is not None and one.kind == "access":
            self._add_look(one, one.citizen)
        if (client := self._clients.get(one.client)) is None:
            if len(self._clients) == MAX_CLIENTS:
                self._left["clients"] += 1
                return
            client = self._clients[one.client] = _Client()
        client.add(one)
        self._add_hour(client, one)

    def found(self) -> Found:
        shown: dict[PatternKind, list[Pattern]] = {kind: [] for kind in get_args(PatternKind)}
        for pattern in self._patterns():
            insort(shown[pattern.kind], pattern, key=_latest_first)
            if len(shown[pattern.kind]) > MAX_SHOWN:
                shown[pattern.kind].pop()
                self._left["patterns"] += 1
        patterns = sorted((one for kind in shown.values() for one in kind), key=_latest_first)
        return Found(tuple(patterns), self._observations, LeftOut(**self._left))

    def _add_hour(self, client: _Client, one: Observation) -> None:
        if (hour := client.hours.get(one.time // HOUR)) is None:
            if self._hours == MAX_HOURS:
                self._left["hours"] += 1
                return
            self._hours += 1
            hour = client.hours[one.time // HOUR] = _Span()
        hour.add(one)

    def _add_look(self, one: Observation, citizen: str) -> None:
        if self._looks == MAX_LOOKS:
            self._left["looks"] += 1
            return
        self._looks += 1
        self._citizens.setdefault(citizen, []).append(_Look(one.time, one.index, one.client, one.recipient))

    def _patterns(self) -> Iterator[Pattern]:
        for name, client in self._clients.items():
            yield from _bursts(name, client)
            yield from _out_of_hours(name, client)
            yield from _refusals(name, client)
        for citizen, looks in self._citizens.items():
            yield from _several_applications(citizen, sorted(looks))


def _bursts(name: str, client: _Client) -> Iterator[Pattern]:
    """Hours far above the client's own median. One that was active in one or two hours has no habit to be far from."""
    counts = sorted(span.count for span in client.hours.values())
    if not counts:
        return
    twice_median = counts[(len(counts) - 1) // 2] + counts[len(counts) // 2]
    median = str(twice_median / 2) if twice_median % 2 else twice_median // 2
    for hour, span in client.hours.items():
        if span.count > MIN_BURST and 2 * span.count > BURST_FACTOR * twice_median:
            whole = replace(span, first=hour * HOUR, last=(hour + 1) * HOUR - 1)
            yield _pattern("burst", name, whole, facts={"median": median}, query={"client": name})


def _out_of_hours(name: str, client: _Client) -> Iterator[Pattern]:
    span = client.off_hours
    if span.count >= MIN_OFF_HOURS and span.count * OFF_HOURS_SHARE > client.accesses:
        facts = {"among": client.accesses, "nights": client.nights, "weekends": client.weekends}
        yield _pattern("off_hours", name, span, facts=facts, query={"client": name})


def _refusals(name: str, client: _Client) -> Iterator[Pattern]:
    span = client.refusals
    if span.count >= MIN_REFUSALS and span.count * REFUSALS_SHARE > client.requests:
        only = {"outcome": next(iter(client.outcomes))} if len(client.outcomes) == 1 else {}
        facts = {"among": client.requests}
        yield _pattern("refusals", name, span, facts=facts, query={"client": name, **only})


def _several_applications(citizen: str, looks: Sequence[_Look]) -> Iterator[Pattern]:
    """Of all spans of 30 days, the one with most applications, then with most accesses, then the latest."""
    applications, count, end, recipients = max(_windows(looks), default=(0, 0, 0, 0))
    if not applications:
        return
    among = looks[end - count : end]
    indexes = [look.index for look in among]
    span = _Span(count, min(indexes), max(indexes), among[0].time, among[-1].time)
    facts = {"applications": applications, "recipients": recipients}
    yield _pattern("several_applications", citizen, span, facts=facts, query={"citizen": citizen})


def _windows(looks: Sequence[_Look]) -> Iterator[tuple[int, int, int, int]]:
    """Applications, accesses, end and recipients of each span of 30 days that stands out; ``looks``: first to last."""
    clients: Counter[str] = Counter()
    recipients: Counter[str] = Counter()
    start = 0
    for end, look in enumerate(looks, 1):
        clients[look.client] += 1
        recipients[look.recipient] += 1
        while look.time - looks[start].time > WINDOW:
            _forget(clients, looks[start].client)
            _forget(recipients, looks[start].recipient)
            start += 1
        if len(clients) >= MIN_APPLICATIONS and len(recipients) >= MIN_RECIPIENTS:
            yield len(clients), end - start, end, len(recipients)


def _forget(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def _pattern(
    kind: PatternKind, subject: str, span: _Span, *, facts: Mapping[str, int | str], query: Mapping[str, str]
) -> Pattern:
    since, until = span.first, span.last + 1
    whole = {**query, "since": _rfc3339(since), "until": _rfc3339(until)}
    return Pattern(kind, subject, span.first_index, span.last_index, span.count, since, until, facts, whole)


def _latest_first(pattern: Pattern) -> tuple[int, int, str, str]:
    return -pattern.until, -pattern.last_index, pattern.kind, pattern.subject


@lru_cache(maxsize=10_000)
def _off_hour(hour: int) -> Literal["night", "weekend"] | None:
    local = datetime.fromtimestamp(hour * HOUR, PARIS)
    if local.isoweekday() in WEEKEND:
        return "weekend"
    return None if DAY_STARTS <= local.hour < DAY_ENDS else "night"


def _rfc3339(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(time: int, language: Language) -> str:
    local = datetime.fromtimestamp(time, PARIS)
    return local.strftime("%d/%m/%Y") if language == "fr" else local.date().isoformat()


_SENTENCES: Mapping[Language, Mapping[PatternKind, str]] = {
    "fr": {
        "burst": "{count} demandes en une heure, le {first} à partir de {hour} (médiane\xa0: {median})",
        "off_hours": f"{{count}} consultations entre {DAY_ENDS}\xa0h et {DAY_STARTS}\xa0h ({{nights}}) ou le week-end "
        "({weekends}), sur {among} ({share}\xa0%), du {first} au {last}",
        "refusals": "{count} refus sur {among} demandes ({share}\xa0%), du {first} au {last}",
        "several_applications": "{count} consultations portant sur une même personne, par {applications} applications "
        "de {recipients} organismes, du {first} au {last}",
    },
    "en": {
        "burst": "{count} requests in one hour, on {first} from {hour} (median: {median})",
        "off_hours": f"{{count}} accesses between {DAY_ENDS}:00 and {DAY_STARTS:02}:00 ({{nights}}) or at weekends "
        "({weekends}), of {among} ({share}%), from {first} to {last}",
        "refusals": "{count} refusals of {among} requests ({share}%), from {first} to {last}",
        "several_applications": "{count} accesses to the data of one person, by {applications} applications "
        "of {recipients} organisations, from {first} to {last}",
    },
}
_LEFT_OUT: Mapping[Language, Mapping[str, str]] = {
    "fr": {
        "clients": "Demandes non examinées, au-delà de {limit} applications\xa0: {count}",
        "hours": "Demandes non comptées heure par heure, au-delà de {limit} heures actives\xa0: {count}",
        "looks": "Consultations non rapprochées par personne, au-delà de {limit}\xa0: {count}",
        "nameless": "Demandes sans application identifiée, non examinées\xa0: {count}",
        "patterns": "Constats non montrés, au-delà des {limit} plus récents de chaque sorte\xa0: {count}",
    },
    "en": {
        "clients": "Requests not looked at, beyond {limit} applications: {count}",
        "hours": "Requests not counted by the hour, beyond {limit} active hours: {count}",
        "looks": "Accesses not compared by person, beyond {limit}: {count}",
        "nameless": "Requests of no identified application, not looked at: {count}",
        "patterns": "Findings not shown, beyond the {limit} latest of each kind: {count}",
    },
}
_LIMITS = {"clients": MAX_CLIENTS, "hours": MAX_HOURS, "looks": MAX_LOOKS, "nameless": 0, "patterns": MAX_SHOWN}
