"""What a citizen searches her accesses by: an organisation and two days of Paris, as she typed them. Pure."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, TypeAlias
from urllib.parse import urlencode

from consent.pages.dates import start_of_day
from openapi.fields import Siret

YEARS = range(2000, 2200)
"""Years that a search may name."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Mistake: TypeAlias = Literal["first", "last", "order"]


@dataclass(frozen=True, slots=True)
class AccessSearch:
    """The form as it was sent; an empty text asks for anything. With a ``mistake`` there is nothing to look for."""

    organisation: str = ""
    first: str = ""
    last: str = ""

    def __bool__(self) -> bool:
        """Whether anything is searched for."""
        return bool(self.organisation or self.first or self.last)

    @property
    def mistake(self) -> Mistake | None:
        """What the form must be corrected in."""
        first, last = _day(self.first), _day(self.last)
        if self.first and first is None:
            return "first"
        if self.last and last is None:
            return "last"
        return "order" if first and last and first > last else None

    @property
    def recipient(self) -> Siret | None:
        """The organisation."""
        return Siret(self.organisation) if self.organisation else None

    @property
    def since(self) -> int | None:
        """The first second of the first day (Unix)."""
        day = _day(self.first)
        return start_of_day(day) if day else None

    @property
    def until(self) -> int | None:
        """The first second after the last day (Unix)."""
        day = _day(self.last)
        return start_of_day(day + timedelta(days=1)) if day else None

    def older(self, before: int) -> str:
        """The address of the same search, further back."""
        asked = {"organisme": self.organisation, "du": self.first, "au": self.last}
        return "/mes-acces?" + urlencode({name: value for name, value in asked.items() if value} | {"avant": before})


def _day(text: str) -> date | None:
    """``YYYY-MM-DD``; ``None`` for any other text and for days that the calendar does not have."""
    if not _DAY.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in YEARS else None
