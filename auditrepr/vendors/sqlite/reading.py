"""The transaction that a batch reads in: it cannot write, nor read for too long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db.backends.base.base import BaseDatabaseWrapper

from ...utils.transactions import unnoticed
from ..base import AsOfFacet

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


class Reading(AsOfFacet):
    """Opens the transaction that a batch reads in."""

    @contextmanager
    def reading(self, limit: TimeLimit) -> Iterator[None]:
        connection = self.connection
        if connection.in_atomic_block:
            # Nothing can be written inside, so an error inside has not broken the transaction.
            broken = connection.needs_rollback
            try:
                with refusing_writes(connection), interrupting(connection, limit):
                    yield
            finally:
                connection.needs_rollback = broken
            return
        # Django's atomic() may begin IMMEDIATE, by the project's settings: a reader that
        # blocks every writer. A deferred transaction takes no lock that a writer needs.
        connection.ensure_connection()
        mode = getattr(connection, "transaction_mode")  # noqa: B009 - not in Django's stubs
        setattr(connection, "transaction_mode", "DEFERRED")  # noqa: B010
        try:
            with (
                unnoticed(self.using),
                refusing_writes(connection),
                interrupting(connection, limit),
            ):
                yield
        finally:
            setattr(connection, "transaction_mode", mode)  # noqa: B010

    def show_life(self) -> None:
        """Do nothing: SQLite has no server."""

    def discard(self) -> None:
        pass  # an interrupted statement leaves SQLite's connection usable
