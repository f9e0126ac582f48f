"""Reads the log in one transaction that writes nothing, and that the server ends in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import transaction
from psycopg.pq import TransactionStatus

from ...utils.transactions import unnoticed
from ..base import AsOfFacet

if TYPE_CHECKING:
    from ...utils.time_limit import TimeLimit

ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;"
NO_WRITES = "SET LOCAL transaction_read_only = on;"
# These queries consist of many short look-ups: compiling one takes longer than running it, and
# memoizing results that no other row needs takes longer than the look-up.
PLANNING = "SET LOCAL jit = off; SET LOCAL enable_memoize = off;"
# A row that a policy hides is an error, never a missing row.
ALL_ROWS = "SET LOCAL row_security = off;"
# The server gets no query while Django works. Its own limit may be shorter than the time limit of a
# row; without any limit, a stopped process would block vacuum forever.
PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = {milliseconds};"
# Likewise the limit of the whole transaction, which PostgreSQL has since version 17.
UNHURRIED = "SET LOCAL transaction_timeout = 0;"
#: Seconds that the server waits for the reader, beyond the time limit of two rows.
SLACK = 60
LONGEST = 2**31 - 1  # milliseconds, for PostgreSQL


class Reading(AsOfFacet):
    """A transaction in which the log is read."""

    @contextmanager
    def reading(self, limit: TimeLimit) -> Iterator[None]:
        own = not self.connection.in_atomic_block
        with (
            _naming_all_groups(self.connection),
            unnoticed(self.using),
            self.connection.cursor() as cursor,
        ):
            settings = PLANNING + ALL_ROWS + self._own_limits(limit)
            if own:
                cursor.execute(ONE_MOMENT + settings)
                with self._canceling(limit):
                    yield
                return
            cursor.execute(NO_WRITES + settings)
            try:
                with self._canceling(limit):
                    yield
            finally:
                # The end of a savepoint restores it too; after an error nothing else can.
                transaction.set_rollback(True, self.using)

    def _own_limits(self, limit: TimeLimit) -> str:
        silence = min(LONGEST, round((2 * limit.seconds + SLACK) * 1000))
        sql = PATIENCE.format(milliseconds=silence)
        raw = self.connection.connection
        if raw.info.server_version >= 170000:  # pragma: no cover - `nox -s servers` runs it
            sql += UNHURRIED
        return sql

    @contextmanager
    def _canceling(self, limit: TimeLimit) -> Iterator[None]:
        """Let the server end a query in time, in case the client no longer can."""
        canceling: float | None = 0

        def execute(run: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
            nonlocal canceling
            seconds = limit.query_seconds
            if self.connection.needs_rollback or self.has_failed():
                canceling = None  # nothing else runs now, and the rollback resets the settings
            elif seconds != canceling:
                canceling = seconds
                milliseconds = max(1, int(seconds * 1000)) if seconds else 0
                with self.connection.cursor() as cursor:
                    cursor.cursor.execute(f"SET LOCAL statement_timeout = {milliseconds}")
            return run(sql, parameters, many, context)

        with self.connection.execute_wrapper(execute):
            yield

    def show_life(self) -> None:
        # Any statement will do: the server measures the time since the last one.
        self.execute(["SELECT"])

    def discard(self) -> None:
        raw = self.connection.connection
        if raw is not None and raw.info.transaction_status == TransactionStatus.ACTIVE:
            # Interrupted while waiting for the server: the result is still to come.
            self.connection.close()


@contextmanager
def _naming_all_groups(connection: Any) -> Iterator[None]:
    """Make Django group by all selected columns, not only by the key.

    PostgreSQL knows that the key determines the other columns of a table, but not of an expression
    that hides the table.
    """
    features = connection.features
    usual = features.allows_group_by_selected_pks
    features.allows_group_by_selected_pks = False
    try:
        yield
    finally:
        features.allows_group_by_selected_pks = usual
