"""Ages in words, such as "90 days": how long events of a model are kept."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta
from typing import NamedTuple

_WORDS = re.compile(r"([1-9][0-9]{0,5}) (day|week|month|year)s?")


class Age(NamedTuple):
    """A number of days, weeks, months or years by the calendar."""

    number: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Age:
        """Return the age that these words mean.

        :raises ValueError: if they mean none.
        """
        found = _WORDS.fullmatch(" ".join(text.split()).lower())
        if found is None:
            raise ValueError(text)
        return cls(int(found[1]), found[2])

    def before(self, moment: datetime) -> datetime:
        """Return the time that was this long before; of months, the last day that they have.

        >>> Age(1, "month").before(datetime(2024, 3, 31))
        datetime.datetime(2024, 2, 29, 0, 0)
        """
        try:
            if self.unit in ("day", "week"):
                return moment - timedelta(**{f"{self.unit}s": self.number})
            months = self.number * (12 if self.unit == "year" else 1)
            year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
            day = min(moment.day, monthrange(year, month + 1)[1]) if year >= 1 else 1
            return moment.replace(year=year, month=month + 1, day=day)
        except (OverflowError, ValueError):  # before the calendar begins
            return datetime.min.replace(tzinfo=moment.tzinfo)

    def __str__(self) -> str:
        return f"{self.number} {self.unit}{'s' * (self.number > 1)}"
