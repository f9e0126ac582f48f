"""The job as one call, and what it has stored."""

from __future__ import annotations

from typing import Any

from auditrepr.job import backfill
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.result import Result
from auditrepr.models import InstanceRepr


def run(**options: Any) -> Result:
    """A run with the lock in the database."""
    return backfill.run("default", lock=DatabaseLock("default"), **options)


def texts() -> list[str]:
    """All representations, in the order of their events."""
    return list(InstanceRepr.objects.order_by("pk").values_list("instance_repr", flat=True))
