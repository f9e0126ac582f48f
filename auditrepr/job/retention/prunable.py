"""Finds the events that pruning deletes together: due ones, in the order of their IDs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q

from ...models import AuditLog, AuditLogQuerySet
from ...vendors.types import BEGINNING
from ..seals import pruning
from .due import Due, Retained
from .emptying import Parts, Whole


class Range(NamedTuple):
    """A part of the log: the IDs in ``(begin, end]``."""

    begin: int
    end: int
    whole: Whole | None = None  # the partition that it is, if all its events are due


class Prunable:
    """The events that are due and may be deleted.

    :param keep_last: keep the latest event of each object, whatever its age.
    """

    def __init__(self, using: str, due: Due, *, keep_last: bool) -> None:
        self.using = using
        self.due = due
        self.keep_last = keep_last

    def among(self, begin: int, end: int) -> AuditLogQuerySet:
        """Return those with IDs in ``(begin, end]``."""
        return self._deletable(self.due.among(begin, end), end)

    def by_entry(self) -> dict[str, int]:
        """Return how many there are of each entry of ``RETENTION``; empty if a time decides."""
        if not isinstance(self.due, Retained):
            return {}
        found = self.due.by_entry().items()
        return {entry: self._deletable(due, self.due.end).count() for entry, due in found}

    def ranges(self, size: int) -> Iterator[Range]:
        """Yield the parts of the log in which events are due, with `size` events each."""
        begin = BEGINNING
        parts = Parts(self.using, self.due, keep_last=self.keep_last)
        while (first := self.due.first(begin)) is not None:
            if whole := parts.whole(first):
                yield Range(whole.begin, whole.end, whole)
                begin = whole.end
                continue
            upto, part_end = self._end_of_batch(first, size), parts.end_of(first)
            upto = upto if part_end is None else min(upto, part_end)
            yield Range(begin, upto)
            begin = upto

    def _end_of_batch(self, first: int, size: int) -> int:
        end = self.due.end
        rows = AuditLog.objects.using(self.using).filter(pk__gte=first, pk__lte=end).order_by("pk")
        last = rows.values_list("pk", flat=True)[size - 1 : size].first()
        return pruning.end_of_batch(self.using, first, end if last is None else last, end)

    def _deletable(self, due: Q, end: int) -> AuditLogQuerySet:
        """Return those of these due events, up to an ID, that may be deleted."""
        log = AuditLog.objects.using(self.using)
        events = log.filter(due)
        if not self.keep_last:
            return events
        later = log.filter(table_name=OuterRef("table_name"), pk__gt=OuterRef("pk"))
        emptied = Q(action=AuditLog.Action.TRUNCATE)
        return events.filter(
            Exists(later.filter(object_id=OuterRef("object_id")))
            # An update that changed a key is the last event of the object that had it before.
            | Exists(later.filter(previous_object_id=OuterRef("object_id")))
            # A TRUNCATE ended objects whose last event is kept; a later one here records the same.
            | emptied & Exists(later.filter(emptied, pk__lte=end))
            # A row without a primary key is not an object that could be looked up.
            | Q(object_id=None) & ~emptied
        )
