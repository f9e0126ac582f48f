"""What is older than ``RETENTION`` keeps it, and still there: one query, with bounded look-ups.

Former names of tables take one more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import reduce
from operator import or_
from typing import NamedTuple

from django.apps import apps
from django.db.models import Q, Subquery
from django.db.models.expressions import RawSQL

from ...conf import get_settings
from ...lineage import recent_renames
from ...lineage.renames import Renames
from ...models import AuditLog, AuditLogQuerySet
from ...tracking.retention import EVERY, entry_of
from ...utils.table_names import log_name, model_for_table
from .due import by_settings

#: The first event of each name of a table; each takes two searches of an index.
FIRST_OF_EACH = """
WITH RECURSIVE known (name) AS (
    SELECT min(table_name) FROM auditrepr_auditlog
    UNION ALL
    SELECT (SELECT min(table_name) FROM auditrepr_auditlog WHERE table_name > name)
    FROM known WHERE name IS NOT NULL
)
SELECT (SELECT id FROM auditrepr_auditlog WHERE table_name = name ORDER BY id LIMIT 1) FROM known
"""


class Overdue(NamedTuple):
    """An entry of ``RETENTION`` with events that ``prune_audit_log`` would delete."""

    entry: str
    age: str  # how long its events are kept, in words
    oldest_at: datetime
    seconds: float  # by how much the oldest one is older than that


def of(using: str) -> tuple[Overdue, ...]:
    """Return the entries with events that are due, by the oldest event of each table."""
    kept = get_settings().RETENTION
    if not kept:
        return ()
    oldest: dict[str, datetime] = {}
    for table, first in _oldest(using):
        model = model_for_table(table)
        entry = entry_of(model, kept) if model else (EVERY if EVERY in kept else None)
        if entry:
            oldest[entry] = min(first, oldest.get(entry, first))
    cutoffs = by_settings()
    return tuple(
        Overdue(entry, str(age), at, (cutoffs[entry] - at).total_seconds())
        for entry, age in kept.items()
        if (at := oldest.get(entry)) and at < cutoffs[entry]
    )


def _oldest(using: str) -> list[tuple[str, datetime]]:
    """Return the tables of the log, audited or not, with the oldest event under each name."""
    renames = recent_renames(using)
    first = AuditLog.objects.using(using).filter(pk__in=RawSQL(FIRST_OF_EACH, ()))  # noqa: S611
    found = dict(_named(first))
    current = [(renames.table(name, at), at) for name, at in found.items()]
    return current + _oldest_of_former(using, renames, found)


def _oldest_of_former(
    using: str, renames: Renames, there: Collection[str]
) -> list[tuple[str, datetime]]:
    """Return the same for former names, which several tables may have had one after the other."""
    models = apps.get_models(include_auto_created=True)
    tables = {log_name(model._meta.db_table) for model in models}
    names = [(table, name) for table in tables for name in renames.lineage(table).names]
    former = {name.name for table, name in names if name.name != table}.intersection(there)
    log = AuditLog.objects.using(using)
    first = [
        Q(pk=Subquery(log.filter(name.events()).order_by("pk").values("pk")[:1]))
        for _, name in names
        if name.name in former
    ]
    oldest = _named(log.filter(reduce(or_, first))) if first else ()
    return [(renames.table(name, at), at) for name, at in oldest]


def _named(log: AuditLogQuerySet) -> Iterable[tuple[str, datetime]]:
    return log.values_list("table_name", "occurred_at")
