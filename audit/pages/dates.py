"""Moments and days as auditors read them: Paris time, with the exact moment in UTC beside it. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from audit.filters import PARIS
from openapi.problem import Language

_MONTHS: dict[Language, str] = {
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "en": "January February March April May June July August September October November December",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """When an entry was made. ``exact``: RFC 3339 as the entry has it; ``day`` and ``clock``: of Paris, short."""

    exact: str
    day: str
    clock: str
    words: str


def moment(text: str, language: Language) -> Moment:
    """A time of an entry. One that is not RFC 3339 is shown as it stands."""
    try:
        local = datetime.fromisoformat(text).astimezone(PARIS)
    except (ValueError, OverflowError):
        return Moment(text, text, "", text)
    clock = local.strftime("%H:%M:%S")
    return Moment(text, short(local.date(), language), clock, f"{long(local.date(), language)}, {clock}")


def short(day: date, language: Language) -> str:
    """``24/11/2026``; ISO 8601 in English, where the order of day and month is anybody's guess."""
    return day.strftime("%d/%m/%Y") if language == "fr" else day.isoformat()


def long(day: date, language: Language) -> str:
    """``1er décembre 2026``, ``1 December 2026``."""
    number = "1er" if language == "fr" and day.day == 1 else str(day.day)
    return f"{number} {_MONTHS[language].split()[day.month - 1]} {day.year}"


def edge(text: str, language: Language) -> str:
    """A day or a moment of a filter in words: the day of Paris, or the moment in UTC as it was typed."""
    try:
        return short(date.fromisoformat(text), language)
    except ValueError:
        return text.replace("T", " ").replace("Z", " UTC")


def today(now: float) -> date:
    """The day of Paris."""
    return datetime.fromtimestamp(now, PARIS).date()


def days_ago(now: float, days: int) -> str:
    """A day before today, as a filter has it."""
    return (today(now) - timedelta(days=days)).isoformat()
