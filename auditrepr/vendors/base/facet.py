"""What all facets of a vendor share: one database, and the short ways to ask it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

Parameters = Sequence[Any] | Mapping[str, Any] | None


class Facet:
    """One database, by its alias.

    There is one object for each alias, shared by all threads. It caches nothing: the next
    connection may lead to a database in another state.
    """

    def __init__(self, using: str) -> None:
        self.using = using

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.using]

    def execute(self, statements: Iterable[str]) -> None:
        """Execute the statements, one after the other; they have no parameters."""
        with self.connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)

    def rows(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def row(self, sql: str, parameters: Parameters = None) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None if it has none."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            found: tuple[Any, ...] | None = cursor.fetchone()
            return found

    def value(self, sql: str, parameters: Parameters = None) -> Any:
        """Return the first value of a query's first row, or None if it has no row."""
        row = self.row(sql, parameters)
        return row and row[0]

    def column(self, sql: str, parameters: Parameters = None) -> list[Any]:
        """Return the first value of each of a query's rows."""
        return [row[0] for row in self.rows(sql, parameters)]
