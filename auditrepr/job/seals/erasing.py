"""Records in the chain in which sealed events something is erased."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import NamedTuple

from ...exceptions import SealBroken
from ...models import SealEntry
from ...vendors import get_vendor
from ...vendors.types import id_before
from . import chain, form
from .comparing import Difference
from .holding import held

#: Ranges whose rows are in memory at once.
RANGES = 4


class Sealed(NamedTuple):
    """A range of which events are changed: its entry, and their rows before."""

    entry: SealEntry
    rows: list[form.Row]


def checked(using: str, events: Collection[int], *, ignore: bool = False) -> list[Sealed]:
    """Return what has sealed these events, after it was compared with what is there.

    Call it before the transaction: it reads all of these ranges.

    :param ignore: leave out ranges that differ, so that they are changed without an entry.
    :raises SealBroken: if a range with one of them is no longer what was sealed.
    """
    return list(_checked(using, _ranges_of(using, sorted(events)), events, ignore=ignore))


@contextmanager
def recorded(using: str, sealed: Iterable[Sealed]) -> Iterator[None]:
    """Record that these events are changed inside, within the transaction that changes them.

    The entry holds the digests from before and after, so that all rows of the range are still
    checked, those that were erased in as they are left.

    :raises SealBroken: if one of them was changed since it was checked.
    """
    for entry, rows in sealed:
        for row in rows:
            if _now(using, row[0]) != row:
                what = f"event {row[0]} was changed meanwhile"
                raise SealBroken(difference=Difference(entry, what, row[0]))
    yield
    last = chain.last(using)
    for entry, rows in sealed:
        pairs = [(row, now) for row in rows if (now := _now(using, row[0])) and now != row]
        if pairs:
            last = chain.append(using, _erased(entry, pairs), last)


def _ranges_of(using: str, events: Sequence[int]) -> list[int]:
    """Return the numbers of the entries in whose ranges these events are, or may be."""
    if not events:
        return []
    near = chain.ranges(using).filter(after_id__lt=events[-1], upto_id__gte=events[0])
    return [
        number
        for number, after, upto in near.values_list("number", "after_id", "upto_id")
        if any(after < event <= upto for event in events)
    ]


def _checked(
    using: str, numbers: Sequence[int], events: Collection[int], *, ignore: bool
) -> Iterator[Sealed]:
    """Yield the ranges, and their rows that are among these events, before they are changed."""
    for n in range(0, len(numbers), RANGES):
        found = chain.ranges(using).filter(number__in=numbers[n : n + RANGES])
        for one in held(using, list(found)):
            rows = [row for row in one.rows if row[0] in events]
            if not rows:
                continue
            if problem := one.difference():
                if ignore:
                    continue
                raise SealBroken(difference=problem)
            yield Sealed(one.entry, rows)


def _now(using: str, event: int) -> form.Row | None:
    return next(iter(get_vendor(using).row_digests(id_before(event), event)), None)


def _erased(entry: SealEntry, pairs: Sequence[tuple[form.Row, form.Row]]) -> SealEntry:
    touched = form.replaced_of(pairs)
    return SealEntry(
        kind=SealEntry.Kind.ERASED,
        after_id=entry.after_id,
        upto_id=entry.upto_id,
        amends=entry.number,
        events=len(pairs),
        content=sha256(touched).digest(),
        touched=touched,
    )
