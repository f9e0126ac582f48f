"""Lets a command work while no run does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..locks.base import Lock
from . import shares


@contextmanager
def working_alone(using: str, lock: Lock) -> Iterator[None]:
    """Hold the lock during the block, however long it takes, and cancel the round of workers.

    :raises LockHeld: if a run holds the lock.
    """
    with lock.held():
        shares.void(using)
        yield
