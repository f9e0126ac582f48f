"""How the job stands in one database: what monitoring asks, and what its page in the admin shows.

Everything is bounded: nothing here reads more of the log than a run with nothing to do, or a
million ids of what is pending.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models.functions import Now
from django.utils import timezone

from .. import capture
from ..capture import coverage, triggers
from ..capture.state import State
from ..models import BackfillRun, Checkpoint, Coverage, Lease, RebuildCursor, ReprFailure
from ..vendors import get_vendor
from . import findings, pending
from .findings import Finding
from .locks.lease import DatabaseLock
from .locks.process import Process
from .pending import Count

#: Entries of the quarantine that are looked at, the newest first.
MOST_FAILURES = 10_000
#: The runs that are shown.
LAST_RUNS = 5


@dataclass(frozen=True)
class Mark:
    """The settled mark, and what keeps it from following."""

    settled_id: int = 0
    held_by: tuple[str, ...] = ()  # transactions that were writing when it was last looked at
    held_since: datetime | None = None
    is_set: bool = True  # False: the job has not run yet


@dataclass(frozen=True)
class Held:
    """The database lock, in somebody's hands."""

    token: UUID
    holder: Process | None
    expires_at: datetime
    expired: bool  # by the database's clock: the next run takes it


@dataclass(frozen=True)
class Failures:
    """The quarantine."""

    by_error: tuple[tuple[str, int], ...]  # the most frequent first
    rows: Count
    due: Count


@dataclass(frozen=True)
class Progress:
    """How far the job is, and who is at work."""

    at: datetime
    pending: Count
    oldest_at: datetime | None  # when the oldest pending event occurred
    mark: Mark
    lease: Held | None

    @property
    def lag(self) -> float:
        """For how many seconds the oldest pending event has waited."""
        return max(0.0, (self.at - self.oldest_at).total_seconds()) if self.oldest_at else 0.0


@dataclass(frozen=True)
class Status(Progress):
    """How the job stands."""

    database: str
    runs: tuple[BackfillRun, ...]  # the latest first
    failures: Failures
    schema: str  # that the log is in, unless it is the usual one
    broken: tuple[State, ...]  # tables whose triggers are broken
    waiting: tuple[State, ...]  # tables that a pending migration changes
    findings: tuple[Finding, ...]  # what should be recorded, and is not
    remedy: str  # what puts the triggers right
    migrations_since: datetime | None  # since when too many runs have found them pending
    gaps: tuple[Coverage, ...]  # tables whose capture was interrupted
    rebuild: RebuildCursor | None  # that was cut short, or is at work

    @property
    def skipped(self) -> int:
        """Runs that found the lock held, since the latest one that had something to do."""
        return self.runs[0].skipped_runs if self.runs else 0


def of(using: str) -> Status:
    """How the job stands in this database. Writes nothing.

    :raises MigrationsPending: if it holds no audit log.
    :raises DatabaseUnreachable: if it cannot be reached.
    """
    capture.databases(using)
    states, found = findings.look(using)
    broken = tuple(s for s in states if s.status in capture.BROKEN)
    return Status(
        **vars(progress(using)),
        database=using,
        schema=triggers.schema_of(using),
        runs=tuple(BackfillRun.objects.using(using).order_by("-pk")[:LAST_RUNS]),
        failures=_failures(using),
        broken=broken,
        waiting=tuple(state for state in states if state.waits),
        findings=tuple(found),
        remedy=findings.to_run(using) if broken else "",
        migrations_since=findings.migrations_since(using),
        gaps=tuple(_gaps(states, coverage.rows(using))),
        rebuild=RebuildCursor.objects.using(using).first(),
    )


def progress(using: str) -> Progress:
    """How far the job is in this database. Writes nothing."""
    oldest, count = pending.preview(using, 1)
    return Progress(
        at=timezone.now(),
        pending=count,
        oldest_at=oldest[0].occurred_at if oldest else None,
        mark=_mark(using),
        lease=lease(using),
    )


def lease(using: str) -> Held | None:
    """Who holds the database lock."""
    leases = Lease.objects.using(using).filter(name=DatabaseLock.NAME, token__isnull=False)
    found = leases.first()
    if found is None or found.token is None or found.expires_at is None:
        return None
    expired = leases.filter(expires_at__lte=get_vendor(using).clock()).exists()
    return Held(found.token, Process.of(found.holder), found.expires_at, expired)


def _mark(using: str) -> Mark:
    found = Checkpoint.objects.using(using).filter(pk=1).first()
    if found is None:
        return Mark(is_set=False)
    writers = (found.candidate_evidence or {}).get("transactions", ())
    since = found.candidate_at if writers else None
    return Mark(found.settled_id, tuple(map(str, writers)), since)


def _failures(using: str) -> Failures:
    entries = ReprFailure.objects.using(using)
    errors = list(entries.order_by("-pk").values_list("error_class", flat=True)[:MOST_FAILURES])
    due = len(entries.filter(next_attempt_at__lte=Now()).values_list("pk")[:MOST_FAILURES])
    return Failures(
        tuple(Counter(errors).most_common()),
        Count(len(errors), complete=len(errors) < MOST_FAILURES),
        Count(due, complete=due < MOST_FAILURES),
    )


def recently_failed(using: str, window: timedelta) -> Count:
    """How many events have failed within this time, and failed still when they were tried last."""
    failed = ReprFailure.objects.using(using).filter(last_failed_at__gte=timezone.now() - window)
    rows = len(failed.values_list("pk")[:MOST_FAILURES])
    return Count(rows, complete=rows < MOST_FAILURES)


def gap(row: Coverage | None, state: State | None = None) -> Coverage | None:
    """The row of a table's coverage, if changes to the table are missing from the log.

    :param state: how the table stands now; a gap that nobody has written down yet is one.
    """
    reason = coverage.restart(state, row) if state and state.capture else None
    if state and reason:
        lost = reason if state.captured else Coverage.Reason(state.status.value)
        return Coverage(table_name=state.name, since_event=None, reason=lost)
    is_gap = row and (row.since_event is None or row.reason != Coverage.Reason.INSTALLED)
    return row if is_gap else None


def _gaps(states: Iterable[State], known: Mapping[str, Coverage]) -> Iterator[Coverage]:
    by_name = {state.name: state for state in states}
    for name in sorted(known.keys() | by_name.keys()):
        if found := gap(known.get(name), by_name.get(name)):
            yield found
