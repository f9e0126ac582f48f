"""Stores representations for pending events, and retries failed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..conf import Asked
from ..models import ReprFailure, Share, StopReason
from ..reprs import Outcome, build
from ..utils.time_limit import JobTimeLimit
from ..vendors.capture_types import Kind
from ..vendors.types import BEGINNING, Event
from . import pending, preflight
from .gone import Gone, Reached
from .locks.base import Lock
from .locks.lease import DatabaseLock
from .partitions.making import make_ahead
from .pending import Backlog, Count, PendingBatch
from .rounds import shares
from .rounds.crew import Crew
from .rounds.obstacle import Obstacle
from .rounds.sharing import Sharing
from .runs.limits import Limits
from .runs.result import Progress, Result, Stored
from .seals import sealing
from .storing import quarantine, store, values

__all__ = ["BacklogPreview", "Progress", "Result", "StopReason", "preview", "run"]


@dataclass(frozen=True)
class BacklogPreview:
    """What a run would store."""

    events: list[Event]
    outcomes: list[Outcome]
    pending: Count


def preview(using: str, *, limit: int) -> BacklogPreview:
    """Return the first events that a run would take, and how many are pending, without writing."""
    preflight.check(using)
    events, count = pending.preview(using, limit)
    job = JobTimeLimit.from_settings()
    return BacklogPreview(events, build(events, using, limit=job) if events else [], count)


def run(
    using: str,
    *,
    lock: Lock,
    batch_size: Asked | None = None,
    max_batches: int | None = None,
    max_seconds: float | None = None,
    rescan: bool = False,
    retry_failed: bool = False,
    before: Result | None = None,
    workers: int = 1,
    crew: Crew | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Store the representations of pending events in batches, until none is pending.

    Then retry failed events that are due, up to one batch.

    :param batch_size: events per batch, or ``"auto"``; the setting ``BATCH_SIZE`` by default.
    :param max_batches: number of batches, of each kind of work, after which the run ends.
    :param max_seconds: seconds after which no new batch is started.
    :param rescan: search the whole log for pending events.
    :param retry_failed: retry all failed events, due or not.
    :param before: what earlier turns have done: the limit of batches, and retries, continue there.
    :param workers: how many workers this host should have; from two on, a large backlog is shared.
    :param crew: the others of them.
    :param on_progress: called after each batch.
    :param stop: called before each batch; true ends the run.
    :returns: the result. It includes a database error or a lost lock: what was stored before stays
        stored.
    """
    limits = Limits(max_batches, max_seconds, stop)
    options: dict[str, Any] = {"lock": lock, "limits": limits, "size": batch_size}
    options |= {"rescan": rescan, "retry_failed": retry_failed, "before": before}
    options |= {"workers": workers, "crew": crew}
    return Backfill(using, on_progress=on_progress, **options).run()


def assist(
    using: str,
    *,
    batch_size: Asked | None = None,
    max_seconds: float | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
    stop_reason: Callable[[], StopReason] = lambda: StopReason.SIGNAL,
) -> Result:
    """Work on the shares of rounds that others have planned, until none is left.

    The worker that finishes the last share plans the next round.

    :param stop_reason: returns the reason that `stop` has had; it is this run's, too.
    :returns: the result, as of :func:`run`.
    """
    limits = Limits(None, max_seconds, stop, stop_reason)
    options: dict[str, Any] = {"lock": DatabaseLock(using), "limits": limits, "size": batch_size}
    return Backfill(using, on_progress=on_progress, **options).assist()


class Backfill(Sharing[PendingBatch]):
    """A run of ``backfill_reprs``."""

    command = shares.BACKFILL

    def __init__(
        self,
        using: str,
        *,
        rescan: bool = False,
        retry_failed: bool = False,
        before: Result | None = None,
        **options: Any,
    ) -> None:
        super().__init__(using, **options)
        self.rescan = rescan
        self.retry_failed = retry_failed
        before = before or Result()
        self.result.retried_to, self._fresh_before = before.retried_to, before.fresh
        self._rebuild = Obstacle(using)

    def work(self) -> StopReason:
        if self.rescan and self.lease:
            shares.void(self.using, self.command)
        if self.lease and (reason := self._start_over()):
            return reason
        if self.retry_failed and self.lease and (reason := self._end_rebuild()):
            return reason
        while True:
            reason = self.share()
            if reason or self.helping:
                return reason or StopReason.CAUGHT_UP
            if reason := self._work_alone():
                return reason

    def plan(self) -> int:
        if self._rebuild.make_room(rescan=self.rescan):
            self.note_voided()
        planned = shares.plan(
            self.using, self.command, self.lease, rescan=self.rescan, enough=self.reached
        )
        self.rescan = self.rescan and not planned
        return planned

    def take(self, after: int, upto: int) -> PendingBatch:
        return pending.take(self.using, after, upto, self.size, width=2 * self.size)

    def write(self, batch: PendingBatch, outcomes: list[Outcome]) -> Stored:
        rows, outcomes = store.store(self.using, outcomes, self.vendor.store)
        quarantine.add(self.using, outcomes)
        return Stored(rows, store.failed(outcomes), final=store.final(outcomes))

    def follow(self, share: Share) -> None:
        shares.follow(self.using, share.provable_id)

    def next_round(self) -> StopReason | None:
        return self.await_lease()

    def _start_over(self) -> StopReason | None:
        """Delete what is stored if another log, which is read in place, has given IDs again."""
        return self._delete_gone(self.lease, Gone.start_over)

    def _clean(self) -> StopReason | None:
        """Delete what is stored for events that such a log no longer has."""
        return self._delete_gone(self.lock, Gone.clean)

    def _delete_gone(
        self, lock: Lock, delete: Callable[[Gone, Reached], StopReason | None]
    ) -> StopReason | None:
        if self.log_kind not in (Kind.VIEW, None):  # a log of our own: nothing needs to be asked
            return None
        gone = Gone(self.using, lock)
        reason = delete(gone, self.reached)
        self.result.gone += gone.count
        return reason

    def _end_rebuild(self) -> StopReason | None:
        """Void the round of a rebuild, which builds final events, too, unless it has workers."""
        if live := self._rebuild.workers():
            self.result.holder = live[0]
            return StopReason.LOCKED
        shares.void(self.using, shares.REBUILD)
        return None

    def _work_alone(self) -> StopReason | None:
        """Work until nothing is left; none: until others can help with what is pending."""
        backlog = Backlog(self.using, rescan=self.rescan)
        retry = self._all_failed if self.retry_failed else self._due
        self._earlier = -self._fresh_before
        reason = self._pending(backlog)
        self.result.fresh = self.result.batches
        if not reason and self._rebuild.has_gone():
            backlog.settle()
            return None
        reason = self.follow_up(reason, partial(self._sweep, backlog), retry)
        backlog.settle()
        index = partial(values.index, self.using, self.lock, self.reached)
        seal = partial(sealing.index, self.using, self.lock, self.reached)
        reason = self.follow_up(reason, self._clean, index, seal)
        if not self.result.idle:  # without new events, there are as many ahead as before
            make_ahead(self.using)
        return reason or StopReason.CAUGHT_UP

    def _pending(self, backlog: Backlog) -> StopReason | None:
        for batch in backlog.batches(lambda: self.size):
            reason = self.reached()
            if reason and (batch.events or batch.reaches < backlog.top):
                return reason
            if reason := self._store(batch, backlog):
                return reason
            self.tell(batch.reaches - backlog.start, backlog.top - backlog.start)
            if self._rebuild.has_gone():
                return None
        return None

    def _sweep(self, backlog: Backlog) -> StopReason | None:
        for batch in backlog.sweep(self.size):
            if batch.events and (reason := self.reached() or self._store(batch, backlog)):
                return reason
        return None

    def _due(self) -> StopReason | None:
        """Retry failed events that are due, up to one batch; return what kept the run from it.

        If more are left, that is not a limit that the run reached.
        """
        events = quarantine.due(self.using, self._retries)
        reason = self.reached() if events else None
        if events and not reason:
            self.store(events, self._write_again)
        return reason

    def _all_failed(self) -> StopReason | None:
        entries = ReprFailure.objects.using(self.using)
        total, done = entries.count(), 0
        while events := self._next_failed():
            if reason := self.reached():
                return reason
            tried = self.store(events, self._write_again)
            self.result.retried_to = events[tried - 1].id
            done += tried
            self.tell(done, max(done, total))
        return None

    def _next_failed(self) -> list[Event]:
        done = self.result.retried_to
        return quarantine.after(self.using, BEGINNING if done is None else done, self._retries)

    @property
    def _retries(self) -> int:
        return min(self.size, quarantine.MOST)

    def _store(self, batch: PendingBatch, backlog: Backlog) -> StopReason | None:
        while True:
            events = batch.events[: self.size]  # which grows back after a run that was killed
            built = self.store(events, partial(self._write_and_settle, backlog, batch))
            if built == len(batch.events):
                return None
            batch = batch._replace(events=batch.events[built:])
            if reason := self.reached():
                return reason

    def _write_and_settle(
        self, backlog: Backlog, batch: PendingBatch, outcomes: list[Outcome]
    ) -> Stored:
        stored = self.write(batch, outcomes)
        backlog.settle(store.reached(batch, outcomes))
        return stored

    def _write_again(self, outcomes: list[Outcome]) -> Stored:
        rows, stored = quarantine.store_again(self.using, outcomes)
        still, final = store.failed(stored), store.final(stored)
        return Stored(rows, again=len(stored), still=still, final=final)
