"""An error of the database that passes by itself: the same is tried again, for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import Error, connections

from ..exceptions import DatabaseUnreachable
from ..vendors import get_vendor

logger = logging.getLogger("auditrepr.patience")

Done = TypeVar("Done")

#: Seconds before the second try; each further pause is twice as long, up to the longest.
PAUSE = 0.5
LONGEST_PAUSE = 30.0
#: Tries in a row, in a run without a time limit: they span a minute and a half.
TRIES = 8
#: Tries in a row, whatever the time limit says.
FEW = 3
#: Seconds between two looks at whether the run has to stop.
GLANCE = 0.1


@dataclass
class Patience:
    """Tries again what failed for a passing reason, each time on a fresh connection.

    :param stop: asked during pauses; true ends them, and the tries.
    :param seconds_left: how much of the run's time is left; none if it has no limit.
    """

    using: str
    stop: Callable[[], bool]
    seconds_left: Callable[[], float | None]
    failed: int = field(default=0, init=False)  # tries in a row

    def retry(self, work: Callable[[], Done]) -> Done:
        """What `work` gives, as soon as it succeeds.

        :raises django.db.Error: its own, if that does not pass by itself, or not in time.
        """
        while True:
            try:
                return work()
            except (Error, DatabaseUnreachable) as error:
                self.failed += 1
                cause = error.__cause__ if isinstance(error, DatabaseUnreachable) else error
                again = isinstance(cause, Error) and self._is_worth_it(cause)
                self._start_afresh()
                if not again:
                    raise
                said = " ".join(str(error).split())
                fields = {"database": self.using, "tries": self.failed, "error": said}
                logger.info("Trying again (%d): %s", self.failed, said, extra=fields)
                self._pause()

    def reset(self) -> None:
        """Something was achieved: the next error finds all patience anew."""
        self.failed = 0

    def _is_worth_it(self, error: Error) -> bool:
        # Within the caller's transaction there is nothing to begin anew.
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
