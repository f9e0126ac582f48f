"""A run that several workers can share."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from ... import capture
from ...exceptions import LeaseLost, RoundVoided
from ...models import Share, StopReason
from ...reprs import Outcome
from ...vendors.types import Event
from .. import preflight
from ..runs.result import Progress, Result, Stored
from ..runs.run import Run
from ..storing import store
from . import shares, workers
from .crew import Alone, Crew
from .lock import ShareLock

logger = logging.getLogger("auditrepr.rounds")

#: Seconds between two attempts to claim a share while others hold all that are left.
PAUSE = 0.2
#: Seconds to wait for the run's lock, or for new shares, when a round is over.
PATIENCE = 60.0


Batch = TypeVar("Batch", bound=store.Batch)


class Sharing(Run, Generic[Batch]):
    """A run that works in rounds where there are any, or where it is asked for several workers.

    :param workers: how many workers this host should have; from two on, the run plans rounds.
    :param crew: the others of these workers.
    """

    def __init__(
        self, using: str, *, workers: int = 1, crew: Crew | None = None, **options: Any
    ) -> None:
        super().__init__(using, **options)
        self.workers = workers
        self.crew: Crew = crew or Alone()
        self.lease = self.lock  # while the run works on a share, that is its lock
        self.helping = False
        self._share: Share | None = None
        self._claimed: ShareLock | None = None  # the last one
        self._voided_at: datetime | None = None
        self._done = self._total = 0  # event IDs of the shares

    @abstractmethod
    def plan(self) -> int:
        """Plan a round under the run's lock, and return how many shares it has."""

    @abstractmethod
    def take(self, after: int, upto: int) -> Batch:
        """Return the next events of a share."""

    @abstractmethod
    def write(self, batch: Batch, outcomes: list[Outcome]) -> Stored:
        """Write what was built of a batch, within the caller's transaction."""

    @abstractmethod
    def follow(self, share: Share) -> None:
        """Move the mark of the command's work when a share is finished, likewise."""

    @abstractmethod
    def next_round(self) -> StopReason | None:
        """Prepare for the next round when one is over, or return the reason to end the run."""

    def run(self) -> Result:
        try:
            result = super().run()
        finally:
            # After an error, they end in order: it is not theirs.
            self.crew.end(StopReason.SIGNAL)
        for one in self.crew.results():
            result.include(one)
        return result

    def assist(self) -> Result:
        """Work in rounds, but on nothing else; the run's lock is not needed for that."""
        self.helping = True
        self.log_kind = self.patience.retry(lambda: preflight.check(self.using))
        try:
            with capture.remembering(self.using):
                return self._run()
        finally:
            self.lease.release()

    def share(self) -> StopReason | None:
        """Work in rounds until none is left, nor worth it; then the run holds its lock again.

        :returns: the reason to end the run, if there is one.
        """
        if not self._asked and not self.result.in_round and not self._exist():
            return None
        if not self.result.in_round:
            self.note_voided()
        reason = self._rounds()
        # Not after an error: this process may try again, and others continue.
        self.crew.end(reason or StopReason.CAUGHT_UP)
        return reason

    def note_voided(self) -> None:
        """Note when a round was last canceled: only what comes later ends this run."""
        self._voided_at = shares.voided_at(self.using)

    @property
    def _asked(self) -> bool:
        """Return whether this process is meant for rounds, and has not only found one."""
        return self.workers > 1 or self.helping

    def _rounds(self) -> StopReason | None:
        while True:
            if self.lease:
                if not self._has_round():
                    return None
                if not self.result.in_round and (reason := self.join()):
                    return reason
                self.lease.release()
            if reason := self._work_on_shares() or self.next_round():
                return reason

    def _exist(self) -> bool:
        return shares.exist(self.using, self.command)

    def _has_round(self) -> bool:
        """Return whether there is a round, after planning one if that was asked for."""
        if self._exist():
            return True
        wanted = self.workers > 1 or self.result.in_round
        # No other worker would see the shares of the caller's transaction.
        shareable = self.lease.across_hosts and not self.vendor.connection.in_atomic_block
        return wanted and shareable and bool(self.plan())

    def join(self) -> StopReason | None:
        """Join the round, unless this host has the workers already that are asked for."""
        here = [one for one in workers.holding(self.using, self.command) if one.is_here()]
        if len(here) >= self.workers and not self.helping:
            self.result.holder = here[0]
            return StopReason.LOCKED
        self.result.in_round = True
        self.crew.start(self.workers - 1 - len(here), self.limits.seconds_left())
        return None

    def _work_on_shares(self) -> StopReason | None:
        """Work on shares until none is left."""
        if self._claimed:
            self._claimed.release()  # which a connection that was lost could not do
        self._total = self._done + shares.left(self.using, self.command)
        while True:
            if reason := self.reached():
                return reason
            with ShareLock(self.using, self.command, follow=self.follow) as lock:
                if lock and lock.share:
                    self.result.in_round = True
                    if reason := self._work_on(lock, lock.share):
                        return reason
                    continue
            if not self._exist():
                self._check_round()
                return None
            if not self._asked:
                self.result.holder = next(iter(workers.holding(self.using, self.command)), None)
                return StopReason.LOCKED  # by the holders of what is left
            self._tell_round()
            if reason := self._wait():  # they may die
                return reason

    def _wait(self) -> StopReason | None:
        """Wait for others, unless a limit is reached: after an error, too, if they continue."""
        time.sleep(PAUSE)
        self.record.show_life()
        return self.limits.reached(self.result.batches)

    def _work_on(self, lock: ShareLock, share: Share) -> StopReason | None:
        self.lock = self._claimed = lock
        self._share = share
        self._spare(share)
        try:
            while lock.reached < share.upto_id:
                if reason := self.reached():
                    return reason
                began, batch = lock.reached, self.take(lock.reached, share.upto_id)
                self.store(batch.events, partial(self._write, lock, batch))
                self._done += lock.reached - began
                self._tell_round()
        except LeaseLost:
            self._check_round()
            logger.warning("Another worker took over the %s", share, extra={"database": self.using})
        finally:
            self.lock, self._share, self._kills = self.lease, None, False
        return None

    def _write(self, lock: ShareLock, batch: Batch, outcomes: list[Outcome]) -> Stored:
        stored = self.write(batch, outcomes)
        lock.reached = store.reached(batch, outcomes)
        return stored

    def await_lease(self) -> StopReason | None:
        """Wait for the run's lock, or until its holder has planned the next round."""
        until = time.monotonic() + PATIENCE
        while not self.lease.acquire():
            if self._exist():
                return None
            if not self._asked or time.monotonic() > until:
                return StopReason.CAUGHT_UP  # the other run does the rest
            if reason := self._wait():
                return StopReason.CAUGHT_UP if self.helping else reason
        self._check_round()
        return None

    def _check_round(self) -> None:
        """Raise an error if the round was canceled: a new one would undo that."""
        if shares.voided_at(self.using) != self._voided_at:
            raise RoundVoided

    def _spare(self, share: Share) -> None:
        """Begin with a small batch what others did not survive, at last with each event alone."""
        if share.takeovers:
            self._size.halve(2 * (self._size.asked >> share.takeovers))
            self._kills = share.takeovers > self._size.asked.bit_length()

    def _begin(self, events: Sequence[Event]) -> Sequence[Event]:
        if self._share is None:
            return super()._begin(events)
        self.record.begin()  # the share itself notes whom it ended
        return events

    def _building(self) -> dict[str, int]:
        return super()._building() if self._share is None else {}

    def tell(self, done: int, total: int) -> None:
        others = self.crew.progress()
        before = self._done + others.done
        self.on_progress(
            Progress(
                before + done,
                before + total,
                self.result.rows + others.rows,
                self.result.failures + others.failures,
            )
        )

    def _tell_round(self) -> None:
        done = self._done + self.crew.progress().done
        self.tell(0, max(0, self._total - done))
