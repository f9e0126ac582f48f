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
        self._listening = False
        self._ticking = False  # a SIGALRM is on its way

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
        self._listening = True
        try:
            yield
        finally:
            self._listening = self._ticking = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)

    def row(self) -> TimeLimit:
        """A context manager: the time runs inside.

        :raises TimeLimitExceeded: when it is over.
        """
        return self

    def __enter__(self) -> None:
        self._start(self.seconds)

    def __exit__(self, *exception: object) -> None:
        self._ends = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside does not count, and nothing is interrupted."""
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
        # Unless the code of others has taken the alarm for itself.
        if self._listening and not (self._ticking and signal.getitimer(signal.ITIMER_REAL)[0]):
            self._ring_in(seconds)

    def _ring_in(self, seconds: float) -> None:
        self._ticking = True
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._ticking = False
        if self.expired:
            self._ring_in(max(self.seconds, 0.01))  # once more, where a bare except swallows it
            raise TimeLimitExceeded(f"took longer than {self.seconds:g} seconds (ROW_SECONDS)")
        if self._ends is not None and self._listening:
            self._ring_in(max(0.001, self._ends - time.monotonic()))
