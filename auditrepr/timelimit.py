"""A limit on how long the code of others may run."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeLimitExceeded(BaseException):
    """It took longer than allowed. No ``except Exception`` of the code that runs can stop it."""


class TimeLimit:
    """Interrupts what runs inside :meth:`row` after so many seconds.

    Python code is interrupted by SIGALRM, which only a process's main thread can ask for; in any
    other thread nothing is. What waits in the database is asked to look at :attr:`expired`.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: float | None = None
        self._armed = False

    @property
    def running(self) -> bool:
        """Is it the code of others that runs now?"""
        return self._ends is not None

    @property
    def expired(self) -> bool:
        return self._ends is not None and time.monotonic() >= self._ends

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Has to be around all rows: takes SIGALRM over, and gives it back."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.signal(signal.SIGALRM, self._interrupt)
        self._armed = True
        try:
            yield
        finally:
            self._armed = False
            signal.signal(signal.SIGALRM, previous)

    @contextmanager
    def row(self) -> Iterator[None]:
        """The time runs inside.

        :raises TimeLimitExceeded: when it is over.
        """
        self._start(self.seconds)
        try:
            yield
        finally:
            self._start(None)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside does not count, and nothing is interrupted."""
        left = None if self._ends is None else max(0.001, self._ends - time.monotonic())
        self._start(None)
        try:
            yield
        finally:
            self._start(left)

    def _start(self, seconds: float | None) -> None:
        self._ends = None if seconds is None else time.monotonic() + seconds
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, seconds or 0)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.expired:
            raise TimeLimitExceeded(f"it took longer than {self.seconds:g} seconds")
