"""What is known of an object's history beyond its events: gaps in it, and how it began."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..asof.asked import key_from_text
from ..asof.lookups import Itself, Point, Reference
from ..capture import coverage
from ..lineage import recent_renames
from ..models import AuditLog, Coverage
from ..reprs import build_related
from ..utils.model_meta import exists
from ..utils.table_names import model_for_table
from ..utils.time_limit import TimeLimit
from ..vendors.types import BEGINNING, Event, Moment
from .shown import Shown, of_outcome


@dataclass(frozen=True)
class Gap:
    """A time in which changes of a table may not have been recorded."""

    table: str
    reason: str
    begin: datetime | None  # of the last event before it
    end: datetime | None  # None: it is still open
    after: int  # events up to this ID are from before it


@dataclass(frozen=True)
class Beginning:
    """An object before its first event: since when it is known, and what it was."""

    since: datetime | None  # None: not recorded at all
    what: Shown


def gaps(using: str, tables: Collection[str]) -> list[Gap]:
    """Return the latest gap in the recording of each of these tables, in the log's order."""
    known = coverage.rows(using)
    found = (_gap(using, known[table]) for table in tables if table in known)
    return sorted((gap for gap in found if gap), key=lambda gap: gap.after)


def _gap(using: str, row: Coverage) -> Gap | None:
    if row.since_event is None:
        last = _events(using, row.table_name).order_by("-pk").values_list("pk", flat=True).first()
        reason = row.get_reason_display()
        return Gap(row.table_name, reason, row.recorded_at, None, _or_beginning(last))
    if row.reason == Coverage.Reason.INSTALLED:
        return None
    before = _events(using, row.table_name).filter(pk__lte=row.since_event).order_by("-pk")
    begin = before.values_list("occurred_at", flat=True).first()
    reason = row.get_reason_display()
    return Gap(row.table_name, reason, begin, row.recorded_at, row.since_event)


def _events(using: str, table: str) -> Any:
    lineage = recent_renames(using).lineage(table)
    return AuditLog.objects.using(using).filter(lineage.events())


def beginning(
    using: str, table: str, key: str, events: Sequence[AuditLog], limit: TimeLimit
) -> Beginning | None:
    """Return what the object was before its first event; None if that event added it.

    Of an object without events, what it is.

    :param events: the first page of its own events.
    """
    model = model_for_table(table)
    pk = key_from_text(model, key, using) if model else None
    if model is None or pk is None:
        return None
    row = coverage.rows(using).get(table)
    moment = Moment(_last_id(using))
    if events:
        first = events[0]
        if first.action == AuditLog.Action.INSERT or first.previous_object_id is not None:
            return None
        moment = Event.of(first).moment._replace(before=True)
    since = _since(row)
    gone = not events and not exists(model, using, pk=pk)
    if gone or (since is None and not events):
        return None
    outcomes = build_related([Reference(Point(moment), Itself(model), pk)], using, limit=limit)
    what = of_outcome(outcomes[0]) if outcomes else Shown(stored=False, built=False)
    return Beginning(since, what)


def _since(row: Coverage | None) -> datetime | None:
    return row.recorded_at if row is not None and row.since_event is not None else None


def _last_id(using: str) -> int:
    ids = AuditLog.objects.using(using).order_by("-pk").values_list("pk", flat=True)
    return _or_beginning(ids.first())


def _or_beginning(event_id: int | None) -> int:
    return BEGINNING if event_id is None else event_id


def placed(
    found: Sequence[Gap], events: Sequence[AuditLog], after: int, more: bool
) -> Iterator[tuple[int, Gap]]:
    """Yield the gaps that belong on this page, with the number of events before each."""
    for gap in found:
        before = sum(event.pk <= gap.after for event in events)
        earlier_page = gap.after < after
        later_page = more and before == len(events)
        if not (earlier_page or later_page):
            yield before, gap
