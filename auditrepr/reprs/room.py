"""Limits how many events are built together to as many as fit into memory."""

from __future__ import annotations

from collections.abc import Sequence

from ..asof.history import MOST_BYTES
from ..asof.lookups import Origin
from ..vendors import get_vendor


class Room:
    """The number of events to build together; halved if memory ran out, then doubled again.

    :param width: the first number, which is also the largest.
    :param weighs: whether the size of the events' images in the log counts.
    """

    def __init__(self, using: str, width: int, *, weighs: bool = True) -> None:
        self.using = using
        self.width = self.most = width
        self.weighs = weighs
        self._known: dict[int, int] = {}  # sizes in bytes, filled by the vendor

    def fitting(self, events: Sequence[Origin]) -> int:
        """Return how many of the events, from the first on, can be built together; at least one."""
        ids = [event.id for event in events[: self.width]]
        if not self.weighs:
            return len(ids)
        return get_vendor(self.using).fitting(ids, MOST_BYTES, self._known)

    def grow(self) -> None:
        """Double the number, after a batch of that size was built."""
        self.width = min(2 * self.width, self.most)

    def shrink(self, events: int) -> None:
        """Halve the number, after this many events were too many."""
        self.width = max(1, events // 2)
