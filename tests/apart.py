"""Keeps a test's statements apart on SQLite, which distinguishes them by their milliseconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import sleep  # not by its module: tests replace time.sleep
from typing import Any
from unittest import mock

from django.db.backends.sqlite3.base import SQLiteCursorWrapper

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLAC", "WITH")
MILLISECOND = 1_000_000  # nanoseconds
SECOND = 1_000_000_000


class _Clock:
    """SQLite's clock. The system call is one that nobody freezes."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_REALTIME) // MILLISECOND

    def wait(self) -> None:
        """Wait until it is another millisecond than at the end of the last write."""
        while self.now() == self._last:
            # Others can use the processor meanwhile.
            sleep(self._rest() / SECOND)

    def note(self) -> None:
        self._last = self.now()

    def _rest(self) -> int:
        """Return the nanoseconds until the next millisecond."""
        return MILLISECOND - time.clock_gettime_ns(time.CLOCK_REALTIME) % MILLISECOND


@contextmanager
def statements_apart() -> Iterator[None]:
    """Begin each statement that writes in a millisecond of its own."""
    clock = _Clock()
    with ExitStack() as stack:
        for name in ("execute", "executemany"):
            run = getattr(SQLiteCursorWrapper, name)
            stack.enter_context(mock.patch.object(SQLiteCursorWrapper, name, _apart(run, clock)))
        yield


def _apart(run: Any, clock: _Clock) -> Any:
    def execute(cursor: Any, query: str, *args: Any) -> Any:
        if not query.lstrip()[:7].upper().startswith(WRITES):
            return run(cursor, query, *args)
        clock.wait()
        try:
            return run(cursor, query, *args)
        finally:
            clock.note()

    return execute
