"""Reads the log for an export: page by page, in the order of IDs, without a long transaction.

Events never change, so pages that are read one after the other fit together. What must not get
between them are events that are committed meanwhile: an export ends at the highest ID that was
visible when it began, and leaves out transactions that were open then. An export that is followed
ends at the watermark, below which nothing can be committed later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings
from django.db import reset_queries

from ..exceptions import BeyondTheLog
from ..lineage import recent_renames
from ..models import AuditLog, AuditLogQuerySet, Checkpoint, InstanceRepr, ReprFailure
from ..vendors import get_vendor
from ..vendors.snapshots import parse
from ..vendors.types import BEGINNING, SearchIndex, Window, id_before
from . import search
from .export_records import Record, RecordMaker

#: IDs that one query finds.
PAGE = 1000
#: In place of an event ID: before the first one.
START = "start"
#: Events that are in memory at once; each takes some 10 kB.
AT_ONCE = 250
#: Bytes that their rows unpack to, at most; a larger one is read alone.
MOST_BYTES = 2_000_000
#: Number of IDs that the first query covers.
WIDTH = 50_000
#: Seconds that a query should take: less, and the next one covers more IDs.
QUICK = 0.2


class Bounds(NamedTuple):
    """The events that an export may contain: those in ``(after, upto]``, without the unseen."""

    after: int
    upto: int
    settled: int  # the watermark
    unseen: frozenset[int] = frozenset()  # transactions that were open above the watermark
    start: int = BEGINNING  # what `after` was before a filter raised it

    def within(self, first: int | None = None, end: int | None = None) -> Bounds:
        """Return the bounds with those of a filter: inclusive start, exclusive end."""
        after = self.after if first is None else max(self.after, id_before(first))
        return self._replace(
            after=after,
            upto=max(after, self.upto if end is None else min(self.upto, id_before(end))),
        )

    def includes(self, pk: int, transaction_id: int | None) -> bool:
        """Return whether the event was visible when the export began."""
        return pk <= self.settled or transaction_id not in self.unseen


class Page(NamedTuple):
    """A part of an export."""

    records: Sequence[Record]
    reached: int  # every event up to this ID is in this page or an earlier one


#: Yields the IDs of an export's events, part by part, each with the ID up to which it has them all.
Ids = Iterator[tuple[Sequence[int], int]]


def visible_now(using: str, after: int = BEGINNING) -> Bounds:
    """Return the bounds of an export of everything that is committed now."""
    settled = watermark(using)  # before the rest: what it covers can no longer be open
    reach = get_vendor(using).reach()
    unseen = parse(reach.snapshot).running if reach.snapshot else frozenset()
    return Bounds(*_range(using, after, reach.visible), settled, unseen, after)


def settled_now(using: str, after: int) -> Bounds:
    """Return the bounds of an export of what is settled after this ID.

    :raises BeyondTheLog: if the log ends below this ID: its later events would be passed over.
    """
    settled = watermark(using)
    top = get_vendor(using).reach().visible
    if after > max(settled, top) and AuditLog.objects.using(using).exists():
        raise BeyondTheLog(id=after, alias=using, top=max(settled, top))
    return Bounds(*_range(using, after, settled), settled, start=after)


def _range(using: str, after: int, upto: int) -> tuple[int, int]:
    """Return the part of ``(after, upto]`` that begins with an event; empty if there is none."""
    later = AuditLog.objects.using(using).filter(pk__gt=after, pk__lte=upto).order_by("pk")
    first = later.values_list("pk", flat=True).first()
    return (after, after) if first is None else (id_before(first), upto)


def watermark(using: str) -> int:
    """Return the watermark of the log in this database; below the log if nothing is settled."""
    mark = Checkpoint.of(using, "settled_id")
    return BEGINNING if mark is None else mark.settled_id


def said_after(event_id: int) -> int | str:
    """Return this ID, or ``start``, as ``--follow-from`` takes it."""
    return START if event_id == BEGINNING else event_id


@dataclass
class Export:
    """The events of a selection, to be read page by page.

    :param stop: asked after each page; true ends the export.
    """

    events: AuditLogQuerySet
    bounds: Bounds
    text: str = ""  # only events whose representation contains it
    index: SearchIndex | None = None  # that serves the text
    stop: Callable[[], bool] = lambda: False
    count: int = 0  # of the events so far
    reached: int = BEGINNING
    complete: bool = False

    def __post_init__(self) -> None:
        self.reached = self.bounds.after

    @property
    def using(self) -> str:
        return self.events.db

    @property
    def continue_from(self) -> int:
        """Return the ID after which nothing was passed over that can still be committed."""
        return max(self.bounds.start, min(self.reached, self.bounds.settled))

    def pages(self) -> Iterator[Page]:
        """Yield the pages, some of them empty; an export has no more than one of them in memory."""
        make = RecordMaker(recent_renames(self.using))
        for ids, reached in _found(self) if self.text else _windows(self.events, self.bounds):
            for events, last in self._read(ids):
                inside = (e for e in events if self.bounds.includes(e.pk, e.transaction_id))
                page = Page([make.record(event) for event in inside], last)
                yield self._passed(page)
                if self.stop():
                    return
            yield self._passed(Page([], reached))
            if self.stop():
                return
        self.reached = self.bounds.upto
        self.complete = True

    def try_tables(self) -> None:
        """Read the columns that the records need, of no row: a pending migration may lack them."""
        represented = (of.objects.using(self.using) for of in (InstanceRepr, ReprFailure))
        for rows in (self._log, *represented):
            list(rows.filter(pk=BEGINNING))  # no event has this ID

    def _passed(self, page: Page) -> Page:
        self.count += len(page.records)
        self.reached = page.reached
        if settings.DEBUG:
            reset_queries()  # Django keeps the last 9000 there, each with a thousand IDs
        return page

    @property
    def _log(self) -> AuditLogQuerySet:
        return AuditLog.objects.using(self.using).defer("snapshot", "statement_at")

    def _read(self, ids: Sequence[int]) -> Iterator[tuple[list[AuditLog], int]]:
        vendor = get_vendor(self.using)
        # In this order: of an event that is represented meanwhile, one of both is read.
        log = self._log.prefetch_related("repr_failure", "instance_repr")
        sizes: dict[int, int] = {}
        while ids:
            fitting = vendor.fitting(ids[:AT_ONCE], MOST_BYTES, sizes)
            part, ids = ids[:fitting], ids[fitting:]
            yield list(log.filter(pk__in=part).order_by("pk")), part[-1]


def _windows(events: AuditLogQuerySet, bounds: Bounds) -> Ids:
    """Yield the IDs from windows that grow while the queries are quick: matches may be rare."""
    after, width = bounds.after, WIDTH
    while after < bounds.upto:
        end = min(after + width, bounds.upto)
        began = time.monotonic()
        rows = _within(events, after, end).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[:PAGE])
        width = width * 2 if time.monotonic() - began < QUICK else max(PAGE, width // 2)
        after = ids[-1] if len(ids) == PAGE else end
        yield ids, after


def _within(events: AuditLogQuerySet, after: int, end: int) -> AuditLogQuerySet:
    """Return those in ``(after, end]``; a planner does not carry bounds over to a joined table."""
    bounds: dict[str, int] = {"pk__gt": after, "pk__lte": end}
    joined = {join.table_name for join in events.query.alias_map.values()}
    for name, model in (("instance_repr", InstanceRepr), ("repr_failure", ReprFailure)):
        if model._meta.db_table in joined:
            bounds |= {f"{name}__pk__gt": after, f"{name}__pk__lte": end}
    return events.filter(**bounds)


def _found(export: Export) -> Ids:
    """Yield the IDs of those whose representation contains the text, as the list finds them."""
    after, upto = export.bounds.after, export.bounds.upto
    while after < upto:
        window = Window(after, upto + 1)
        found = search.find(export.using, export.index, export.text, window, forward=True)
        after = upto if found.last is None else found.last
        for first in range(0, len(found.ids), PAGE):
            part = found.ids[first : first + PAGE]
            rows = export.events.filter(pk__in=part).order_by("pk")
            yield list(rows.values_list("pk", flat=True)), part[-1]
        yield [], after
