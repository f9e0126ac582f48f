"""Lets a signal end a command between two batches."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from django.core.management.base import CommandError

from ..exceptions import LockWaitStopped
from ..utils.text import visible

STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopping_on_signals() -> Iterator[list[int]]:
    """Yield the list that the first SIGTERM or SIGINT is added to; a second ends the process.

    :raises CommandError: that has the signal's exit code, if it came during a wait for the lock.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:  # pragma: no cover - the process ends here, and what it measured with it
            # Open transactions roll back, and the lock of a dead process counts as free.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may ask for signals
        return
    previous = {number: signal.signal(number, note) for number in STOPPING}
    try:
        yield received
    except LockWaitStopped as stopped:
        raise CommandError(visible(str(stopped)), returncode=128 + received[0]) from stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
