"""Finds the tables that a statement on another table may change: by triggers and foreign keys.

SQLite itself knows: it compiles all that a statement may do, however deep, and asks an authorizer
for each table that is written. This is done with a copy of the schema in memory, without rows.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from . import triggers
from .quoting import quoted

SCHEMA = """
    SELECT type, name, tbl_name, sql FROM sqlite_master
    ORDER BY type = 'trigger', sql LIKE 'CREATE VIRTUAL%' DESC, rowid
"""
VERSION = "PRAGMA schema_version"
_WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_MODULE = re.compile(r"USING\s+[\"'\[`]?(\w+)", re.IGNORECASE)
#: Virtual tables that write only tables whose names begin with theirs.
_WRITE_THEIR_OWN = {"fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"}
_COLUMNS = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0"
_ACTING = """
    SELECT DISTINCT reference."table" FROM sqlite_master AS here,
        pragma_foreign_key_list(here.name) AS reference
    WHERE here.type = 'table' AND (
        reference.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
        OR reference.on_update IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
    )
"""


class Item(NamedTuple):
    """A table, view, index or trigger of the schema."""

    type: str
    name: str
    table: str
    sql: str | None


#: The answers for the last schemas: a connection is often new, and its schema seldom is.
_answers: dict[tuple[str, tuple[Item, ...]], bool] = {}
SCHEMAS = 16


def reaches_audited(connection: BaseDatabaseWrapper, schema: Iterable[Any]) -> bool:
    """Return whether a statement may change an audited table besides the one that it names.

    :param schema: the rows of `SCHEMA`. What cannot be read for certain counts as a change.
    """
    asked = connection.alias, tuple(Item(*row) for row in schema)
    answer = _answers.get(asked)
    if answer is None:
        answer = _answers[asked] = _look(connection, asked[1])
        for oldest in [*_answers][:-SCHEMAS]:
            _answers.pop(oldest, None)  # another thread may have been faster
    return answer


def _look(connection: BaseDatabaseWrapper, items: Sequence[Item]) -> bool:
    audited = {
        table.lower()
        for item in items
        if item.type == "trigger"
        for action, table in [triggers.action_and_table(item.name)]
        if action in triggers.ACTIONS
    }
    bearing = {i.table for i in items if i.type == "trigger" and not _is_ours(i.name)}
    copy = connection.copy()
    copy.settings_dict = {**copy.settings_dict, "NAME": ":memory:"}
    try:
        copy.ensure_connection()
        with closing(copy.connection) as raw:  # Django keeps a database in memory open
            _make(raw, items)
            acting = {table for (table,) in raw.execute(_ACTING)}
            found = {t for table in sorted(bearing | acting) for t in _written_beside(raw, table)}
    except (Error, sqlite3.Error, Unclear):
        return True
    return any(_changes(name, items, audited) for name in found)


class Unclear(Exception):
    """Raised if it cannot be told what a statement writes."""


def _is_ours(name: str) -> bool:
    return name.startswith((triggers.PREFIX, "append_only_auditrepr_"))


def _make(raw: Any, items: Iterable[Item]) -> None:
    """Make an empty copy of the schema; creating a virtual table also creates its tables."""
    for item in items:
        if item.sql is None or item.name.startswith("sqlite_") or _is_ours(item.name):
            continue
        there = raw.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [item.name]).fetchone()
        if not there:
            raw.execute(item.sql)


def _written_beside(raw: Any, table: str) -> Iterator[str]:
    """Yield the tables that statements on this one write in addition to their own rows."""
    columns = [name for (name,) in raw.execute(_COLUMNS, [table])]
    name = quoted(table)
    same = ", ".join(f"{column} = {column}" for column in map(quoted, columns))
    yield from _written(raw, f"INSERT INTO {name} DEFAULT VALUES", table, 1)
    yield from _written(raw, f"UPDATE {name} SET {same}", table, len(columns))
    yield from _written(raw, f"DELETE FROM {name}", table, 1)


def _written(raw: Any, statement: str, table: str, own: int) -> list[str]:
    """Return what is written after the first `own` writes, which are those of the statement."""
    seen: list[tuple[str, str | None]] = []

    def note(action: int, first: str, _: str | None, __: str | None, trigger: str | None) -> int:
        if action in _WRITES:
            seen.append((first, trigger))
        return sqlite3.SQLITE_OK

    raw.set_authorizer(note)
    try:
        raw.execute(f"EXPLAIN {statement}").close()
    except sqlite3.OperationalError as error:
        if "cannot modify" not in str(error) and "may not be modified" not in str(error):
            raise
        return []  # a view without such a trigger
    finally:
        raw.set_authorizer(None)
    if any(first.lower() != table.lower() or trigger for first, trigger in seen[:own]):
        raise Unclear(statement)
    return [first for first, _ in seen[own:]]


def _changes(name: str, items: Iterable[Item], audited: Iterable[str]) -> bool:
    """Return whether a write of this table may change an audited one."""
    name = name.lower()
    if name in audited:
        return True
    made = next((i.sql for i in items if i.name.lower() == name and i.type == "table"), None)
    if not (made and made.upper().startswith("CREATE VIRTUAL")):
        return False
    module = _MODULE.search(made)
    if module is None or module[1].lower() not in _WRITE_THEIR_OWN:
        return True
    return any(table.startswith(f"{name}_") for table in audited)
