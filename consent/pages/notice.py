"""The notice: what a citizen is told before she answers, word for word. Pure.

The consent screen shows exactly these lines, and the grant keeps the SHA-256 of their canonical text: what was
agreed to can be shown again from the request, the language, the moment and the version.
"""

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from consent.model import Client, DatasetNotice, Detail
from consent.pages.dates import day, end_of_day, moment
from consent.pages.derived import in_words
from consent.pages.texts import named, say
from consent.ports import Permit
from openapi.problem import Language
from openapi.rules import sources

VERSION = "2"
"""Raised whenever the sentences of the notice change."""
DAY = 86_400
ASKED_LIMIT: Mapping[str, int] = {"once": 30 * DAY, "recurring": 365 * DAY}
"""Seconds that an authorisation lasts at most where the application asks for no end."""
SHORTER: Mapping[str, tuple[tuple[int, int], ...]] = {
    "once": ((0, 7), (0, 1)),
    "recurring": ((6, 0), (3, 0), (1, 0)),
}
"""Months and days of the shorter durations offered."""
LONGEST = 3650 * DAY
"""Seconds that the longest end offered lies ahead."""
PRECISE_BELOW = 2 * DAY
"""Seconds under which an end is told to the minute."""

_UNITS = {"D": "day", "W": "week", "M": "month", "Y": "year"}

Choice: TypeAlias = Literal["none", "fields", "duration"]


@dataclass(frozen=True, slots=True)
class Option:
    """A box to tick or one of several dates; ``value`` is what the form sends."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Part:
    """One question and its answer."""

    key: str
    heading: str
    lines: tuple[str, ...]
    choice: Choice = "none"
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing asked for: the checked detail, what the habilitation says of it, and the dataset's words."""

    detail: Detail
    permit: Permit
    dataset: DatasetNotice


@dataclass(frozen=True, slots=True)
class Notice:
    """Everything that is said, in order."""

    language: Language
    title: str
    lede: str
    parts: tuple[Part, ...]
    ends: tuple[int, ...]
    """The ends offered (Unix seconds), the one asked for first."""

    @property
    def text(self) -> str:
        """The canonical text: NFC, one line each, headed by version and language."""
        return unicodedata.normalize("NFC", "\n".join(self._lines())) + "\n"

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical text in UTF-8, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def _lines(self) -> Iterator[str]:
        yield f"Accord notice {VERSION} {self.language}"
        yield self.title
        yield self.lede
        for part in self.parts:
            yield ""
            yield part.heading
            yield from part.lines
            yield from (f"- {option.label}" for option in part.options)


def notice(client: Client, asked: tuple[Asked, ...], *, now: int, language: Language) -> Notice:
    """The notice for a request, as of ``now`` (Unix seconds), which fixes the dates offered."""
    ends = _ends(asked, now=now)
    parts = (
        _who(client, language),
        *(_what(place, each, language) for place, each in enumerate(asked)),
        _holder(asked, language),
        _why(asked, language),
        _how_long(asked, ends, now=now, language=language),
        _legal(asked, language),
        Part("refusal", say(language, "notice.refusal"), (say(language, "notice.refusal_effect"),)),
        Part("rights", say(language, "notice.rights"), (say(language, "notice.rights_effect"),)),
    )
    title = say(language, "notice.title", organisation=client.organisation_name)
    return Notice(language, title, say(language, "notice.lede"), parts, ends)


def spaced_siret(siret: str) -> str:
    """A SIRET as it is usually written, ``213 500 123 00015``, on one line."""
    return "\N{NO-BREAK SPACE}".join((siret[:3], siret[3:6], siret[6:9], siret[9:]))


def _who(client: Client, language: Language) -> Part:
    lines = (
        client.organisation_name,
        say(language, "notice.siret", siret=spaced_siret(client.organisation)),
        say(language, "notice.application", application=client.name),
    )
    return Part("who", say(language, "notice.who"), lines)


def _what(place: int, asked: Asked, language: Language) -> Part:
    detail, offered = asked.detail, asked.dataset.fields
    plain = (Option(f"{place}:{name}", offered[name].label[language]) for name in detail.fields)
    derived = (Option(f"{place}:{rule.name}", in_words(rule, offered[rule.field], language)) for rule in detail.rules)
    options = (*plain, *derived)
    lines = [asked.dataset.title[language]]
    if any(offered[name].about == "child" for name in (*detail.fields, *sources(detail.rules))):
        lines.append(say(language, "notice.children"))
    return Part("what", say(language, "notice.what"), tuple(lines), "fields", options)


def _why(asked: tuple[Asked, ...], language: Language) -> Part:
    return Part("why", say(language, "notice.why"), _distinct(each.permit.purpose[language] for each in asked))


def _how_long(asked: tuple[Asked, ...], ends: tuple[int, ...], *, now: int, language: Language) -> Part:
    shown = [moment(end, language) if end - now < PRECISE_BELOW else day(end, language) for end in ends]
    options = tuple(
        Option(str(end), say(language, "notice.until" if place else "notice.until_asked", date=date))
        for place, (end, date) in enumerate(zip(ends, shown, strict=True))
    )
    lines = _distinct(line for each in asked for line in _limits(each.detail, language))
    return Part("how_long", say(language, "notice.how_long"), lines, "duration", options)


def _limits(detail: Detail, language: Language) -> Iterator[str]:
    yield say(language, f"notice.{detail.access}")
    if detail.max_per_day is not None:
        yield say(language, "notice.max_per_day", count=detail.max_per_day)
    if detail.retention is not None:
        yield _retention(detail.retention, language)


def _retention(duration: str, language: Language) -> str:
    """``P90D`` in words: ISO 8601 with a single unit, as the parser of details lets it in."""
    count, unit = int(duration[1:-1]), _UNITS[duration[-1]]
    time = say(language, f"span.{unit}" if count == 1 else f"span.{unit}s", count=count)
    return say(language, "notice.retention", time=time)


def _holder(asked: tuple[Asked, ...], language: Language) -> Part:
    names = _distinct(each.dataset.holder[language] for each in asked)
    return Part("holder", say(language, "notice.holder"), (*names, say(language, "notice.holder_identity")))


def _legal(asked: tuple[Asked, ...], language: Language) -> Part:
    lines = _distinct(named(language, "legal_basis", each.permit.legal_basis) for each in asked)
    return Part("legal", say(language, "notice.legal"), lines)


def _ends(asked: tuple[Asked, ...], *, now: int) -> tuple[int, ...]:
    """The end asked for, within every habilitation, and shorter ones."""
    latest = min(min(_asked_end(each.detail, now=now), each.permit.valid_until) for each in asked)
    access = "recurring" if any(each.detail.access == "recurring" for each in asked) else "once"
    shorter = (end_of_day(now, months=months, days=days) for months, days in SHORTER[access])
    return latest, *(end for end in shorter if end < latest)


def _asked_end(detail: Detail, *, now: int) -> int:
    asked = detail.expires_at if detail.expires_at is not None else now + ASKED_LIMIT[detail.access]
    return min(asked, now + LONGEST)


def _distinct(lines: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))
