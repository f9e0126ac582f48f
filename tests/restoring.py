"""Restores the databases after a test to their state before the first one.

This replaces Django's flush, which leaves the schema as a test left it, and re-creates all
content types, permissions and triggers. ``test_flush.py`` is about that flush.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Protocol
from unittest import mock

from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.test import TransactionTestCase

from auditrepr.lineage import renames
from tests.sessions import Sessions

#: The distance between the first IDs of two tables, so that a mix-up is noticed. The IDs of events
#: start with 1, because some tests use explicit ones.
APART = 100
#: Seconds to wait for processes that still use a database after its test.
PATIENCE = 30


class Template(Protocol):
    """The state of a database, to which it can be restored."""

    def restore(self) -> None: ...

    def leave(self) -> None:
        """End the session that is kept, so that the database can be copied."""

    def close(self) -> None: ...


_templates: dict[str, Template] = {}
_prepared: dict[str, Template] = {}


@contextmanager
def restored_after_each_test() -> Iterator[None]:
    """Restore the databases of a transactional test, instead of Django's flush.

    Their state is recorded when the first test sets them up: not every run creates all of them.
    """
    set_up = TransactionTestCase.setUpClass.__func__  # type: ignore[attr-defined]

    def setup(case: type[TransactionTestCase]) -> None:
        for alias in case._databases_names(include_mirrors=False):
            record(alias)
        set_up(case)

    def teardown(case: TransactionTestCase) -> None:
        for alias in case._databases_names(include_mirrors=False):
            restore(alias)

    sessions = _sessions()
    try:
        with (
            mock.patch.multiple(
                TransactionTestCase, setUpClass=classmethod(setup), _fixture_teardown=teardown
            ),
            sessions.reused() if sessions else nullcontext(),
        ):
            yield
    finally:
        for templates in (_templates, _prepared):
            while templates:
                templates.popitem()[1].close()


def record(alias: str) -> None:
    """Record the state of the database, to which it is restored, unless that is done.

    A fixture that writes before a test's own begins calls it first.
    """
    if alias not in _templates:
        _templates[alias] = template(alias)


def restore(alias: str) -> None:
    """Restore the database, and clear what the process has cached of it, as after ``migrate``."""
    _restore(alias, _templates[alias])


def prepare(name: str, prepare_it: Callable[[], None]) -> None:
    """Bring the default database of a transactional test to a state that takes long to reach.

    Its first test prepares it, and a copy serves the others.
    """
    if name in _prepared:
        _restore("default", _prepared[name])
    else:
        prepare_it()
        _templates["default"].leave()
        _prepared[name] = template("default", name)


def _restore(alias: str, state: Template) -> None:
    if sessions := _sessions():
        sessions.keep(connections[alias])
    else:
        connections[alias].close()
    state.restore()
    ContentType.objects.clear_cache()
    renames.forget_recent(using=alias)


def _sessions() -> Sessions | None:
    """Return PostgreSQL's sessions; SQLite's read the schema again whenever it was restored."""
    if connections["default"].vendor == "sqlite":
        return None
    from tests.restoring_postgresql import sessions

    return sessions


def template(alias: str, prepared: str = "") -> Template:
    """Return a copy of the database as it is now.

    :param prepared: the name of the state, if it is not the first one.
    """
    connection = connections[alias]
    connection.close()
    if connection.vendor == "sqlite":
        return SQLiteTemplate(str(connection.settings_dict["NAME"]), 0 if prepared else APART)
    from tests.restoring_postgresql import PostgreSQLCopy, PostgreSQLTemplate

    parameters = connection.get_connection_params()
    if prepared:
        return PostgreSQLCopy(parameters, PATIENCE, prepared)
    return PostgreSQLTemplate(parameters, PATIENCE, APART)


class SQLiteTemplate:
    """A copy in memory that replaces the content of the file, including schema and sequences."""

    def __init__(self, file: str, apart: int) -> None:
        """:param apart: the distance between the first IDs of two tables, or 0 to leave them."""
        self._file = file
        self._copy = sqlite3.connect(":memory:")
        with closing(self._open()) as database:
            if apart:
                self._spread_ids(database, apart)
            database.backup(self._copy)

    def restore(self) -> None:
        with closing(self._open()) as database:
            self._copy.backup(database)

    def leave(self) -> None:
        pass

    def close(self) -> None:
        self._copy.close()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=PATIENCE, isolation_level=None)

    def _spread_ids(self, database: sqlite3.Connection, apart: int) -> None:
        counted = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
            " AND name <> 'auditrepr_auditlog'"
            " AND name NOT IN (SELECT name FROM sqlite_sequence WHERE seq > 0) ORDER BY name"
        )
        for number, (table,) in enumerate(counted.fetchall(), 1):
            database.execute("DELETE FROM sqlite_sequence WHERE name = ?", [table])
            database.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [table, number * apart]
            )
