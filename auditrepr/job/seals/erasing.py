"""Records in the chain in which sealed events something is erased."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256

from ...exceptions import SealBroken
from ...models import SealEntry
from ...vendors import get_vendor
from ...vendors.types import id_before
from . import chain, form
from .holding import held

#: Ranges whose rows are in memory at once.
RANGES = 4


@contextmanager
def recorded(using: str, events: Collection[int], *, ignore: bool = False) -> Iterator[None]:
    """Record that these events are changed inside, within the transaction that changes them.

    What had sealed them is checked before. The entry holds the digests from before and after, so
    that all rows of the range are still checked, those that were erased in as they are left.

    :param ignore: let events of ranges that differ be changed without an entry.
    :raises SealBroken: if a range with one of them is no longer what was sealed.
    """
    before = list(_checked(using, _ranges_of(using, sorted(events)), events, ignore=ignore))
    yield
    last = chain.last(using)
    for entry, rows in before:
        pairs = [(row, now) for row in rows if (now := _now(using, row[0])) != row]
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
) -> Iterator[tuple[SealEntry, list[form.Row]]]:
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
            yield one.entry, rows


def _now(using: str, event: int) -> form.Row:
    [row] = get_vendor(using).row_digests(id_before(event), event)
    return row


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
