"""A run of the job: lock, batches, quarantine, and what is remembered of it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from django.conf import settings
from django.db import Error, reset_queries, transaction
from django.db.models import F, Subquery
from django.utils import timezone

from . import pending, preflight
from .conf import get_settings
from .exceptions import LeaseLost
from .locks import Lock, Process
from .models import BackfillRun, ReprFailure
from .pending import Backlog, Batch, Count
from .representation import Event, Outcome, build
from .vendors import get_vendor

#: What a run writes on its own row when it ends.
REMEMBERED = ("ended_at", "rows", "failures", "batches", "stop_reason", "error")
#: Seconds until a failed representation may be tried again.
FIRST_RETRY = 300


class StopReason(StrEnum):
    """Why a run ended."""

    CAUGHT_UP = "caught-up"
    BATCH_LIMIT = "batch-limit"
    TIME_BUDGET = "time-budget"
    LOCKED = "locked"
    SIGNAL = "signal"
    LEASE_LOST = "lease-lost"
    ERROR = "error"


@dataclass
class Result:
    """What a run did."""

    stop_reason: StopReason = StopReason.CAUGHT_UP
    rows: int = 0  # representations stored
    failures: int = 0  # rows put in quarantine
    batches: int = 0
    seconds: float = 0.0
    error: str = ""
    holder: Process | None = None  # of the lock, where it was held

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return not self.batches


@dataclass(frozen=True)
class Progress:
    """How far a run has come, in ids of the log."""

    done: int
    total: int
    rows: int
    failures: int


@dataclass(frozen=True)
class Preview:
    """What a run would store."""

    events: list[Event]
    outcomes: list[Outcome]
    pending: Count


def preview(using: str, *, limit: int) -> Preview:
    """What a run would store now: the first rows, and how many there are. Writes nothing."""
    preflight.check(using)
    events, count = pending.preview(using, limit)
    return Preview(events, build(events, using) if events else [], count)


def run(
    using: str,
    *,
    lock: Lock,
    batch_size: int | None = None,
    max_batches: int | None = None,
    max_seconds: float | None = None,
    rescan: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Store the representations of what is pending, in batches, until a short one.

    :param batch_size: rows of one batch; the setting ``BATCH_SIZE`` by default.
    :param max_batches: end after so many.
    :param max_seconds: begin no batch after so many.
    :param rescan: look at the whole log again.
    :param on_progress: called after each batch.
    :param stop: asked before each batch; true ends the run.
    :returns: what it did. An error of the database, and a lock that was lost, are in it: what was
        stored before them stays stored.
    """
    limits = _Limits(max_batches, max_seconds, stop)
    preflight.check(using)
    with lock:
        if not lock:
            _count_on_latest_run(using, "skipped_runs", StopReason.LOCKED)
            return Result(StopReason.LOCKED, holder=lock.holder())
        size = batch_size or get_settings().BATCH_SIZE
        return _Run(using, lock, size, limits).run(rescan, on_progress)


@dataclass
class _Limits:
    max_batches: int | None
    max_seconds: float | None
    stop: Callable[[], bool]
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def reached(self, batches: int) -> StopReason | None:
        """The reason not to begin another batch."""
        if self.stop():
            return StopReason.SIGNAL
        if self.max_batches is not None and batches >= self.max_batches:
            return StopReason.BATCH_LIMIT
        if self.max_seconds is not None and self.seconds >= self.max_seconds:
            return StopReason.TIME_BUDGET
        return None


class _Run:
    """One run that holds the lock."""

    def __init__(self, using: str, lock: Lock, size: int, limits: _Limits) -> None:
        self.using = using
        self.lock = lock
        self.size = size
        self.limits = limits
        self.vendor = get_vendor(using)
        self.result = Result()
        self.record = BackfillRun(
            started_at=timezone.now(), host=socket.gethostname(), pid=os.getpid()
        )

    def run(self, rescan: bool, on_progress: Callable[[Progress], None]) -> Result:
        try:
            self.result.stop_reason = self._work(Backlog(self.using, rescan=rescan), on_progress)
        except LeaseLost as error:
            self._fail(StopReason.LEASE_LOST, error)
        except Error as error:
            self._fail(StopReason.ERROR, error)
        except BaseException as error:
            self._fail(StopReason.ERROR, error)
            raise
        finally:
            self.result.seconds = self.limits.seconds
            # Where the database is what failed, it cannot be written there.
            with suppress(Error):
                self._remember()
        return self.result

    def _work(self, backlog: Backlog, on_progress: Callable[[Progress], None]) -> StopReason:
        reason = None
        for batch in backlog.batches(self.size):
            reason = self.limits.reached(self.result.batches)
            if reason and (batch.events or batch.reaches < backlog.top):
                backlog.settle()
                return reason
            self._store(batch, backlog)
            on_progress(self._progress(batch, backlog))
        if not self.limits.reached(self.result.batches):
            for batch in backlog.sweep(self.size):
                if batch.events:
                    self._store(batch, backlog)
        backlog.settle()
        return StopReason.CAUGHT_UP

    def _store(self, batch: Batch, backlog: Backlog) -> None:
        """Build outside, where nothing is locked; then write all of it in one short transaction."""
        outcomes = self._build(batch.events) if batch.events else []
        if outcomes and not self.result.batches:
            self.record.save(using=self.using)
        with transaction.atomic(self.using):
            self.vendor.end_if_idle(get_settings().LEASE_SECONDS / 2)
            rows = self._store_representations(outcomes)
            failures = self._store_failures(outcomes)
            backlog.settle(batch.reaches)
            self.lock.renew()  # the last statement: without the lock, none of it is committed
        self.result.rows += rows
        self.result.failures += failures
        self.result.batches += bool(batch.events)
        if settings.DEBUG:
            reset_queries()  # Django keeps the last 9000 there, each with all of a batch's texts

    def _build(self, events: Sequence[Event]) -> list[Outcome]:
        with self.lock.kept_alive():
            return build(events, self.using)

    def _store_representations(self, outcomes: Sequence[Outcome]) -> int:
        built = [outcome for outcome in outcomes if outcome.failure is None]
        if not built:
            return 0
        return self.vendor.store([(o.id, o.text, str(o.fidelity), o.reason) for o in built])

    def _store_failures(self, outcomes: Sequence[Outcome]) -> int:
        failures = [
            ReprFailure(
                audit_log_id=outcome.id,
                error_class=outcome.failure.error_class,
                message=outcome.failure.message,
                traceback=outcome.failure.traceback,
                next_attempt_at=self.vendor.clock(FIRST_RETRY),
            )
            for outcome in outcomes
            if outcome.failure is not None
        ]
        if failures:
            ReprFailure.objects.using(self.using).bulk_create(failures, ignore_conflicts=True)
        return len(failures)

    def _progress(self, batch: Batch, backlog: Backlog) -> Progress:
        return Progress(
            done=batch.reaches - backlog.start,
            total=backlog.top - backlog.start,
            rows=self.result.rows,
            failures=self.result.failures,
        )

    def _fail(self, reason: StopReason, error: BaseException) -> None:
        self.result.stop_reason = reason
        self.result.error = " ".join(f"{error}".split()) or type(error).__name__

    def _remember(self) -> None:
        result, record = self.result, self.record
        if result.idle and not result.error:
            _count_on_latest_run(self.using, "idle_runs", result.stop_reason)
            return
        record.ended_at = timezone.now()
        record.rows, record.failures = result.rows, result.failures
        record.batches, record.stop_reason = result.batches, result.stop_reason
        record.error = result.error
        # Runs that were skipped meanwhile have counted themselves on this row.
        record.save(using=self.using, update_fields=REMEMBERED if record.pk else None)
        _prune_runs(self.using)


def _count_on_latest_run(using: str, counter: str, reason: StopReason) -> None:
    runs = BackfillRun.objects.using(using)
    latest = runs.order_by("-pk").values("pk")[:1]
    if not runs.filter(pk=Subquery(latest)).update(**{counter: F(counter) + 1}):
        now = timezone.now()
        runs.create(
            started_at=now,
            ended_at=now,
            host=socket.gethostname(),
            pid=os.getpid(),
            stop_reason=reason,
            **{counter: 1},
        )


def _prune_runs(using: str) -> None:
    runs = BackfillRun.objects.using(using)
    kept = get_settings().RUNS_KEPT
    oldest = runs.order_by("-pk").values_list("pk", flat=True)[kept - 1 : kept].first()
    if oldest is not None:
        runs.filter(pk__lt=oldest).delete()
