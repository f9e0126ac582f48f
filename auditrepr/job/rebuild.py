"""Rebuilds stored representations, for example after improving ``__str__``.

A representation that can no longer be built keeps its text. Final events, of which ``str()`` gave
none, are built once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from django.apps import apps
from django.db.models import QuerySet
from django.db.models.functions import Now

from ..conf import Asked, get_settings
from ..exceptions import NotAudited
from ..lineage import get_renames
from ..models import AuditLog, Fidelity, RebuildCursor, StopReason
from ..reprs import Outcome, build
from ..tracking import tracked_tables
from ..utils.model_meta import concrete
from ..utils.table_names import log_name
from ..utils.time_limit import JobTimeLimit
from ..vendors import get_vendor
from ..vendors.types import Event
from . import preflight, quarantine, related, store
from .limits import BatchSize, Limits
from .locks.base import Lock
from .result import Progress, Result, Stored
from .rounds import shares
from .run import Run
from .windows import next_id, windows


@dataclass(frozen=True)
class Selection:
    """The representations that a rebuild covers; by default all."""

    table_name: str = ""  # of these events, by its current name in the log
    since: str = ""  # ISO: only events at or after this time
    mixed: bool = False  # only mixed ones

    @classmethod
    def of(
        cls, using: str, *, model: str = "", since: datetime | None = None, mixed: bool = False
    ) -> Selection:
        """Return the selection for these options of ``rebuild_reprs``.

        :param model: ``"app_label.Model"``.
        :raises NotAudited: if there is no such model, or it is not audited.
        """
        return cls(_table(using, model) if model else "", since.isoformat() if since else "", mixed)

    def rows(self, using: str, after: int, upto: int) -> QuerySet[AuditLog]:
        """Return the events in ``(after, upto]`` whose representations are selected."""
        rows = self._events(using, after, upto, "instance_repr")
        return rows.filter(instance_repr__fidelity=Fidelity.MIXED) if self.mixed else rows

    def final(self, using: str, after: int, upto: int) -> QuerySet[AuditLog]:
        """Return the final events in ``(after, upto]`` that are selected."""
        rows = self._events(using, after, upto, "repr_failure")
        rows = rows.filter(repr_failure__next_attempt_at__isnull=True)
        return rows.none() if self.mixed else rows

    def _events(self, using: str, after: int, upto: int, stored: str) -> QuerySet[AuditLog]:
        bounds = {"gt": after, "lte": upto}
        # A planner does not carry the bounds over to the other table.
        ids = ("pk__", f"{stored}__pk__")
        window = {f"{at}{bound}": pk for bound, pk in bounds.items() for at in ids}
        rows = AuditLog.objects.using(using).filter(**window)
        if self.table_name:
            rows = rows.filter(get_renames(using).lineage(self.table_name).events())
        if self.since:
            rows = rows.filter(occurred_at__gte=datetime.fromisoformat(self.since))
        return rows.order_by("pk")


_TEXTS = ("instance_repr__instance_repr", "instance_repr__fidelity", "instance_repr__reason")


class StoredBatch(NamedTuple):
    """Events with what is stored of each: text, fidelity, reason; of final ones, nothing."""

    events: list[Event]
    stored: dict[int, tuple[str, str, str]]
    reaches: int  # all selected events up to this ID are among these, or were before


class Change(NamedTuple):
    """An event whose rebuilt representation differs from the stored one, or failed."""

    event: Event
    stored: tuple[str, str, str] | None  # none: the event is final
    outcome: Outcome


@dataclass(frozen=True)
class RebuildPreview:
    """What a run would change in its first batch."""

    looked_at: int
    changes: list[Change]


def preview(using: str, selection: Selection, *, batch_size: Asked | None = None) -> RebuildPreview:
    """Return what a run would change in its first batch, without writing."""
    preflight.check(using)
    top = get_vendor(using).reach().visible
    size = BatchSize(batch_size or get_settings().BATCH_SIZE).rows
    held = StoredBatch([], {}, 0)
    while held.reaches < top and not held.events:
        held = take(using, selection, held.reaches, top, size)
    limit = JobTimeLimit.from_settings()
    outcomes = build(held.events, using, limit=limit) if held.events else []
    found = [
        Change(event, held.stored.get(event.id), outcome)
        for event, outcome in zip(held.events, outcomes, strict=True)
    ]
    return RebuildPreview(len(found), [change for change in found if _is_one(change)])


def _is_one(change: Change) -> bool:
    """Return whether anything would change; a final event that still fails stays one."""
    if change.stored is None:
        return change.outcome.failure is None
    return _values(change.outcome) != change.stored


def unfinished(using: str) -> RebuildCursor | None:
    """Return the cursor of an interrupted rebuild, if there is one."""
    return RebuildCursor.objects.using(using).first()


def run(
    using: str,
    selection: Selection | None,
    *,
    lock: Lock,
    batch_size: Asked | None = None,
    max_seconds: float | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Rebuild stored representations in batches, and update those that differ.

    :param selection: none continues the run that was cut short, if there is one.
    :returns: what it did; see :func:`.backfill.run`. Its ``rows`` are those that changed,
        its ``failures`` those that could not be built and keep what they had.
    """
    limits = Limits(None, max_seconds, stop)
    options: dict[str, Any] = {"lock": lock, "limits": limits, "size": batch_size}
    return Rebuild(using, selection, on_progress=on_progress, **options).run()


class Rebuild(Run):
    """A run of ``rebuild_reprs``."""

    command = "rebuild_reprs"

    def __init__(self, using: str, selection: Selection | None, **options: Any) -> None:
        super().__init__(using, **options)
        self.selection = selection

    def work(self) -> StopReason:
        shares.void(self.using)
        cursor = self._cursor()
        while cursor and cursor.reached_id < cursor.top_id:
            if reason := self.reached():
                return reason
            held = take(
                self.using,
                Selection(**cursor.selection),
                cursor.reached_id,
                cursor.top_id,
                self.size,
            )
            self.store(held.events, partial(self._write, cursor, held))
            self.tell(cursor.reached_id - cursor.start_id, cursor.top_id - cursor.start_id)
        return StopReason.CAUGHT_UP

    def _cursor(self) -> RebuildCursor | None:
        """Return the rebuild cursor, or None if nothing is left to rebuild.

        The first call of a run with a selection replaces the stored cursor; after a retried error,
        the cursor of this run is continued.
        """
        cursors = RebuildCursor.objects.using(self.using)
        if self.selection is not None:
            top = self.vendor.reach().visible
            start = (next_id(self.using, 0, top) or top + 1) - 1
            values = {"selection": asdict(self.selection), "started_at": Now()}
            values |= {"start_id": start, "reached_id": start, "top_id": top}
            cursors.filter(pk=1).delete()
            if start < top:
                cursors.create(pk=1, **values)
            self.selection = None
        return cursors.first()

    def _write(self, cursor: RebuildCursor, held: StoredBatch, outcomes: list[Outcome]) -> Stored:
        known = [outcome for outcome in outcomes if outcome.id in held.stored]
        built = [outcome for outcome in known if outcome.failure is None]
        changed = [outcome for outcome in built if _values(outcome) != held.stored[outcome.id]]
        rows, changed = store.store(self.using, changed, self.vendor.replace)
        failed = [outcome for outcome in (*known, *changed) if outcome.failure]
        more, still = self._write_final([o for o in outcomes if o.id not in held.stored])
        whole = len(outcomes) == len(held.events)
        cursor.reached_id = held.reaches if whole else outcomes[-1].id
        if cursor.reached_id >= cursor.top_id:
            selection = Selection(**cursor.selection)
            if not selection.since and not selection.mixed:
                related.note_rebuilt(self.using, cursor, selection.table_name)
            RebuildCursor.objects.using(self.using).filter(pk=cursor.pk).delete()
        else:
            cursor.save(using=self.using, update_fields=["reached_id"])
        final = store.final(still)
        return Stored(rows + more, failed, len(outcomes), store.failed(still), final)

    def _write_final(self, outcomes: list[Outcome]) -> tuple[int, list[Outcome]]:
        """Store what has become of final events; return how many have a text, and all outcomes."""
        rows, outcomes = store.store(self.using, outcomes, self.vendor.store)
        quarantine.release(self.using, [one.id for one in outcomes if one.failure is None])
        quarantine.add(self.using, outcomes)
        return rows, outcomes


def take(using: str, selection: Selection, after: int, upto: int, size: int) -> StoredBatch:
    """Return the next selected events in ``(after, upto]``, from a bounded number of windows."""
    events: list[Event] = []
    stored: dict[int, tuple[str, str, str]] = {}
    width = len(Event._fields)
    for begin, end in windows(using, after, upto):
        left = size - len(events)
        rows = selection.rows(using, begin, end).values_list(*Event._fields, *_TEXTS)
        final = selection.final(using, begin, end).values_list(*Event._fields)
        found = sorted([*rows[:left], *final[:left]], key=itemgetter(0))[:left]
        events += [Event(*row[:width]) for row in found]
        stored |= {row[0]: row[width:] for row in found if len(row) > width}
        if len(events) == size:
            return StoredBatch(events, stored, events[-1].id)
    return StoredBatch(events, stored, end)


def _values(outcome: Outcome) -> tuple[str, str, str]:
    return outcome.text, str(outcome.fidelity), outcome.reason


def _table(using: str, label: str) -> str:
    try:
        name = log_name(concrete(apps.get_model(label))._meta.db_table)
    except (LookupError, ValueError):
        name = ""
    audited = {table.name: table.model._meta.label for table in tracked_tables(using)}
    if name not in audited:
        raise NotAudited(name=label, known=", ".join(sorted(audited.values())))
    return name
