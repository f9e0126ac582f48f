"""Determines which events a moment saw."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from ...vendors import Vendor
from ...vendors.snapshots import sees
from ...vendors.types import Moment
from .neighbors import Neighbor


class Visibility:
    """What moments saw, for one batch, from one view of the database."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self._restored: dict[int, bool] = {}
        self._expected: set[int] = set()

    def expect(self, events: Iterable[int]) -> None:
        """Announce events, so that one query is enough for all of them."""
        self._expected.update(events)

    def sees(self, moment: Moment, transaction_id: int | None) -> bool:
        """Return whether the moment sees the transaction's changes, also from another cluster."""
        if sees(moment.snapshot, transaction_id):
            return True
        ours, theirs, newest = moment.transaction_id, transaction_id, self._newest
        return None not in (ours, theirs, newest) and ours < newest <= theirs  # type: ignore[operator]

    def saw(self, moment: Moment, other: Neighbor) -> bool:
        if other.id > moment.upto:
            return False
        return (
            other.transaction_id == moment.transaction_id
            or self.sees(moment, other.transaction_id)
            or (self._was_restored(other.id) and not self._was_restored(moment.upto))
        )

    def _was_restored(self, pk: int) -> bool:
        """Return whether :meth:`Vendor.restored` has the event; asked for all expected at once."""
        if pk not in self._restored:
            asked = {pk, *self._expected} - self._restored.keys()
            found = self.vendor.restored(asked)
            self._restored |= {one: one in found for one in asked}
        return self._restored[pk]

    @cached_property
    def _newest(self) -> int | None:
        return self.vendor.newest_transaction()
