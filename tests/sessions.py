"""Keeps a database's session from one test to the next, reset like those of a pool.

A new session reads the schema and compiles the triggers again, which costs more than most tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db.backends.base.base import BaseDatabaseWrapper


class Sessions:
    """The idle sessions of a database system, one for each database."""

    def __init__(
        self, wrapper: type[BaseDatabaseWrapper], reset: Callable[[BaseDatabaseWrapper], bool]
    ) -> None:
        """:param reset: resets the session of a connection; returns whether it is as a new one."""
        self._wrapper = wrapper
        self._reset = reset
        self._idle: dict[str, tuple[tuple[Any, ...], Any]] = {}

    def keep(self, connection: BaseDatabaseWrapper) -> None:
        """Take the session from a connection, which is closed then."""
        if connection.connection is None or not self._reset(connection):
            connection.close()
            return
        session, connection.connection = connection.connection, None
        name = _name(connection)
        self.end(name)
        self._idle[name] = (_chosen(connection), session)

    def end(self, name: str) -> None:
        """End the idle session of this database, if there is one."""
        if name in self._idle:
            self._idle.pop(name)[1].close()

    @contextmanager
    def reused(self) -> Iterator[None]:
        """Let connections that are opened take the idle session, if it is what they need."""
        connect = self._wrapper.get_new_connection

        def get(connection: BaseDatabaseWrapper, parameters: dict[str, Any]) -> Any:
            chosen, session = self._idle.pop(_name(connection), (None, None))
            if session and chosen == _chosen(connection):
                return session
            if session:
                session.close()
            return connect(connection, parameters)

        with mock.patch.object(self._wrapper, "get_new_connection", get):
            yield
        for name in list(self._idle):
            self.end(name)


def _name(connection: BaseDatabaseWrapper) -> str:
    return str(connection.settings_dict["NAME"])


def _chosen(connection: BaseDatabaseWrapper) -> tuple[Any, ...]:
    """Return all that a session depends on: what another thread, or other options, do not share."""
    options = dict(connection.settings_dict["OPTIONS"])
    return connection, options, connection.get_connection_params()
