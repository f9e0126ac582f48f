"""Restores a PostgreSQL database; for most tests, deleting rows is enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.sql import SQL, Composed, Identifier

from tests.sessions import Sessions

Session = psycopg.Connection[tuple[Any, ...]]

#: A table of this many bytes, including deleted rows, is re-created: its size affects plans.
LARGE = 512 * 1024

SIZES = """
SELECT oid::regclass::text, pg_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace <> 'pg_catalog'::regnamespace
    AND relnamespace <> 'information_schema'::regnamespace AND pg_relation_size(oid) > 0
"""

#: Statistics are not part of the schema, and large objects are compared by their metadata.
CATALOGS = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace AND NOT relisshared
    AND relname NOT IN ('pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject')
ORDER BY 1
"""

#: An added or changed row has a newer transaction, and a deleted one is missing.
CATALOG = "SELECT count(*), count(*) FILTER (WHERE age(xmin) < age('{since}'::xid)) FROM {name}"

ROWS = "SELECT count(*), sum(hashtextextended(one::text, 0)) FROM {name} one"

SEQUENCES = """
SELECT format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value),
    last_value IS NOT NULL
FROM pg_sequences
"""

SPREAD_IDS = """
SELECT setval(name, number * %s, true) FROM (
    SELECT format('%%I.%%I', schemaname, sequencename)::regclass AS name,
        row_number() OVER (ORDER BY schemaname, sequencename) AS number
    FROM pg_sequences
    WHERE last_value IS NULL AND sequencename NOT LIKE 'auditrepr%%'
) unused
"""

#: Coverage identifies triggers by their database, and a copy is another one.
SAME_TRIGGERS = """
UPDATE auditrepr_coverage SET triggers = regexp_replace(triggers, '^(\\d+)\\.\\d+:', concat(
    '\\1.', (SELECT oid FROM pg_database WHERE datname = current_database()), ':'))
"""


class PostgreSQLCopy:
    """A copy on the server, which replaces the database."""

    def __init__(self, parameters: dict[str, Any], patience: int, suffix: str) -> None:
        """:param patience: how long to wait for locks of what still works there, in seconds.
        :param suffix: what the name of the copy ends with.
        """
        self._name = parameters["dbname"]
        self._copy = f"{self._name}_{suffix}"
        chosen = ("host", "port", "user", "password")
        self._server = {key: parameters[key] for key in chosen if key in parameters}
        self._options = f"-c lock_timeout={patience}s -c session_replication_role=replica"
        self._record()

    def restore(self) -> None:
        self._replace(self._name, of=self._copy)
        with self._connect(self._name) as session:
            session.execute(SAME_TRIGGERS)

    def leave(self) -> None:
        """Keep no session of the database open."""

    def close(self) -> None:
        with self._connect("postgres") as session:
            session.execute(_drop(self._copy))

    def _record(self) -> None:
        self._replace(self._copy, of=self._name)

    def _replace(self, name: str, *, of: str) -> None:
        for database in (name, of):
            sessions.end(database)
        with self._connect("postgres") as session:
            session.execute(_drop(name))
            copy = SQL("CREATE DATABASE {} TEMPLATE {}")
            session.execute(copy.format(Identifier(name), Identifier(of)))

    def _connect(self, name: str) -> Session:
        return psycopg.connect(**self._server, dbname=name, autocommit=True, options=self._options)


class PostgreSQLTemplate(PostgreSQLCopy):
    """The same for the first state.

    It replaces a database whose schema or first rows have changed. If a database only has more
    rows, these are deleted, which takes a fifth of the time.
    """

    def __init__(self, parameters: dict[str, Any], patience: int, apart: int) -> None:
        """:param apart: the distance between the first IDs of two tables."""
        self._apart = apart
        self._session: Session | None = None
        super().__init__(parameters, patience, "template")

    def restore(self) -> None:
        session = self._open()
        sizes = dict(session.execute(SIZES).fetchall())
        kept = session.execute(self._fingerprint).fetchall() == self._state
        if kept and max(sizes.values()) <= LARGE:
            self._remove_rows(session, sizes.keys() - self._first)
            return
        self.leave()
        super().restore()
        self._state = self._open().execute(self._fingerprint).fetchall()

    def close(self) -> None:
        self.leave()
        super().close()

    def leave(self) -> None:
        """End the session, which is kept from test to test: a new one costs more than its work."""
        if self._session:
            self._session.close()
        self._session = None

    def _open(self) -> Session:
        try:
            if self._session:
                self._session.execute("SELECT 1")
        except psycopg.OperationalError:  # a test has ended it
            self.leave()
        self._session = self._session or self._connect(self._name)
        return self._session

    def _record(self) -> None:
        with self._connect(self._name) as session:
            session.execute(SPREAD_IDS, [self._apart])
            self._first = {table for table, _ in session.execute(SIZES)}
            self._sequences = {name: state for name, *state in session.execute(SEQUENCES)}
            self._fingerprint = self._fingerprint_query(session)
            self._state = session.execute(self._fingerprint).fetchall()
        super()._record()

    def _remove_rows(self, session: Session, tables: Iterable[str]) -> None:
        statements = [f"DELETE FROM {table}" for table in tables]
        for name, *state in session.execute(SEQUENCES):
            if self._sequences[name] != state:
                value, used = self._sequences[name]
                statements.append(f"SELECT setval('{name}', {value}, {used})")
        session.execute("; ".join(statements))

    def _fingerprint_query(self, session: Session) -> str:
        """Return a fingerprint of the schema and the first rows."""
        ((since,),) = session.execute("SELECT pg_current_xact_id()::xid::text")
        catalogs = [name for (name,) in session.execute(CATALOGS)]
        parts = [CATALOG.format(since=since, name=name) for name in catalogs]
        parts += [ROWS.format(name=name) for name in sorted(self._first)]
        return " UNION ALL ".join(parts)


def _drop(name: str) -> Composed:
    return SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name))


def _reset(connection: BaseDatabaseWrapper) -> bool:
    session: Session = connection.connection
    try:
        session.rollback()
        session.autocommit = True
        session.execute("DISCARD ALL")
    except psycopg.Error:  # the test has ended or broken it
        return False
    return not connection.pool  # type: ignore[attr-defined]


sessions = Sessions(DatabaseWrapper, _reset)
