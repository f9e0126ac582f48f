"""After a test, its databases become again what they were before the first one.

This stands in for Django's flush, which leaves the schema as a test left it, and makes all
content types, permissions and triggers anew. ``test_flush.py`` is about that flush.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Protocol
from unittest import mock

from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.test import TransactionTestCase

from auditrepr.lineage import renames

#: How far apart the ids of two tables begin: one in place of another does not pass unseen. Those
#: of events begin with 1, for tests that number some of them by themselves.
APART = 100
#: How long to wait for whoever still works on a database that its test has done with.
PATIENCE = 30


class Template(Protocol):
    """What a database was when this was made."""

    def restore(self) -> None: ...

    def close(self) -> None: ...


_templates: dict[str, Template] = {}


@contextmanager
def restored_after_each_test() -> Iterator[None]:
    """Restore the databases of a transactional test, where Django would flush them.

    What they were is noted when the first test sets them up: not all are made in each run.
    """
    set_up = TransactionTestCase.setUpClass.__func__  # type: ignore[attr-defined]

    def setup(case: type[TransactionTestCase]) -> None:
        for alias in case._databases_names(include_mirrors=False):
            if alias not in _templates:
                _templates[alias] = template(alias)
        set_up(case)

    def teardown(case: TransactionTestCase) -> None:
        for alias in case._databases_names(include_mirrors=False):
            restore(alias)

    try:
        with mock.patch.multiple(
            TransactionTestCase, setUpClass=classmethod(setup), _fixture_teardown=teardown
        ):
            yield
    finally:
        while _templates:
            _templates.popitem()[1].close()


def restore(alias: str) -> None:
    """Make the database what it was; what the process knows of it goes, as after a ``migrate``."""
    connections[alias].close()
    _templates[alias].restore()
    ContentType.objects.clear_cache()
    renames.look_again(using=alias)


def template(alias: str) -> Template:
    connection = connections[alias]
    connection.close()
    if connection.vendor == "sqlite":
        return SQLiteTemplate(str(connection.settings_dict["NAME"]))
    from tests.restoring_postgresql import PostgreSQLTemplate

    return PostgreSQLTemplate(connection.get_connection_params(), APART, PATIENCE)


class SQLiteTemplate:
    """A copy in memory, which is written over the file: rows, schema, sequences and all."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._copy = sqlite3.connect(":memory:")
        with closing(self._open()) as database:
            self._spread_ids(database)
            database.backup(self._copy)

    def restore(self) -> None:
        with closing(self._open()) as database:
            self._copy.backup(database)

    def close(self) -> None:
        self._copy.close()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=PATIENCE, isolation_level=None)

    def _spread_ids(self, database: sqlite3.Connection) -> None:
        counted = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
            " AND name <> 'auditrepr_auditlog'"
            " AND name NOT IN (SELECT name FROM sqlite_sequence WHERE seq > 0) ORDER BY name"
        )
        for number, (table,) in enumerate(counted.fetchall(), 1):
            database.execute("DELETE FROM sqlite_sequence WHERE name = ?", [table])
            database.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [table, number * APART]
            )
