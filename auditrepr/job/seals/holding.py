"""Reads what the ranges of entries hold now, and what amends them, for many entries at once."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...models import SealEntry
from .comparing import Difference, difference
from .form import Row
from .regions import Interval, Regions, joined, read


class Held(NamedTuple):
    """An entry, the rows that its range holds now, and the later entries that amend it."""

    entry: SealEntry
    rows: list[Row]
    later: list[SealEntry]

    def difference(self) -> Difference | None:
        """Return how the range differs from its seal, if it does."""
        return difference(self.entry, self.rows, self.later)


def held(using: str, entries: Sequence[SealEntry]) -> Iterator[Held]:
    """Yield what the ranges of these entries hold now.

    More rows than were sealed are not all read, however many there are: the range differs.
    """
    regions = Regions(using)
    covered = {entry.number: regions.of(entry) for entry in entries}
    amended = _amended(using, entries)
    most = sum(entry.events for entry in entries) + 1
    rows = read(using, joined(covered.values()), most)
    for entry in entries:
        region = covered[entry.number]
        # If there are too many, those of the others have not been read.
        own = _among(rows, region) if len(rows) < most else read(using, region, entry.events + 1)
        yield Held(entry, own, amended[entry.number])


def _amended(using: str, entries: Sequence[SealEntry]) -> dict[int, list[SealEntry]]:
    found = SealEntry.objects.using(using).filter(amends__in=[entry.number for entry in entries])
    amended: dict[int, list[SealEntry]] = defaultdict(list)
    for amendment in found.defer("marks").order_by("number"):
        amended[amendment.amends or 0].append(amendment)
    return amended


def _among(rows: Sequence[Row], region: Sequence[Interval]) -> list[Row]:
    def place(event: int) -> int:
        return bisect_right(rows, event, key=lambda row: row[0])

    return [row for after, upto in region for row in rows[place(after) : place(upto)]]
