"""Several connections to one database, in threads that take turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connection, connections, transaction
from django.db.models import Model

from tests.oracle import Oracle

READ_COMMITTED = "READ COMMITTED"
REPEATABLE_READ = "REPEATABLE READ"


class Undone(Exception):
    """Raised to roll back a transaction."""


class Writer:
    """One connection; methods run in its thread, and it notes the texts of its objects."""

    def __init__(self, models: Sequence[type[Model]]) -> None:
        self.oracle = Oracle(models)
        self._thread = ThreadPoolExecutor(1)
        self.blocks: list[transaction.Atomic] = []

    def start(self, function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        """Start the call without waiting for its end."""
        return self._thread.submit(self._noting, function, *args, **options)

    def __call__(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return self.start(function, *args, **options).result(timeout=30)

    def _noting(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        with self.oracle.listening():
            return function(*args, **options)

    def sql(self, statement: str, *parameters: Any) -> None:
        self(_sql, statement, parameters)

    def begin(self, isolation: str = READ_COMMITTED) -> None:
        """A transaction, or within one a savepoint."""
        first = not self.blocks
        block = transaction.atomic()
        self(block.__enter__)
        self.blocks.append(block)
        if first:
            self(_sql, f"SET TRANSACTION ISOLATION LEVEL {isolation}", ())

    def commit(self) -> None:
        self(self.blocks.pop().__exit__, None, None, None)

    def roll_back(self) -> None:
        self(self.blocks.pop().__exit__, Undone, Undone(), None)

    def close(self) -> None:
        while self.blocks:
            self.roll_back()
        self(connections.close_all)
        self._thread.shutdown()


def _sql(statement: str, parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)


@contextmanager
def writers(count: int, models: Sequence[type[Model]]) -> Iterator[list[Writer]]:
    """Open this number of connections, each of which notes the texts of objects of these models."""
    found = [Writer(models) for _ in range(count)]
    try:
        yield found
    finally:
        for writer in found:
            writer.close()


def said(found: Sequence[Writer]) -> dict[int, str]:
    """Return the texts of the objects of all events, as their connections noted them."""
    return {pk: text for writer in found for pk, text in writer.oracle.expected.items()}
