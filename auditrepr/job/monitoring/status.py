"""The state of the job in one database, for monitoring and for the admin.

All queries are bounded: nothing here reads more of the log than a run with nothing to do, or a
million IDs of pending events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import Error
from django.utils import timezone

from ... import capture
from ...capture import attachment, coverage, inspection
from ...capture.state import State
from ...models import BackfillRun, Checkpoint, Coverage, Erasure, Lease, RebuildCursor
from ...vendors import get_vendor
from ...vendors.attach_types import Attachment
from ...vendors.types import BEGINNING
from .. import pending, preflight
from ..importing import state as import_state
from ..importing.state import ImportState
from ..locks.lease import DatabaseLock
from ..locks.process import Process
from ..partitions import state as partition_state
from ..partitions.state import PartitionState
from ..pending import Count
from ..reports import Finding
from ..retention import overdue
from ..retention.overdue import Overdue
from ..rounds import state as round_state
from ..rounds.state import Held, Round
from ..runs import failed_run, killed
from ..seals import state as seal_state
from ..seals.state import SealState
from . import failure_counts, findings, gaps
from .failure_counts import Failures, FinalEvents

#: Number of runs to show.
LAST_RUNS = 5


@dataclass(frozen=True)
class Watermark:
    """The watermark, and what holds it back."""

    settled_id: int | None = None  # None: no event is settled yet
    held_by: tuple[str, ...] = ()  # transactions that were open at the last check
    held_since: datetime | None = None


@dataclass(frozen=True)
class LockState:
    """The database lock while it is held."""

    token: UUID
    holder: Process | None
    expires_at: datetime
    expired: bool  # by the database's clock, or its holder has ended: the next run takes it over


@dataclass(frozen=True)
class Summary:
    """The progress of the job, and the holder of the lock."""

    at: datetime
    pending: Count
    oldest_at: datetime | None  # when the oldest pending event occurred
    mark: Watermark
    lease: LockState | None
    round: Round | None
    acquired_at: datetime | None  # when a run last acquired the lock, also to find nothing to do
    overdue: tuple[Overdue, ...]  # what RETENTION does not keep, and is still there
    erasing_since: datetime | None = field(default=None, kw_only=True)  # an unfinished erasure
    sealed: SealState | None = field(default=None, kw_only=True)  # None: SEAL is not set
    imports: tuple[ImportState, ...] = field(default=(), kw_only=True)  # the unfinished one first
    partitions: PartitionState | None = field(default=None, kw_only=True)  # None: it has none

    @property
    def at_work(self) -> bool:
        """Return whether a run holds the lock, or workers hold shares."""
        locked = self.lease is not None and not self.lease.expired
        return locked or bool(self.round and self.round.held)

    @property
    def holders(self) -> list[Process]:
        """Return the processes that hold the lock, or shares."""
        return _holders(self.lease, self.round)

    def last_start(self, latest: BackfillRun | None) -> datetime | None:
        """Return when a run last began: one with nothing to do leaves its trace on the lock only.

        :param latest: the latest of those that are recorded.
        """
        times = [latest.started_at] if latest else []
        return max([*times, *([self.acquired_at] if self.acquired_at else [])], default=None)

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
    so_far = progress(using)
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


def progress(using: str) -> Summary:
    """Return the progress of the job in this database, without writing."""
    mark = Checkpoint.of(using, "settled_id", "candidate_evidence", "candidate_at") or Checkpoint()
    oldest_at, count = _pending(using, mark)
    lock = _lock(using)
    now = timezone.now()
    held, shared = _held(using, lock), round_state.of(using, now)
    return Summary(
        at=now,
        pending=count,
        oldest_at=oldest_at,
        mark=_watermark(mark),
        lease=held,
        round=shared,
        acquired_at=lock.acquired_at if lock else None,
        overdue=overdue.of(using),
        erasing_since=_erasing_since(using),
        sealed=seal_state.of(using),
        imports=import_state.of(using, _holders(held, None)),
        partitions=partition_state.of(using),
    )


def _erasing_since(using: str) -> datetime | None:
    """Return since when an erasure is unfinished."""
    begun = Erasure.objects.using(using).filter(finished_at=None).order_by("started_at")
    return begun.values_list("started_at", flat=True).first()


def lag(using: str) -> float:
    """Return the seconds that the oldest pending event has waited.

    Unlike the rest of the status, this is known of a log whose migrations are pending, too.
    """
    oldest_at, _ = _pending(using)
    return _waited(oldest_at, timezone.now())


def _pending(using: str, mark: Checkpoint | None = None) -> tuple[datetime | None, Count]:
    oldest, count = pending.preview(using, 1, mark)
    return oldest[0].occurred_at if oldest else None, count


def _waited(oldest_at: datetime | None, now: datetime) -> float:
    return max(0.0, (now - oldest_at).total_seconds()) if oldest_at else 0.0


def lease(using: str) -> LockState | None:
    """Return the holder of the database lock."""
    return _held(using, _lock(using))


def _lock(using: str) -> Lease | None:
    return Lease.objects.using(using).filter(name=DatabaseLock.NAME).first()


def _held(using: str, lock: Lease | None) -> LockState | None:
    if lock is None or lock.token is None or lock.expires_at is None:
        return None
    over = Lease.objects.using(using).filter(pk=lock.pk, expires_at__lte=get_vendor(using).clock())
    holder = Process.of(lock.holder)
    expired = over.exists() or bool(holder and holder.is_dead())
    return LockState(lock.token, holder, lock.expires_at, expired)


def holders(using: str) -> list[Process]:
    """Return the processes that hold the database lock, or shares."""
    return _holders(lease(using), round_state.of(using, timezone.now()))


def _holders(locked: LockState | None, shared: Round | None) -> list[Process]:
    held: list[LockState | Held] = [*(shared.held if shared else ())]
    held += [locked] if locked and not locked.expired else []
    return [one.holder for one in held if one.holder]


def _watermark(mark: Checkpoint) -> Watermark:
    writers = (mark.candidate_evidence or {}).get("transactions", ())
    since = mark.candidate_at if writers else None
    settled = None if mark.settled_id == BEGINNING else mark.settled_id
    return Watermark(settled, tuple(map(str, writers)), since)
