"""Which IDs each entry of the chain covers: its range, without what was imported into it later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db.models import Max, Min

from ...models import Import, SealEntry
from ...vendors import get_vendor
from ...vendors.types import id_before
from . import chain
from .form import Row


class Interval(NamedTuple):
    """The IDs in ``(after, upto]``."""

    after: int
    upto: int


class Imported(NamedTuple):
    """What is sealed of an import: up to which number of the chain, and which IDs."""

    number: int
    import_id: int
    ids: Interval


class Regions:
    """What each entry covers, as of now."""

    def __init__(self, using: str) -> None:
        self.using = using
        found = SealEntry.objects.using(using).filter(kind=SealEntry.Kind.IMPORTED)
        pieces = found.values_list("import_id").annotate(
            Max("number"), Min("after_id"), Max("upto_id")
        )
        self.imported = [
            Imported(number, pk, Interval(after, upto))
            for pk, number, after, upto in pieces.order_by()
        ]
        self.pending = list(self._pending())

    def of(self, entry: SealEntry) -> list[Interval]:
        """Return the IDs that an entry covers, lowest first."""
        holes = [
            one.ids
            for one in self.imported
            if one.number > entry.number and one.import_id != entry.import_id
        ]
        return self.covered(Interval(entry.after_id, entry.upto_id), holes)

    def covered(self, ids: Interval, holes: Iterable[Interval] = ()) -> list[Interval]:
        """Return these IDs without the holes, and without imports that are not sealed yet."""
        left = [ids]
        for hole in (*holes, *(ids for _, ids in self.pending)):
            left = [part for one in left for part in _without(one, hole)]
        return left

    def _pending(self) -> Iterable[tuple[Import, Interval]]:
        """Yield the imports since the chain began, with the IDs that no entry has sealed yet."""
        first = chain.entries(self.using).first()
        if first is None:
            return
        done = {one.import_id: one.ids.upto for one in self.imported}
        later = Import.objects.using(self.using).filter(pk__gt=first.import_id or 0)
        for made in later.order_by("pk"):
            after = done.get(made.pk, id_before(made.first_id))
            if made.finished_at is None or after < made.last_id:
                yield made, Interval(after, made.last_id)


def read(using: str, ids: Sequence[Interval], most: int | None = None) -> list[Row]:
    """Return the rows with these IDs, lowest first."""
    rows: list[Row] = []
    for after, upto in ids:
        left = None if most is None else max(most - len(rows), 0)
        rows += get_vendor(using).row_digests(after, upto, left)
    return rows


def joined(regions: Iterable[Sequence[Interval]]) -> list[Interval]:
    """Return all the IDs of these regions, with as few intervals as they need."""
    made: list[Interval] = []
    for one in sorted(part for region in regions for part in region):
        if made and made[-1].upto >= one.after:
            made[-1] = Interval(made[-1].after, max(made[-1].upto, one.upto))
        else:
            made.append(one)
    return made


def _without(ids: Interval, hole: Interval) -> list[Interval]:
    if hole.upto <= ids.after or hole.after >= ids.upto:
        return [ids]
    parts = [Interval(ids.after, hole.after), Interval(hole.upto, ids.upto)]
    return [part for part in parts if part.after < part.upto]
