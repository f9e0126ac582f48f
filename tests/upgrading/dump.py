"""Dumps the database of an earlier version as readable SQL, and restores it."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import gethostname
from typing import Any

import psycopg

from tests.servers import postgres_binaries

BEFORE = Path(__file__).parent / "before"
#: What would say where the dump was made.
PLACES = re.compile(r'/[^"\']*/(?=(auditrepr|tests)/)')

#: An index for full-text search keeps its data in tables that it makes itself.
OBJECTS = """
SELECT type, name, sql FROM sqlite_master
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    AND name NOT GLOB 'auditrepr_repr_trigrams_*'
ORDER BY instr('table index view trigger', type), sql LIKE 'CREATE VIRTUAL%', rowid
"""


def of_sqlite(file: Path) -> str:
    """The SQL that makes this database."""
    with closing(sqlite3.connect(file)) as database:
        return _anywhere("".join(f"{line};\n" for line in _sqlite_lines(database)))


def _sqlite_lines(database: sqlite3.Connection) -> Iterator[str]:
    objects = database.execute(OBJECTS).fetchall()
    tables = [(name, sql) for kind, name, sql in objects if kind == "table"]
    for name, sql in tables:
        yield sql
        if sql.startswith("CREATE VIRTUAL"):
            yield f"INSERT INTO {name} ({name}) VALUES ('rebuild')"
        else:
            yield from _rows(database, name)
    yield "DELETE FROM sqlite_sequence"
    yield from _rows(database, "sqlite_sequence")
    yield from (sql for kind, _, sql in objects if kind != "table")


def _rows(database: sqlite3.Connection, table: str) -> Iterator[str]:
    columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
    values = " || ', ' || ".join(f'quote("{column}")' for column in columns)
    into = f"INSERT INTO {table} ({', '.join(columns)})"
    for (row,) in database.execute(f'SELECT {values} FROM "{table}"'):
        yield f"{into} VALUES ({row})"


def of_postgresql(parameters: dict[str, Any]) -> str:
    """The same; what the triggers are is noted again, as that is different in each database."""
    command = [str(postgres_binaries() / "pg_dump"), "--inserts", "--no-owner", "--no-privileges",
               "-h", parameters["host"], "-U", "postgres", parameters["dbname"]]  # fmt: skip
    sql = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    kept = [line for line in sql.splitlines() if line and not line.startswith(("--", "\\"))]
    return _anywhere("\n".join(kept) + "\n")


def _anywhere(sql: str) -> str:
    return PLACES.sub("/srv/library/", sql).replace(f"'{gethostname()}'", "'library'")


def restore_sqlite(file: Path) -> None:
    """Make the database that the dump holds."""
    with closing(sqlite3.connect(file)) as database:
        database.executescript((BEFORE / "sqlite.sql").read_text())


def restore_postgresql(parameters: dict[str, Any]) -> None:
    """The same, in an empty database."""
    with psycopg.connect(**parameters, autocommit=True) as database:
        database.execute((BEFORE / "postgresql.sql").read_text())
        database.execute((BEFORE / "postgresql_triggers.sql").read_text())
