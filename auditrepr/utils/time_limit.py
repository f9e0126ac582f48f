"""Limits on how long the code of rows may run, and on what it may take of the process.

The job owns its process; a request, a shell or another program's task does not.
"""

from __future__ import annotations

import gc
import math
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self, TypeVar

from django.db import Error

from ..conf import get_settings
from .interrupts import from_outside

T = TypeVar("T")


class TimeLimitExceeded(BaseException):
    """Raised in code that runs for too long.

    It is not an Exception, so that an ``except Exception`` of that code cannot stop it.
    """


class OutOfTime(BaseException):
    """The time for all rows together is spent."""


class TimeLimit:
    """How long one row may take, in a process that auditrepr does not own.

    Nothing interrupts Python code there: the owner of the process limits that. What waits in the
    database is asked to check :attr:`expired`, or to end after :attr:`query_seconds`.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: float | None = None

    @classmethod
    def from_settings(cls) -> Self:
        """Return the limit that the setting ``ROW_SECONDS`` asks for."""
        return cls(get_settings().ROW_SECONDS)

    @property
    def running(self) -> bool:
        """Return whether the code of a row runs now."""
        return self._ends is not None

    @property
    def expired(self) -> bool:
        return self._ends is not None and time.monotonic() >= self._ends

    @property
    def over(self) -> bool:
        """Return whether the time for all rows together is spent."""
        return False

    @property
    def query_seconds(self) -> float:
        """Return how long a query may take that is sent now; 0: as long as it takes."""
        return self.seconds if self.running else 0

    def ends_work(self, error: BaseException) -> bool:
        """Return whether this ends the work as a whole, so that no row failed."""
        # Nothing here asks for an alarm: it is that of a build around this one.
        ours = (KeyboardInterrupt, TimeLimitExceeded, OutOfTime)
        return isinstance(error, ours) or from_outside(error)

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Enforce the limit: required around all rows."""
        yield

    @contextmanager
    def ending_quietly(self) -> Iterator[None]:
        """End what is inside without an error when the time for all rows is spent."""
        try:
            yield
        except OutOfTime:
            pass
        except Error:
            if not self.over:
                raise

    def row(self) -> Self:
        """Return a context manager: the time of a row runs inside.

        :raises TimeLimitExceeded: when it is over, if auditrepr owns the process.
        :raises OutOfTime: if that of all rows is over.
        """
        return self

    def each(self, rows: Iterable[T]) -> Iterable[T]:
        """Return the rows, as long as there is time for all of them."""
        return rows

    def __enter__(self) -> None:
        self._start(self.seconds)

    def __exit__(self, *exception: object) -> None:
        self._ends = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the row's time inside, and interrupt nothing there."""
        left = None if self._ends is None else max(0.001, self._ends - time.monotonic())
        self._ends = None
        try:
            yield
        finally:
            if left is not None:
                self._start(left)

    def _start(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds


class PageTimeLimit(TimeLimit):
    """What a page may take for all of its rows: it is checked between them.

    A ``__str__`` that never returns is the business of the web worker's own timeout.
    """

    #: For all rows of a page.
    SECONDS = 2.0
    #: The database's limit is updated in steps of this size, because each update is a statement.
    STEP = 0.5

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._until = time.monotonic() + self.SECONDS

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._until

    @property
    def expired(self) -> bool:
        return self.over or super().expired

    @property
    def query_seconds(self) -> float:
        left = max(self._until - time.monotonic(), self.STEP)
        in_steps = math.ceil(left / self.STEP) * self.STEP
        return min(in_steps, self.seconds) if self.running else in_steps

    def ends_work(self, error: BaseException) -> bool:
        # A query that was ended for it, or that came too late.
        return (self.over and isinstance(error, Error)) or super().ends_work(error)

    def each(self, rows: Iterable[T]) -> Iterable[T]:
        for row in rows:
            self._check()
            yield row

    def __enter__(self) -> None:
        self._check()
        super().__enter__()

    def _check(self) -> None:
        if self.over:
            raise OutOfTime


class JobTimeLimit(TimeLimit):
    """Interrupts a row in the job, which owns its process.

    Python code is interrupted by SIGALRM, which only a process's main thread can ask for; in any
    other thread the process belongs to another program.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._owning = False
        self._ticking = False  # a SIGALRM is on its way

    def ends_work(self, error: BaseException) -> bool:
        """Return whether this came from outside: what a row's code raises is its own failure.

        The job has signals told by handlers.
        """
        return from_outside(error) and not isinstance(error, TimeLimitExceeded)

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Take the process over, and give it back: required around all rows."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {signal.SIGALRM: signal.signal(signal.SIGALRM, self._interrupt)}
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # A function of Python's, so that a Ctrl-C is known from what a row's code raises.
            previous[signal.SIGINT] = signal.signal(signal.SIGINT, _interrupted_by_user)
        self._owning = True
        try:
            with _without_collecting():
                yield
        finally:
            self._owning = self._ticking = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _start(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        # One alarm serves many rows: it comes before the end of any later one.
        # Unless the code of a row has taken the alarm for itself.
        if self._owning and not (self._ticking and signal.getitimer(signal.ITIMER_REAL)[0]):
            self._ring_in(seconds)

    def _ring_in(self, seconds: float) -> None:
        self._ticking = True
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._ticking = False
        if self.expired:
            self._ring_in(max(self.seconds, 0.01))  # once more, where a bare except swallows it
            raise TimeLimitExceeded(f"took longer than {self.seconds:g} seconds (ROW_SECONDS)")
        if self._ends is not None and self._owning:
            self._ring_in(max(0.001, self._ends - time.monotonic()))


def _interrupted_by_user(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Collect no garbage inside: a batch needs what it makes until its end."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
