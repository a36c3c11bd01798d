"""Dates as a citizen reads them, in Paris time. Pure."""

from calendar import monthrange
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from openapi.problem import Language

PARIS = ZoneInfo("Europe/Paris")

_MONTHS: dict[Language, str] = {
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "en": "January February March April May June July August September October November December",
}


def day(at: float, language: Language) -> str:
    """``at`` (Unix seconds) as ``1er décembre 2026`` or ``1 December 2026``."""
    return _day(datetime.fromtimestamp(at, PARIS), language)


def moment(at: float, language: Language) -> str:
    """``at`` (Unix seconds) with its minute: ``1er décembre 2026 à 9 h 05``, ``1 December 2026 at 09:05``."""
    return _moment(datetime.fromtimestamp(at, PARIS), language)


def moment_of(text: str, language: Language) -> str:
    """An RFC 3339 time as :func:`moment` writes it."""
    return _moment(datetime.fromisoformat(text).astimezone(PARIS), language)


def end_of_day(at: float, *, months: int, days: int) -> int:
    """The last second (Unix) of the Paris day that comes ``months`` and ``days`` after ``at``."""
    start = datetime.fromtimestamp(at, PARIS).date()
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    last = monthrange(year, month)[1]
    end = start.replace(year=year, month=month, day=min(start.day, last)) + timedelta(days=days)
    return int(datetime.combine(end, time(23, 59, 59), PARIS).timestamp())


def start_of_day(of: date) -> int:
    """The first second (Unix) of a Paris day."""
    return int(datetime.combine(of, time(), PARIS).timestamp())


def _day(local: datetime, language: Language) -> str:
    number = "1er" if language == "fr" and local.day == 1 else str(local.day)
    return f"{number} {_MONTHS[language].split()[local.month - 1]} {local.year}"


def _moment(local: datetime, language: Language) -> str:
    if language == "fr":
        return f"{_day(local, language)} à {local.hour} h {local.minute:02}"
    return f"{_day(local, language)} at {local.hour:02}:{local.minute:02}"
