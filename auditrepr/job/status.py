"""The state of the job in one database, for monitoring and for the admin.

All queries are bounded: nothing here reads more of the log than a run with nothing to do, or a
million IDs of pending events.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import Error
from django.db.models import Func, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from .. import capture
from ..capture import coverage, inspection
from ..capture.state import State
from ..models import BackfillRun, Checkpoint, Coverage, Lease, RebuildCursor, ReprFailure
from ..vendors import get_vendor
from . import findings, gaps, killed, pending, preflight
from .locks.lease import DatabaseLock
from .locks.process import Process
from .pending import Count
from .reports import Finding
from .rounds import state as round_state
from .rounds.state import Held, Round

#: Maximum number of failures to count, the newest first.
MOST_FAILURES = 10_000
#: Number of runs to show.
LAST_RUNS = 5


@dataclass(frozen=True)
class Watermark:
    """The watermark, and what holds it back."""

    settled_id: int = 0
    held_by: tuple[str, ...] = ()  # transactions that were open at the last check
    held_since: datetime | None = None
    is_set: bool = True  # False: the job has not run yet


@dataclass(frozen=True)
class LockState:
    """The database lock while it is held."""

    token: UUID
    holder: Process | None
    expires_at: datetime
    expired: bool  # by the database's clock: the next run takes it over


@dataclass(frozen=True)
class Failures:
    """The failed events."""

    by_error: tuple[tuple[str, int], ...]  # the most frequent first
    rows: Count
    due: Count


@dataclass(frozen=True)
class FinalEvents:
    """The events without a representation because ``str()`` raised as of them, too."""

    by_error: tuple[tuple[str, int], ...]
    rows: Count


@dataclass(frozen=True)
class Summary:
    """The progress of the job, and the holder of the lock."""

    at: datetime
    pending: Count
    oldest_at: datetime | None  # when the oldest pending event occurred
    mark: Watermark
    lease: LockState | None
    round: Round | None

    @property
    def at_work(self) -> bool:
        """Return whether a run holds the lock, or workers hold shares."""
        locked = self.lease is not None and not self.lease.expired
        return locked or bool(self.round and self.round.held)

    @property
    def holders(self) -> list[Process]:
        """Return the processes that hold the lock, or shares."""
        return _holders(self.lease, self.round)

    @property
    def lag(self) -> float:
        """Return the seconds that the oldest pending event has waited."""
        return _waited(self.oldest_at, self.at)


@dataclass(frozen=True)
class JobStatus(Summary):
    """The state of the job."""

    database: str
    runs: tuple[BackfillRun, ...]  # the latest first
    killed: frozenset[int]  # the keys of those that were killed
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

    @property
    def skipped(self) -> int:
        """Return how many runs found the lock held since the latest run that was not idle."""
        return self.runs[0].skipped_runs if self.runs else 0

    @property
    def failed(self) -> bool:
        """Return whether the last run to end failed or was killed."""
        ended = [run for run in self.runs if run.ended_at or run.pk in self.killed]
        # One with nothing to do is counted on the run before it: all has gone well since.
        return bool(ended and self.error(ended[0]) and not ended[0].idle_runs)

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
    so_far = progress(using)
    # Afterwards: a run holds its lock before it is recorded, and until its end is.
    runs = tuple(BackfillRun.objects.using(using).order_by("-pk")[:LAST_RUNS])
    return JobStatus(
        **vars(so_far),
        database=using,
        schema=inspection.schema_of(using),
        runs=runs,
        killed=killed.among(using, runs, so_far.holders),
        failures=_failures(using),
        final=FinalEvents(*_by_error(ReprFailure.objects.using(using).final())),
        broken=broken,
        waiting=tuple(state for state in states if state.waits),
        findings=tuple(found),
        remedy=findings.to_run(using) if broken else "",
        migrations=() if applied is None else findings.migrations(using, applied),
        migrations_since=findings.migrations_since(using, applied),
        gaps=tuple(gaps.of(states, coverage.rows(using))),
        rebuild=RebuildCursor.objects.using(using).first(),
    )


def progress(using: str) -> Summary:
    """Return the progress of the job in this database, without writing."""
    oldest_at, count = _pending(using)
    now = timezone.now()
    return Summary(
        at=now,
        pending=count,
        oldest_at=oldest_at,
        mark=_mark(using),
        lease=lease(using),
        round=round_state.of(using, now),
    )


def lag(using: str) -> float:
    """Return the seconds that the oldest pending event has waited.

    Unlike the rest of the status, this is known of a log whose migrations are pending, too.
    """
    oldest_at, _ = _pending(using)
    return _waited(oldest_at, timezone.now())


def _pending(using: str) -> tuple[datetime | None, Count]:
    oldest, count = pending.preview(using, 1)
    return oldest[0].occurred_at if oldest else None, count


def _waited(oldest_at: datetime | None, now: datetime) -> float:
    return max(0.0, (now - oldest_at).total_seconds()) if oldest_at else 0.0


def lease(using: str) -> LockState | None:
    """Return the holder of the database lock."""
    leases = Lease.objects.using(using).filter(name=DatabaseLock.NAME, token__isnull=False)
    found = leases.first()
    if found is None or found.token is None or found.expires_at is None:
        return None
    expired = leases.filter(expires_at__lte=get_vendor(using).clock()).exists()
    return LockState(found.token, Process.of(found.holder), found.expires_at, expired)


def holders(using: str) -> list[Process]:
    """Return the processes that hold the database lock, or shares."""
    return _holders(lease(using), round_state.of(using, timezone.now()))


def _holders(locked: LockState | None, shared: Round | None) -> list[Process]:
    held: list[LockState | Held] = [*(shared.held if shared else ())]
    held += [locked] if locked and not locked.expired else []
    return [one.holder for one in held if one.holder]


def _mark(using: str) -> Watermark:
    found = Checkpoint.of(using, "settled_id", "candidate_evidence", "candidate_at")
    if found is None:
        return Watermark(is_set=False)
    writers = (found.candidate_evidence or {}).get("transactions", ())
    since = found.candidate_at if writers else None
    return Watermark(found.settled_id, tuple(map(str, writers)), since)


def _failures(using: str) -> Failures:
    entries = ReprFailure.objects.using(using).failing()
    due = len(entries.filter(next_attempt_at__lte=Now()).values_list("pk")[:MOST_FAILURES])
    return Failures(*_by_error(entries), Count(due, complete=due < MOST_FAILURES))


def _by_error(entries: QuerySet[ReprFailure]) -> tuple[tuple[tuple[str, int], ...], Count]:
    """Return the numbers by error class, and how many there are."""
    errors = list(entries.order_by("-pk").values_list("error_class", flat=True)[:MOST_FAILURES])
    rows = Count(len(errors), complete=len(errors) < MOST_FAILURES)
    return tuple(Counter(errors).most_common()), rows


def recently_failed(using: str, window: timedelta) -> Count:
    """Return how many events failed, or failed again, within this time."""
    entries = ReprFailure.objects.using(using).failing()
    failed = entries.filter(last_failed_at__gte=_ago(using, window))
    rows = len(failed.values_list("pk")[:MOST_FAILURES])
    return Count(rows, complete=rows < MOST_FAILURES)


def _ago(using: str, window: timedelta) -> Func:
    """Return a time by the database's clock, as the times are that it is compared with."""
    return get_vendor(using).clock(-window.total_seconds())
