"""Prunes a partition as a whole if none of its events is kept.

It is emptied and not dropped: for that the log itself would be locked, and writers would wait. This
locks only a partition that gets no events any longer. Empty ones become one, if the log is free.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from django.db import Error, transaction
from django.db.models import Count, Max

from ...models import (
    AuditLog,
    AuditLogQuerySet,
    ChangedValues,
    Checkpoint,
    InstanceRepr,
    RelatedObject,
    ReprFailure,
)
from ...vendors import get_vendor
from ...vendors.base.partitions import LogPartition
from ...vendors.types import BEGINNING, id_before
from ..partitions.patience import patiently
from .due import Due

#: Seconds to wait for those who read the partition, in short turns.
WAIT = 60.0


class Removed(NamedTuple):
    """How many rows a partition had."""

    events: int
    representations: int
    failures: int


@dataclass(frozen=True)
class Whole:
    """A partition without any event that is kept."""

    using: str
    partition: LogPartition

    @property
    def begin(self) -> int:
        """Return the ID after which it begins."""
        return BEGINNING if self.partition.lower is None else id_before(self.partition.lower)

    @property
    def end(self) -> int:
        """Return the last ID that it can have."""
        return (self.partition.upper or 0) - 1

    def __contains__(self, event: object) -> bool:
        return isinstance(event, int) and self.begin < event <= self.end

    def events(self) -> AuditLogQuerySet:
        """Return its events."""
        return AuditLog.objects.using(self.using).filter(pk__gt=self.begin, pk__lte=self.end)

    def tables(self) -> list[tuple[int, int | None, str]]:
        """Return the last ID, the last transaction, and the name of each table in it."""
        each = self.events().order_by().values("table_name")
        found = each.annotate(last=Max("pk"), latest=Max("transaction_id"))
        return [(one["last"], one["latest"], one["table_name"]) for one in found]

    def remove(self, stop: Callable[[], bool]) -> Removed:
        """Remove all its rows, and what other tables have of its events.

        :param stop: called while others read the partition; true ends the wait.
        :returns: how many there were.
        :raises LogBusy: if they did not leave it for long enough.
        :raises WaitStopped: if it is to stop.
        """
        window = {"audit_log_id__gt": self.begin, "audit_log_id__lte": self.end}
        counts = [self.events().aggregate(n=Count("pk"))["n"]]
        for model in (InstanceRepr, ReprFailure):
            stored = model._base_manager.using(self.using).filter(**window)
            counts.append(stored.count())
        for other in (ChangedValues, RelatedObject):
            other._base_manager.using(self.using).filter(**window)._raw_delete(self.using)
        patiently(self.using, self._empty, WAIT, stop)
        return Removed(*counts)

    def _empty(self) -> None:
        with transaction.atomic(self.using):  # a savepoint: it may be tried again
            get_vendor(self.using).empty_partition(self.partition)


class Parts:
    """The partitions of a log that is pruned.

    :param keep_last: whether the last event of each object is kept: then none is due as a whole.
    """

    def __init__(self, using: str, due: Due, *, keep_last: bool) -> None:
        self.using = using
        self.due = due
        self._partitions = get_vendor(using).log_partitions()
        self._looked_at: LogPartition | None = None
        self._keep_last = keep_last

    def end_of(self, event: int) -> int | None:
        """Return the last ID of the partition with this event; None: it has no end."""
        found = self._with(event)
        return found.upper - 1 if found and found.upper is not None else None

    def whole(self, first: int) -> Whole | None:
        """Return the partition with this event if all its events are due; each is asked once."""
        found = self._with(first)
        if found is None or found.upper is None or found == self._looked_at or self._keep_last:
            return None
        self._looked_at = found
        whole = Whole(self.using, found)
        mark = Checkpoint.of(self.using, "settled_id")
        # Below the watermark no event can still be committed.
        if mark is None or min(mark.settled_id, self.due.end) < whole.end:
            return None
        kept = whole.events().exclude(self.due.among(whole.begin, whole.end))
        return None if kept.exists() else whole

    def _with(self, event: int) -> LogPartition | None:
        for one in self._partitions:
            if one.upper is None or event < one.upper:
                return one
        return None


def merge(using: str) -> None:
    """Make one of adjacent partitions without events below the watermark.

    If others use the log right now, it is left for the next time.
    """
    vendor = get_vendor(using)
    found = vendor.log_partitions()
    mark = Checkpoint.of(using, "settled_id")
    if mark is None or not found:
        return
    with suppress(Error):
        lower = found[0]
        for upper in found[1:]:
            closed = upper.upper is not None and upper.upper <= mark.settled_id
            if closed and not _filled(using, lower) and not _filled(using, upper):
                vendor.merge_partitions(lower, upper)
                upper = upper._replace(lower=lower.lower)
            lower = upper


def _filled(using: str, partition: LogPartition) -> bool:
    whole = Whole(using, partition)
    window = {"audit_log_id__gt": whole.begin, "audit_log_id__lte": whole.end}
    return whole.events().exists() or any(
        model._base_manager.using(using).filter(**window).exists()
        for model in (InstanceRepr, ReprFailure)
    )
