"""What ends the work of the whole process, and is never the failure of one row."""

from __future__ import annotations

import signal

_registered: tuple[type[BaseException], ...] = ()


def ends_work(*exceptions: type[BaseException]) -> None:
    """Let these exceptions pass through whatever is being built, from now on.

    A host that runs auditrepr raises them to end its task, as Celery's soft time limit does. One
    that a ``__str__`` raises passes, too: it cannot be told who raised it.
    """
    global _registered
    _registered += exceptions


def from_outside(error: BaseException) -> bool:
    """Return whether a host or a signal handler raised this, and not the code of a row."""
    return isinstance(error, _registered) or _came_by_signal(error)


def _came_by_signal(error: BaseException) -> bool:
    """Return whether a signal handler raised this, as a server's that ends its worker.

    An ordinary exception, as of the code of a row that limits its own time, is not meant.
    """
    if isinstance(error, Exception):
        return False
    handlers = {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code not in handlers:
        step = step.tb_next
    return step is not None


def _code(handler: object) -> object:
    """Return the code of a Python function or method; None for anything else."""
    return getattr(handler, "__code__", None)
