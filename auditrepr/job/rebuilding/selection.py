"""Which stored representations a rebuild covers, and how it reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from django.apps import apps
from django.db.models import QuerySet

from ...exceptions import NotAudited
from ...lineage import get_renames
from ...models import AuditLog, Fidelity
from ...reprs import Outcome
from ...tracking import tracked_tables
from ...utils.model_meta import concrete
from ...utils.phrases import suggested
from ...utils.table_names import log_name
from ...vendors.types import Event
from ..windows import windows


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


def _table(using: str, label: str) -> str:
    try:
        name = log_name(concrete(apps.get_model(label))._meta.db_table)
    except (LookupError, ValueError):
        name = ""
    audited = {table.name: table.model._meta.label for table in tracked_tables(using)}
    if name not in audited:
        raise NotAudited(name=label, hint=suggested(audited.values(), label))
    return name


def values_of(outcome: Outcome) -> tuple[str, str, str]:
    """Return what is stored of an outcome, as :class:`StoredBatch` has it."""
    return outcome.text, str(outcome.fidelity), outcome.reason
