"""What is older than ``RETENTION`` keeps it, and still there: one query, with bounded look-ups."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db.models import OuterRef, Subquery

from ..conf import get_settings
from ..models import AuditLog, Coverage
from ..tracking.retention import EVERY, entry_of
from ..utils.table_names import model_for_table
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
    return list(covered.values_list("table_name", "oldest"))
