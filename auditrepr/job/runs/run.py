"""What every run of the job has in common: the lock, the batches, and its record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import Error, reset_queries, transaction

from ... import capture
from ...asof.related_objects import related_objects
from ...conf import Asked, get_settings
from ...exceptions import LeaseLost
from ...lineage import renames
from ...models import BackfillRun, StopReason
from ...reprs import Failure, Outcome, build
from ...utils.time_limit import JobTimeLimit
from ...vendors import get_vendor
from ...vendors.capture_types import Kind
from ...vendors.types import Event
from .. import preflight
from ..locks.base import Lock
from ..rights import explained
from ..storing import related
from . import run_log
from .limits import EARLY, BatchSize, Clocks
from .record import Record
from .result import Progress, Result
from .retry import Patience, few_tries

if TYPE_CHECKING:
    from .limits import Limits
    from .result import Stored


KILLED = Failure(
    "ProcessKilled",
    "Two runs in a row were killed while they built this event alone. It may need more memory"
    " than the process is given.",
    "",
)


class Run(ABC):
    """A run of one of the commands.

    :param size: events per batch, or ``"auto"``; the setting ``BATCH_SIZE`` by default.
    :param on_progress: called after each batch.
    :param clocks: what measures the batches.
    """

    command: ClassVar[str]

    def __init__(
        self,
        using: str,
        *,
        lock: Lock,
        limits: Limits,
        size: Asked | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        clocks: Clocks = Clocks(),  # noqa: B008 - immutable
    ) -> None:
        self.using = using
        self.lock = lock
        self.clocks = clocks
        self.limits = limits
        self._size = BatchSize(size or get_settings().BATCH_SIZE)
        self.on_progress = on_progress
        self.vendor = get_vendor(using)
        self.patience = Patience(using, limits.stop, limits.seconds_left)
        self.result = Result()
        self._earlier = 0  # batches of other work, which count for no limit of what is done now
        self._kills = False  # whether the next event kills the process even if it is built alone
        self.record = Record(using, self.command)
        self.log_kind: Kind | None = None  # known once the run has begun

    @property
    def _id(self) -> run_log.RunId:
        return run_log.RunId(self.command, self.using, self.record.pk)

    def run(self) -> Result:
        """Work until nothing is left, or a limit is reached.

        :returns: the result. It includes a database error or a lost lock: what was stored before
            stays stored.
        """
        self.log_kind = self.patience.retry(lambda: preflight.check(self.using))
        with ExitStack() as stack:
            self.patience.retry(lambda: stack.enter_context(self.lock))
            if not self.lock:
                # The run that holds the lock updates this row, too: a count is not worth an error.
                with suppress(Error), transaction.atomic(self.using):
                    self.record.count_skipped()
                self.result = Result(StopReason.LOCKED, holder=self.lock.holder())
                run_log.run_ended(self._id, self.result)
                return self.result
            with capture.remembering(self.using):
                return self._run()

    @property
    def size(self) -> int:
        """Return the number of events for the next batch."""
        return self._size.rows

    @abstractmethod
    def work(self) -> StopReason:
        """Do all the work; called again after a transient error."""

    def reached(self) -> StopReason | None:
        """Return the reason to start no further batch, if there is one."""
        self.record.show_life()
        reason = self.limits.reached(self.result.batches - self._earlier)
        # A retried batch was started in time: it ends with success or with its error.
        return None if reason is StopReason.TIME_BUDGET and self.patience.failed else reason

    def follow_up(
        self, reason: StopReason | None, *works: Callable[[], StopReason | None]
    ) -> StopReason | None:
        """Do further work after some that ended for this reason; return why the run ends, if so.

        The limit of batches is for each: else, where new events always use it up, no failed event
        would ever be retried, and nothing sealed.
        """
        for work in works:
            if reason in (None, StopReason.BATCH_LIMIT):
                self._earlier = self.result.batches
                reason = work() or reason
        return reason

    def store(self, events: Sequence[Event], write: Callable[[list[Outcome]], Stored]) -> int:
        """Build without a transaction, so that nothing is locked; then write in a short one.

        :returns: how many of the events were built: a batch that takes too long is stored in part.
        """
        began = self.clocks.read()
        if events and self.record.pk is None:
            events = self._begin(events)
        outcomes = self._build(events, began.seconds + EARLY) if events else []
        built = events[: len(outcomes)]
        about = related_objects(built, self.using)
        with transaction.atomic(self.using):
            self.vendor.end_if_idle(get_settings().LEASE_SECONDS / 2)
            if self.vendor.one_writer:
                # SQLite refuses writes in a transaction that has read before others wrote.
                BackfillRun.objects.using(self.using).filter(pk=0).update(batches=0)
            stored = write(outcomes)
            related.store(self.using, built, about, again=bool(stored.again))
            self._note_progress(stored, bool(events))
            capture.note_sightings(self.using)
            self.lock.renew()  # the last statement: without the lock, none of it is committed
        spent = self.clocks.since(began)
        self._size.learn(len(outcomes), spent, cut=len(outcomes) < len(events))
        self.patience.reset()
        self._note_failure(stored.failed)
        self._count(events, built, stored)
        if events:
            run_log.batch_stored(self._id, self.result.batches, stored, spent.seconds)
        if settings.DEBUG:
            reset_queries()  # Django keeps the last 9000 there, each with all of a batch's texts
        return len(outcomes)

    def _count(self, events: Sequence[Event], built: Sequence[Event], stored: Stored) -> None:
        """Add a batch to the result."""
        if stored.again:
            self.result.failing.count_again(events, stored.still)
        else:
            self.result.failing.count(built, stored.failed, stored.final)
        self.result.rows += stored.rows
        self.result.failures += stored.failures
        self.result.final += len(stored.final)
        self.result.again += stored.again
        self.result.batches += bool(events)

    def _begin(self, events: Sequence[Event]) -> Sequence[Event]:
        """Note what is about to be built, so that its end shows, whatever brings it.

        :returns: half of what ended the run before in its midst, at most.
        """
        runs = (
            BackfillRun.objects.using(self.using)
            .order_by("-pk")
            .values_list("ended_at", "building")
        )
        # Runs without an end were killed: this run holds the lock, so they no longer run.
        killed = [size for _, size in takewhile(lambda run: run[0] is None, runs[:2])]
        if killed and killed[0]:
            self._size.halve(killed[0])
            events = events[: self.size]
        self._kills = killed == [1, 1]
        self.record.begin(building=len(events))
        return events

    def _note_progress(self, stored: Stored, one_more: bool) -> None:
        self.record.note(
            **self._building(),
            rows=self.result.rows + stored.rows,
            failures=self.result.failures + stored.failures,
            batches=self.result.batches + one_more,
        )

    def _building(self) -> dict[str, int]:
        """Return what is to be noted of the batch that comes next."""
        return {"building": self._size.most_next}

    def tell(self, done: int, total: int) -> None:
        """Report the progress of the run."""
        self.on_progress(Progress(done, total, self.result.rows, self.result.failures))

    def _build(self, events: Sequence[Event], until: float) -> list[Outcome]:
        def enough() -> bool:
            return self.clocks.wall() > until

        if self._kills:
            self._kills = False
            return [Outcome(events[0].id, failure=KILLED)]
        with self.lock.kept_alive():
            return build(events, self.using, enough, limit=JobTimeLimit.from_settings())

    def _note_failure(self, failed: Sequence[Outcome]) -> None:
        first = next(iter(failed), None)
        if first and first.failure and not self.result.first_failure:
            said = f"{first.failure.error_class}: {first.failure.message}".rstrip(": ")
            self.result.first_failure = f"event {first.id}: {said}"

    def _run(self) -> Result:
        try:
            self.result.stop_reason = self.patience.retry(self._work)
        except LeaseLost as error:
            self._fail(StopReason.LEASE_LOST, error)
        except Error as error:
            self._fail(StopReason.ERROR, error)
        except BaseException as error:
            self._fail(StopReason.ERROR, error)
            raise
        finally:
            self.result.seconds = self.limits.seconds
            # If the database failed, the run cannot be recorded in it.
            with suppress(Error):
                end = partial(self.record.end, self.result)
                end() if self.result.error else few_tries(self.using, end)
            run_log.run_ended(self._id, self.result)
        return self.result

    def _work(self) -> StopReason:
        # What this process knew may be older than migrations.
        renames.forget_recent(using=self.using)
        related.note_links(self.using)
        return self.work()

    def _fail(self, reason: StopReason, error: BaseException) -> None:
        self.result.stop_reason = reason
        self.result.error = explained(error, self.using)
