"""The state of the job in one database, for monitoring and for the admin.

All queries are bounded: nothing here reads more of the log than a run with nothing to do, or a
million IDs of pending events.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import Error

from ... import capture
from ...capture import attachment, coverage, inspection
from ...capture.state import State
from ...models import BackfillRun, Coverage, RebuildCursor
from ...vendors.attach_types import Attachment
from .. import preflight
from ..partitions import state as partition_state
from ..reports import Finding
from ..runs import failed_run, killed
from . import failure_counts, findings, gaps, summary
from .failure_counts import Failures, FinalEvents
from .summary import Summary

#: Number of runs to show.
LAST_RUNS = 5


@dataclass(frozen=True)
class JobStatus(Summary):
    """The state of the job."""

    database: str
    runs: tuple[BackfillRun, ...]  # the latest first
    killed: frozenset[int]  # the keys of those that were killed
    failed: bool  # whether the last run of a command to end failed or was killed
    failures: Failures
    final: FinalEvents
    schema: str  # where the log is, unless it is the usual one
    broken: tuple[State, ...]  # tables whose triggers are broken
    waiting: tuple[State, ...]  # tables that a pending migration changes
    findings: tuple[Finding, ...]  # what should be recorded, and is not
    remedy: str  # the command that fixes the triggers
    migrations: tuple[str, ...]  # that are pending
    migrations_since: datetime | None  # since when runs find them pending, if for too long
    gaps: tuple[Coverage, ...]  # tables with a gap in coverage
    rebuild: RebuildCursor | None  # interrupted, or running
    attached: Attachment | None  # to another log, whose own tool records

    @property
    def skipped(self) -> int:
        """Return how many runs found the lock held since the latest run that was not idle."""
        return self.runs[0].skipped_runs if self.runs else 0

    @property
    def last_started_at(self) -> datetime | None:
        """Return when a run last began."""
        return self.last_start(self.runs[0] if self.runs else None)

    def stop_reason(self, run: BackfillRun) -> str:
        """Return why one of the runs stopped; empty while it runs."""
        return killed.KILLED if run.pk in self.killed else run.stop_reason

    def error(self, run: BackfillRun) -> str:
        """Return the error of one of the runs; empty if there was none."""
        return killed.TOLD if run.pk in self.killed else run.error


def of(using: str) -> JobStatus:
    """Return the state of the job in this database, without writing.

    :raises MigrationsPending: if it has no audit log, or that of an earlier version.
    :raises DatabaseUnreachable: if it cannot be connected to.
    """
    capture.databases(using)
    try:
        return _of(using)
    except Error as error:
        preflight.check_own_tables(using, error)
        raise


def is_deploying(using: str) -> bool:
    """Return whether pending migrations of the log raise no alarm yet: every deployment has some.

    Runs of the job note since when they find them.
    """
    try:
        return capture.holds_log(using) and findings.migrations_since(using) is None
    except Error:  # the log is of a version in which they did not
        return False


def _of(using: str) -> JobStatus:
    states, found, applied = findings.look(using)
    broken = tuple(s for s in states if s.status in capture.BROKEN)
    so_far = summary.of(using)
    # Afterwards: a run holds its lock before it is recorded, and until its end is.
    runs = tuple(BackfillRun.objects.using(using).order_by("-pk")[:LAST_RUNS])
    return JobStatus(
        **vars(so_far),
        database=using,
        schema=inspection.schema_of(using),
        runs=runs,
        killed=killed.among(using, runs, so_far.holders),
        failed=failed_run.last(using, so_far.holders) is not None,
        failures=failure_counts.failing(using),
        final=failure_counts.final(using),
        broken=broken,
        waiting=tuple(state for state in states if state.waits),
        findings=(*found, *partition_state.judged(using, so_far.partitions)),
        remedy=findings.to_run(using) if broken else "",
        migrations=() if applied is None else findings.migrations(using, applied),
        migrations_since=findings.migrations_since(using, applied),
        gaps=tuple(gaps.of(states, coverage.rows(using))),
        rebuild=RebuildCursor.objects.using(using).first(),
        attached=attachment.attached(using),
    )
