"""How long the details of a dataset's accesses are kept: an ISO 8601 duration in years, months and days. Pure."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

SHORTEST, LONGEST = "P6M", "P3Y"
"""What a retention may be: CNIL's recommendation on logging (deliberation 2021-122) says six months to a year, and up
to three years where the log serves a control that looks further back."""

_WRITTEN = re.compile(r"P(?:([1-9][0-9]?)Y)?(?:([1-9][0-9]?)M)?(?:([1-9][0-9]{0,3})D)?")
_MONTH = 365.25 / 12
"""Days of a month, on average."""


class RetentionInvalid(ValueError):
    """Not a duration that a retention may have; the message says what one is."""


@dataclass(frozen=True, slots=True)
class Retention:
    """A duration as it was written; ``months`` hold its years too."""

    text: str
    months: int
    days: int

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read ``P1Y``, ``P18M``, ``P1Y6M``, ``P200D``. Raises :class:`RetentionInvalid` beyond the limits."""
        parsed = cls._read(text)
        if not cls._read(SHORTEST).about_days <= parsed.about_days <= cls._read(LONGEST).about_days:
            raise RetentionInvalid(f"between {SHORTEST} and {LONGEST}")
        return parsed

    @property
    def about_days(self) -> float:
        """How long it is, a month being as long as months are on average."""
        return self.months * _MONTH + self.days

    def before(self, now: datetime) -> datetime:
        """The moment this long ago; the last day of a month when that month has no such day."""
        years, month = divmod(now.year * 12 + now.month - 1 - self.months, 12)
        last = monthrange(years, month + 1)[1]
        return now.replace(year=years, month=month + 1, day=min(now.day, last)) - timedelta(days=self.days)

    @classmethod
    def _read(cls, text: object) -> Self:
        written = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
        if written is None or not any(written.groups()):
            raise RetentionInvalid("an ISO 8601 duration in years, months and days, such as P1Y")
        years, months, days = (int(number or 0) for number in written.groups())
        return cls(written[0], years * 12 + months, days)
