"""Retries what failed with a transient database error, for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import Error, connections

from ...exceptions import DatabaseUnreachable
from ...utils.text import one_line
from ...vendors import get_vendor

logger = logging.getLogger("auditrepr.patience")

Done = TypeVar("Done")

#: Seconds before the second attempt; each further pause is twice as long, up to the longest.
PAUSE = 0.5
LONGEST_PAUSE = 30.0
#: Attempts in a row, in a run without a time limit: they span about a minute.
TRIES = 8
#: Attempts in a row, regardless of the time limit.
FEW = 3
#: Seconds between two checks whether the run must stop.
GLANCE = 0.1


@dataclass
class Patience:
    """Retries after a transient error, each time on a new connection.

    :param stop: called during pauses; true ends the pauses and the retries.
    :param seconds_left: returns the rest of the run's time; None if it has no limit.
    """

    using: str
    stop: Callable[[], bool]
    seconds_left: Callable[[], float | None]
    failed: int = field(default=0, init=False)  # attempts in a row

    def retry(self, work: Callable[[], Done]) -> Done:
        """Return the result of `work` as soon as it succeeds.

        :raises django.db.Error: if the error of `work` is not transient, or lasts too long.
        :raises DatabaseUnreachable: likewise.
        """
        while True:
            try:
                return work()
            except (Error, DatabaseUnreachable) as error:
                self.failed += 1
                again = self._is_worth_it(error)
                self._start_afresh()
                if not again:
                    raise
                said = one_line(error)
                fields = {"database": self.using, "tries": self.failed, "error": said}
                logger.info(
                    "Retrying after database error (attempt %d failed): %s",
                    self.failed,
                    said,
                    extra=fields,
                )
                self._pause()

    def reset(self) -> None:
        """Reset the retry counter after progress."""
        self.failed = 0

    def _is_worth_it(self, error: Exception) -> bool:
        if isinstance(error, DatabaseUnreachable):
            error = error.__cause__ if isinstance(error.__cause__, Exception) else error
        if not isinstance(error, Error):
            return False
        # Inside the caller's transaction nothing can be retried.
        in_callers = connections[self.using].in_atomic_block
        if in_callers or self.stop() or not get_vendor(self.using).passes(error):
            return False
        left = self.seconds_left()
        return self.failed < FEW or (self.failed < TRIES if left is None else left > 0)

    def _start_afresh(self) -> None:
        connection = connections[self.using]
        if not connection.in_atomic_block:
            connection.close()

    def _pause(self) -> None:
        pause = min(PAUSE * 2 ** (self.failed - 1), LONGEST_PAUSE)
        left = self.seconds_left()
        if left is not None and self.failed >= FEW:
            pause = min(pause, left)
        ends = time.monotonic() + pause
        while (rest := ends - time.monotonic()) > 0 and not self.stop():
            time.sleep(min(rest, GLANCE))


def few_tries(using: str, work: Callable[[], Done]) -> Done:
    """Return the result of `work`, after a transient error tried again at most twice.

    :raises django.db.Error: as :meth:`Patience.retry`.
    """
    return Patience(using, lambda: False, lambda: 0.0).retry(work)
