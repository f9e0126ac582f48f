"""Limits how long third-party code may run."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeLimitExceeded(BaseException):
    """Raised in code that runs for too long.

    It is not an Exception, so that an ``except Exception`` of that code cannot stop it.
    """


class TimeLimit:
    """Interrupts code that runs inside :meth:`row` for too long.

    SIGALRM interrupts Python code, but only in a process's main thread; in other threads nothing is
    interrupted. Code that waits for the database is expected to check :attr:`expired`.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: float | None = None
        self._listening = False
        self._ticking = False  # a SIGALRM is scheduled

    @property
    def running(self) -> bool:
        """Return whether third-party code is running now."""
        return self._ends is not None

    @property
    def expired(self) -> bool:
        return self._ends is not None and time.monotonic() >= self._ends

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over SIGALRM during the block, which must contain all rows."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.signal(signal.SIGALRM, self._interrupt)
        self._listening = True
        try:
            yield
        finally:
            self._listening = self._ticking = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)

    def row(self) -> TimeLimit:
        """Return a context manager inside which the time runs.

        :raises TimeLimitExceeded: when the time is over.
        """
        return self

    def __enter__(self) -> None:
        self._start(self.seconds)

    def __exit__(self, *exception: object) -> None:
        self._ends = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the time during the block; nothing is interrupted."""
        left = None if self._ends is None else max(0.001, self._ends - time.monotonic())
        self._ends = None
        try:
            yield
        finally:
            if left is not None:
                self._start(left)

    def _start(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        # One alarm serves many rows: it comes before the end of any later one.
        # Unless third-party code has installed its own handler.
        if self._listening and not (self._ticking and signal.getitimer(signal.ITIMER_REAL)[0]):
            self._ring_in(seconds)

    def _ring_in(self, seconds: float) -> None:
        self._ticking = True
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._ticking = False
        if self.expired:
            self._ring_in(max(self.seconds, 0.01))  # again, in case a bare except swallows it
            raise TimeLimitExceeded(f"took longer than {self.seconds:g} seconds (ROW_SECONDS)")
        if self._ends is not None and self._listening:
            self._ring_in(max(0.001, self._ends - time.monotonic()))
