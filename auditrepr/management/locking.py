"""The options about the lock, shared by the commands that hold it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from ..job.locks.base import Lock
from ..job.locks.file import FileLock
from ..job.locks.lease import DatabaseLock
from .options import seconds

LOCKS = {"database": DatabaseLock, "file": FileLock}


def add_lock(parser: CommandParser, prevents: str) -> None:
    """Add the options that choose the lock.

    :param prevents: the first words of the help of ``--lock``.
    """
    parser.add_argument(
        "--lock",
        choices=LOCKS,
        default="database",
        help=f"{prevents} Default: %(default)s.",
    )
    parser.add_argument(
        "--wait",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="Wait up to this many seconds for the lock. Default: do not wait.",
    )


def chosen_lock(
    using: str, options: dict[str, Any], stop: Callable[[], bool], *, of_run: bool = True
) -> Lock:
    """Return the lock that the options ask for.

    :param stop: asked while it waits; True ends the wait.
    :param of_run: whether a run of the job takes it.
    """
    lock: Lock = LOCKS[options["lock"]](using, wait=options["wait"], stop=stop, of_run=of_run)
    return lock
