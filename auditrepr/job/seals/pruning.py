"""Records in the chain which sealed events are pruned."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from hashlib import sha256
from itertools import islice

from ...exceptions import SealBroken
from ...models import SealEntry
from . import chain, form
from .holding import Held, held

#: Entries whose rows are in memory at once.
PORTION = 5


def record(
    using: str, after: int, upto: int, events: Container[int], *, ignore: bool = False
) -> None:
    """Check what sealed these events, which are in ``(after, upto]``, and record that they go.

    Call it within the transaction that deletes them, before it does.

    :param ignore: let events go of ranges that differ, without an entry: they differ for good.
    :raises SealBroken: if a range with one of them is no longer what was sealed.
    """
    last = chain.last(using)
    if last is None:
        return
    entries = chain.ranges(using).filter(after_id__lt=upto, upto_id__gt=after)
    for portion in batched(entries.order_by("after_id", "number"), PORTION):
        for one in held(using, portion):
            gone = [row for row in one.rows if row[0] in events]
            if not gone:
                continue
            if found := one.difference():
                if ignore:
                    continue
                raise SealBroken(difference=found)
            last = chain.append(using, _pruned(one, gone), last)


def batched(entries: Iterable[SealEntry], size: int) -> Iterator[list[SealEntry]]:
    """Yield the entries, this many at once."""
    every = iter(entries)
    while portion := list(islice(every, size)):
        yield portion


def end_of_batch(using: str, first: int, upto: int, end: int) -> int:
    """Return where a batch ends that begins with this event: with a sealed range, if one is there.

    A range of which all events go at once needs no record of each.

    :param upto: where the batch would end otherwise.
    :param end: where all of them end.
    """
    ends = chain.ranges(using).values_list("upto_id", flat=True).order_by("upto_id")
    within = ends.filter(upto_id__gte=first, upto_id__lte=upto).last()
    if within is None:
        within = ends.filter(upto_id__gt=upto, after_id__lt=first).first()
    return upto if within is None else min(within, end)


def _pruned(one: Held, gone: list[form.Row]) -> SealEntry:
    whole = len(gone) == len(one.rows)
    touched = None if whole else form.touched_of(gone)
    return SealEntry(
        kind=SealEntry.Kind.PRUNED,
        after_id=one.entry.after_id,
        upto_id=one.entry.upto_id,
        amends=one.entry.number,
        events=len(gone),
        content=None if touched is None else sha256(touched).digest(),
        touched=touched,
    )
