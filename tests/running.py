"""Runs the job with one call, and returns what it has stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from auditrepr.job import backfill
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.runs.result import Result
from auditrepr.models import AuditLog, BackfillRun, InstanceRepr
from auditrepr.reprs import Outcome, build
from auditrepr.utils.time_limit import JobTimeLimit
from auditrepr.vendors.types import Event


@pytest.fixture(autouse=True)
def _empty_log(transactional_db: None) -> None:
    """What emptied the tables after the test before is in the log, too."""
    AuditLog.objects.all().delete()
    BackfillRun.objects.all().delete()


def run(**options: Any) -> Result:
    """A run with the lock in the database."""
    return backfill.run("default", lock=DatabaseLock("default"), **options)


def built_by_job(events: Sequence[Event]) -> list[Outcome]:
    """What the job builds of these events, in a process that it owns."""
    return build(events, "default", limit=JobTimeLimit.from_settings())


def texts() -> list[str]:
    """All representations, in the order of their events."""
    return list(InstanceRepr.objects.order_by("pk").values_list("instance_repr", flat=True))
