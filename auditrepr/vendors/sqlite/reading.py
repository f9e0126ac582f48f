"""Keeps a connection to SQLite from writing, and from reading for too long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    from ...utils.time_limit import TimeLimit

#: SQLite's instructions between two checks of the time: about a millisecond.
STEPS = 100_000


@contextmanager
def refusing_writes(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Have SQLite refuse every write of this connection during the block."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
    raw = connection.connection
    try:
        yield
    finally:
        if not connection.closed_in_transaction:  # a __str__ may have closed it
            raw.execute("PRAGMA query_only = OFF")


@contextmanager
def interrupting(connection: BaseDatabaseWrapper, limit: TimeLimit) -> Iterator[None]:
    """Interrupt SQLite when the time is over.

    It works in this process, where no signal reaches Python until SQLite returns.
    """
    raw = connection.connection
    raw.set_progress_handler(lambda: limit.expired, STEPS)
    try:
        yield
    finally:
        if not connection.closed_in_transaction:
            raw.set_progress_handler(None, 0)
