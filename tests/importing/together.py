"""Two logs of the same story: what both have recorded is compared."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.core.management import call_command

from auditrepr import capture
from auditrepr.capture import coverage
from auditrepr.models import AuditLog, Coverage, InstanceRepr
from tests.capturing import next_moment

Event = tuple[Any, ...]
FIELDS = ("object_id", "action", "row_data", "changed_from")


def begin() -> None:
    """Let the log be empty, and all tables be covered."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    capture.install("default")
    AuditLog.objects.all().delete()


def recorded(*fields: str) -> dict[str, list[Event]]:
    """Return what the log has of each table, in its order."""
    found = defaultdict(list)
    for table, *values in AuditLog.objects.order_by("pk").values_list(
        "table_name", *(fields or FIELDS)
    ):
        found[table.partition("_")[2]].append(tuple(values))
    return found


def switch() -> dict[str, list[Event]]:
    """Return what auditrepr has recorded by table, and let it begin now."""
    found = recorded()
    AuditLog.objects.all().delete()
    next_moment()
    names = Coverage.objects.values_list("table_name", flat=True)
    coverage.start("default", dict.fromkeys(names, Coverage.Reason.INSTALLED))
    next_moment()
    return found


def represented() -> dict[str, list[Event]]:
    """Return what is stored for each table's events, in their order."""
    call_command("backfill_reprs", verbosity=0)
    found = defaultdict(list)
    rows = InstanceRepr.objects.order_by("pk")
    for table, *stored in rows.values_list("audit_log__table_name", "instance_repr", "fidelity"):
        found[table.partition("_")[2]].append(tuple(stored))
    return found
