"""Stores old and new values for the search index, if there is one: new events first, then old.

It follows the watermark, so that no event can still be committed among those that it has done.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from ...capture import search_index
from ...models import AuditLog, Checkpoint, StopReason
from ...vendors import get_vendor
from ...vendors.types import BEGINNING
from ..locks.base import Lock

#: Events whose values are stored in one short transaction.
EVENTS = 5_000
#: Such transactions that one run spends on events from before the index was there.
OLD = 5

Reached = Callable[[], StopReason | None]


def index(using: str, lock: Lock, reached: Reached) -> StopReason | None:
    """Store the values of the updates that the index lacks, as far as this run goes.

    :param reached: gives the reason to end the run, if there is one.
    :returns: that reason.
    """
    if not search_index.covers_values(using):
        return None
    mark = Checkpoint.of(using, "settled_id", "values_since", "values_upto")
    if mark is None or mark.settled_id == BEGINNING:
        return None
    settled = mark.settled_id
    since = settled if mark.values_since is None else mark.values_since
    upto = settled if mark.values_upto is None else mark.values_upto
    filling = _Filling(using, lock, since, upto)
    return filling.forward(settled, reached) or filling.back(reached)


class _Filling:
    """The part of the log whose values are stored, which grows at both ends."""

    def __init__(self, using: str, lock: Lock, since: int, upto: int) -> None:
        self.using = using
        self.lock = lock
        self.since = since
        self.upto = upto
        self._ids = AuditLog.objects.using(using).values_list("pk", flat=True)

    def forward(self, settled: int, reached: Reached) -> StopReason | None:
        while self.upto < settled:
            if reason := reached():
                return reason
            found = self._ids.filter(pk__gt=self.upto, pk__lte=settled).order_by("pk")
            last = found[EVENTS - 1 : EVENTS].first()
            end = settled if last is None else last
            self._fill(self.upto, end, values_since=self.since, values_upto=end)
            self.upto = end
        return None

    def back(self, reached: Reached) -> StopReason | None:
        for _ in range(OLD):
            found = self._ids.filter(pk__lte=self.since).order_by("-pk")
            last = found[EVENTS - 1 : EVENTS].first()
            if last is None:
                last = found.order_by("pk").first()
            if last is None:
                return None
            if reason := reached():
                return reason
            self._fill(last - 1, self.since, values_since=last - 1, values_upto=self.upto)
            self.since = last - 1
        return None

    def _fill(self, after: int, upto: int, **positions: int) -> None:
        with transaction.atomic(self.using):
            get_vendor(self.using).fill_values(after, upto)
            Checkpoint.objects.using(self.using).filter(pk=1).update(**positions)
            self.lock.renew()
