"""Runs the library's project on a database of an earlier version, in separate processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

from tests.project import ROOT
from tests.servers import postgres_url
from tests.upgrading import dump

VENDOR = os.environ.get("TEST_DATABASE", "sqlite")
#: Executes what it is sent, and answers with what that said, and wrote to standard error.
WORKER = """
import contextlib, django, io, json, sys, traceback
django.setup()
from django.core.management import call_command
from django.db import connection
from auditrepr.models import *
from tests.upgrading.library.models import *
def say(value): said.append(value)
def sql(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None
for line in sys.stdin:
    said, errors = [], io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            exec(json.loads(line))
        except BaseException:
            traceback.print_exc()
    print(json.dumps([said and said[0], errors.getvalue()], default=str), flush=True)
"""


class Library:
    """A project and its database."""

    def __init__(self, database: dict[str, Any], session: Any) -> None:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.upgrading.settings",
            "UPGRADING": json.dumps(database),
            "PYTHONPATH": str(ROOT),
        }
        self._session = session
        self._worker = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WORKER],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process."""
        self._worker.communicate(timeout=60)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement as any program does; its rows."""
        cursor = self._session.execute(statement)
        return cursor.fetchall() if cursor.description else []

    def run(self, code: str, errors: str = "") -> Any:
        """What this code says in the project's process.

        :param errors: what stands on standard error then.
        """
        assert self._worker.stdin
        assert self._worker.stdout
        print(json.dumps(code), file=self._worker.stdin, flush=True)
        said, written = json.loads(self._worker.stdout.readline())
        assert written == errors, written
        return said

    def tables(self) -> list[str]:
        """The tables of the log and of the library, without what indexes keep."""
        names = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        }
        found = [name for (name,) in self.sql(names[VENDOR])]
        own = [name for name in found if name.startswith(("auditrepr_", "library_"))]
        return sorted(name for name in own if not name.startswith("auditrepr_repr_"))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table, by column, in the order of their keys."""
        cursor = self._session.execute(f'SELECT * FROM "{table}" ORDER BY 1')
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def content(self) -> dict[str, list[dict[str, Any]]]:
        """All of it."""
        return {name: self.rows(name) for name in self.tables()}


@contextmanager
def restored(folder: Path) -> Iterator[Library]:
    """The project, on a database of its own that holds what the dump does."""
    with (
        {"sqlite": _sqlite, "postgresql": _postgresql}[VENDOR](folder) as (database, session),
        closing(Library(database, session)) as library,
    ):
        yield library


Opened = Iterator[tuple[dict[str, Any], Any]]  # Django's settings, and a session beside it


@contextmanager
def _sqlite(folder: Path) -> Opened:
    file = folder / "library.sqlite3"
    dump.restore_sqlite(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as session:
        yield {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}, session


@contextmanager
def _postgresql(folder: Path) -> Opened:
    url = urlsplit(postgres_url())
    host = parse_qs(url.query).get("host", [url.hostname])[0]
    server = {"host": host, "port": url.port, "user": url.username, "password": url.password}
    server = {name: value for name, value in server.items() if value}
    name = f"auditrepr_upgrading_{os.getpid()}"
    with psycopg.connect(**server, dbname="postgres", autocommit=True) as maintenance:
        maintenance.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        maintenance.execute(f"CREATE DATABASE {name}")
        try:
            dump.restore_postgresql(server | {"dbname": name})
            settings = {key.upper(): value for key, value in server.items()}
            database = {"ENGINE": "django.db.backends.postgresql", "NAME": name, **settings}
            with psycopg.connect(**server, dbname=name, autocommit=True) as session:
                yield database, session
        finally:
            maintenance.execute(f"DROP DATABASE {name} WITH (FORCE)")
