"""A slice of the job, for the tasks of a queue: some seconds of work on every database.

A message says only that there is work; the database says which. So a message that is lost,
doubled, late or delivered again does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from django.db import Error

from ..exceptions import AuditReprError, JobFailed, LogElsewhere, MigrationsPending
from ..models import StopReason
from . import backfill, logs, preflight
from .locks.lease import DatabaseLock
from .monitoring import findings
from .reports import Finding
from .rights import explained
from .rounds import shares
from .rounds.crew import Alone
from .runs import failing
from .runs.limits import Limits
from .runs.result import Result
from .runs.retry import Patience
from .runs.turns import take_turns

logger = logging.getLogger("auditrepr.tasks")

T = TypeVar("T")

#: Why a slice ends although there is more to do.
CUT = {StopReason.TIME_BUDGET, StopReason.SIGNAL}

#: Seconds to wait for the lock in a backlog that is shared: a helper may hold it to plan a round.
PLANNING = 2.0

#: Asks another worker to help in this database, for these seconds.
Ask = Callable[[str, float], object]
Stop = Callable[[], bool]


@dataclass
class Slice:
    """What a slice did in each database."""

    results: dict[str, Result] = field(default_factory=dict)

    @property
    def unfinished(self) -> bool:
        """Return whether to continue immediately: it was cut short, and did not stand still.

        A worker that waits for the last shares of a round builds no batch; it plans the next round.
        Elsewhere the schedule's next message is early enough.
        """
        results = self.results.values()
        moved = any(one.batches or one.in_round for one in results)
        return moved and any(one.stop_reason in CUT for one in results)

    def check(self) -> None:
        """Raise the errors of all databases together.

        :raises JobFailed: if there is one.
        """
        errors = {using: one.error for using, one in self.results.items() if one.error}
        if errors:
            lines = (e if f'"{using}"' in e else f"{using}: {e}" for using, e in errors.items())
            raise JobFailed(errors="\n".join(lines))


class Helpers(Alone):
    """Other workers of the queue, who are asked by messages; the run does not wait for them.

    As many are asked in each slice: one that still helps from the last slice ends soon.
    """

    def __init__(self, using: str, count: int, ask: Ask) -> None:
        self.using = using
        self.count = count
        self.ask = ask

    def start(self, count: int, max_seconds: float | None) -> None:
        try:
            for _ in range(self.count):
                self.ask(self.using, max(1.0, max_seconds or 0.0))
        except Exception as error:  # whatever the queue raises: the work continues without help
            told = {"database": self.using}
            text = "%s: Could not ask other workers for help: %s"
            logger.warning(text, self.using, error, extra=told)


def work(
    using: str | None, max_seconds: float, workers: int, ask: Ask | None, stop: Stop = lambda: False
) -> Slice:
    """Do the work of ``backfill_reprs``, and log what it reports.

    :param using: the database; by default every one that holds a log.
    :param workers: with two or more, a large backlog is shared with workers that are asked.
    :param ask: None if there are no other workers.
    :param stop: called before each batch; true ends the slice.
    :raises ValueError: if an argument makes no sense.
    """
    _check(max_seconds, workers)
    done = Slice({alias: Result() for alias in ([using] if using else logs.aliases())})

    def turn(alias: str, seconds: float | None) -> bool:
        before = done.results[alias]
        if before.error or stop():
            return False
        options: dict[str, Any] = {"max_seconds": seconds, "stop": stop}
        wait = 0.0
        if workers > 1 and ask:
            wait = min(max_seconds / 2, PLANNING)
            options |= {"workers": workers, "crew": Helpers(alias, workers - 1, ask)}
        later = _run(alias, wait, **options)
        before.add(later)
        return later.stop_reason is StopReason.TIME_BUDGET

    order = sorted(done.results, key=lambda one: len(done.results) > 1 and not logs.answers(one))
    take_turns(order, turn, max_seconds)
    for alias, result in done.results.items():
        _tell_failing(alias, result)
    return done


def assist(using: str, max_seconds: float, stop: Stop = lambda: False) -> Slice:
    """Work on the shares that another worker has planned; without any, the message was late."""
    _check(max_seconds, 1)
    result = _without_errors(using, partial(_help, using, max_seconds, stop))
    if result is None:
        return Slice()
    if result.stop_reason is StopReason.LEASE_LOST:
        result.error = ""  # who planned the round says so
    _tell_failing(using, result)
    return Slice({using: result})


def _help(using: str, max_seconds: float, stop: Stop) -> Result | None:
    """Return the result of the work on shares; None if there are none."""

    def is_asked() -> bool:
        preflight.check(using)
        return shares.exist(using, shares.BACKFILL)

    limits = Limits(max_seconds=max_seconds)
    if not Patience(using, stop, limits.seconds_left).retry(is_asked):
        return None
    left = max(limits.seconds_left() or 0, 0.001)
    return backfill.assist(using, max_seconds=left, stop=stop)


def _run(using: str, wait: float, **options: Any) -> Result:
    """Return the result of one turn.

    :param wait: seconds to wait for the lock.
    """

    def turn() -> Result:
        result = backfill.run(using, lock=DatabaseLock(using, wait=wait), **options)
        _tell(using, findings.to_tell(using))
        return result

    return _without_errors(using, turn)


def _without_errors(using: str, work: Callable[[], T]) -> T | Result:
    """Return the result of this work: an error of one database does not concern the others."""
    try:
        return work()
    except LogElsewhere as error:
        return Result(StopReason.ERROR, error=str(error))
    except MigrationsPending as error:
        return _waiting(using, error)
    except (AuditReprError, Error) as error:
        return Result(StopReason.ERROR, error=explained(error, using))


def _waiting(using: str, error: MigrationsPending) -> Result:
    try:
        _tell(using, findings.of_migrations_to_tell(using, error))
    except MigrationsPending:  # even the table is missing in which to note it
        return Result(StopReason.ERROR, error=str(error))
    return Result(StopReason.MIGRATIONS)


def _tell(using: str, found: Sequence[Finding]) -> None:
    for finding in found:
        logger.warning("%s", finding, extra={"database": using})


def _tell_failing(using: str, result: Result) -> None:
    for text in failing.to_tell(using, result.failing):
        logger.warning("%s: %s", using, text, extra={"database": using})


def _check(max_seconds: float, workers: int) -> None:
    if isinstance(max_seconds, bool) or not isinstance(max_seconds, int | float):
        raise ValueError(f"max_seconds must be a number of seconds, not {max_seconds!r}.")
    if not 0 < max_seconds < float("inf"):
        raise ValueError(f"max_seconds must be more than 0, not {max_seconds!r}.")
    most = shares.MOST
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= most:
        raise ValueError(f"workers must be a whole number from 1 to {most}, not {workers!r}.")
