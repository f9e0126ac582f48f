"""The interface of the two locks that prevent concurrent runs.

They only save work: the primary key of ``InstanceRepr`` is what prevents storing anything twice.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import ClassVar, Self

from ...exceptions import LockHeld, LockWaitStopped
from .process import Process

#: Seconds between two attempts while waiting.
PAUSE = 0.25


class Lock(ABC):
    """A context manager whose value is true if the lock was acquired.

    :param wait: seconds to wait for the lock.
    :param stop: called while waiting; true ends the wait.
    :param of_run: whether a run of the job takes it, and not what only keeps runs away.
    """

    #: Does it keep runs on other hosts apart, too?
    across_hosts: ClassVar[bool]

    def __init__(
        self,
        *,
        wait: float = 0,
        stop: Callable[[], bool] = lambda: False,
        of_run: bool = True,
    ) -> None:
        self.wait = wait
        self.stop = stop
        self.of_run = of_run
        self.acquired = False

    def __enter__(self) -> Self:
        deadline = time.monotonic() + self.wait
        while not self.acquire() and time.monotonic() < deadline and not self.stop():
            time.sleep(PAUSE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def acquire(self) -> bool:
        """Try once to acquire the lock, and return whether it is held."""
        self.acquired = self._acquire()
        return self.acquired

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self.acquired:
            self.acquired = False
            self._release()

    def __bool__(self) -> bool:
        return self.acquired

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock during the block, however long it takes.

        :raises LockHeld: if another process holds it.
        :raises LockWaitStopped: if the wait for it was ended.
        """
        with self:
            if not self:
                error = LockWaitStopped if self.stop() else LockHeld
                raise error(holder=self.holder() or "an unknown process")
            with self.kept_alive():
                yield

    def kept_alive(self) -> AbstractContextManager[None]:
        """Keep the lock during the block, however long it takes."""
        return nullcontext()

    @abstractmethod
    def renew(self) -> None:
        """Renew the lock, as the last statement of the transaction that stores a batch.

        :raises LeaseLost: if another run may hold the lock by now: roll back.
        """

    @abstractmethod
    def holder(self) -> Process | None:
        """Return the process that holds the lock, if it is known."""

    @abstractmethod
    def _acquire(self) -> bool: ...

    @abstractmethod
    def _release(self) -> None: ...
