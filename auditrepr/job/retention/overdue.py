"""What is older than ``RETENTION`` keeps it, and still there: one query, with bounded look-ups.

Former names of tables take one more.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import reduce
from operator import or_
from typing import NamedTuple

from django.db.models import OuterRef, Q, Subquery

from ...conf import get_settings
from ...lineage import recent_renames
from ...models import AuditLog, Coverage
from ...tracking.retention import EVERY, entry_of
from ...utils.table_names import model_for_table
from .due import by_settings


class Overdue(NamedTuple):
    """An entry of ``RETENTION`` with events that ``prune_audit_log`` would delete."""

    entry: str
    age: str  # how long its events are kept, in words
    oldest_at: datetime
    seconds: float  # by how much the oldest one is older than that


def of(using: str) -> tuple[Overdue, ...]:
    """Return the entries with events that are due, by the oldest event of each covered table."""
    kept = get_settings().RETENTION
    if not kept:
        return ()
    oldest: dict[str, datetime] = {}
    for table, at in _oldest(using):
        model = model_for_table(table)
        entry = entry_of(model, kept) if model else (EVERY if EVERY in kept else None)
        if entry and at:
            oldest[entry] = min(at, oldest.get(entry, at))
    cutoffs = by_settings()
    return tuple(
        Overdue(entry, str(age), at, (cutoffs[entry] - at).total_seconds())
        for entry, age in kept.items()
        if (at := oldest.get(entry)) and at < cutoffs[entry]
    )


def _oldest(using: str) -> list[tuple[str, datetime | None]]:
    events = AuditLog.objects.using(using).filter(table_name=OuterRef("table_name")).order_by("pk")
    covered = Coverage.objects.using(using).annotate(
        oldest=Subquery(events.values("occurred_at")[:1])
    )
    found = list(covered.values_list("table_name", "oldest"))
    return found + _oldest_of_former(using, [name for name, _ in found])


def _oldest_of_former(using: str, tables: Collection[str]) -> list[tuple[str, datetime | None]]:
    """Return these tables with the oldest events that they have under former names."""
    renames, log = recent_renames(using), AuditLog.objects.using(using)
    former = [
        Q(pk=Subquery(log.filter(name.events()).order_by("pk").values("pk")[:1]))
        for table in tables
        for name in renames.lineage(table).names
        if name.name != table
    ]
    oldest = log.filter(reduce(or_, former, Q(pk__in=()))).values_list("table_name", "occurred_at")
    return [(renames.table(name, at), at) for name, at in oldest] if former else []
