"""PostgreSQL's part of a run: pending events, representations, and the lease."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import (
    Error,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    transaction,
)
from django.db.models import DateTimeField, Expression, F, Func, TextField, Value

from ..base import StoreFacet
from ..base.store import About, Stored, Texts
from ..types import Reach, Writers
from .queries import (
    COPY,
    END_IF_IDLE,
    MISSING_RIGHTS,
    REACH,
    RECORDED_TEXT,
    RECORDED_TEXTS,
    RECOVERED,
    REPLACE,
    STORE,
    STORE_RELATED,
    WRITERS,
)

#: A connection that is refused until a setting is changed: such errors carry no code. In a
#: server's other languages they are taken for an outage, which is reported a little later.
MISCONFIGURED = re.compile(
    r"FATAL: .*(does not exist|authentication failed|no pg_hba\.conf entry|not permitted)"
    r"|no password supplied|invalid (connection|port|sslmode)"
)

# Prefixes of the codes of transient errors: lost connections, rollbacks by the server (deadlocks,
# serialization failures), shutdowns, canceled queries, a lack of locks or memory, a standby.
PASSING = (
    "08",
    "25006",
    "25P03",
    "25P04",
    "40",
    "53200",
    "53300",
    "55P03",
    "57014",
    "57P01",
    "57P02",
    "57P03",
    "57P05",
)
# A value that does not fit, one that is too big (for example, for an index), and one that violates
# a constraint of the project.
REFUSING = ("22", "54", "23514")
UNDEFINED_TABLE = "42P01"
#: A missing right; a row that a policy rejects has the same code.
REFUSED = frozenset({"42501"})


class Storing(StoreFacet):
    """Serves a run of the job."""

    one_writer = False

    def reach(self) -> Reach:
        ((visible, handed_out, filtered, snapshot),) = self.rows(REACH)
        return Reach(visible, min(visible, handed_out), not filtered, snapshot)

    def writers(self) -> Writers:
        return as_writers(*self.rows(WRITERS)[0])

    def store(self, rows: Sequence[Stored]) -> int:
        try:
            with transaction.atomic(self.using):
                return self._copy(rows)
        except (IntegrityError, NotSupportedError):
            # One of them is already stored, or row-level security rejects COPY.
            return self._insert(rows)

    def _copy(self, rows: Sequence[Stored]) -> int:
        with (
            self.connection.cursor() as cursor,
            self.connection.wrap_database_errors,
            cursor.copy(COPY) as copy,
        ):
            copy.set_types(("int8", "text", "text", "text"))
            for row in rows:
                copy.write_row(row)
        return len(rows)

    def _insert(self, rows: Sequence[Stored]) -> int:
        columns = [list(column) for column in zip(*rows, strict=True)]
        with transaction.atomic(self.using), self.connection.cursor() as cursor:
            cursor.execute(STORE, columns)
            return int(cursor.rowcount)

    def replace(self, rows: Sequence[Stored]) -> int:
        columns = [list(column) for column in zip(*rows, strict=True)]
        with transaction.atomic(self.using), self.connection.cursor() as cursor:
            cursor.execute(REPLACE, columns)
            return int(cursor.rowcount)

    def store_related(self, rows: Collection[About]) -> None:
        columns = [list(column) for column in zip(*rows, strict=True)]
        with self.connection.cursor() as cursor:
            cursor.execute(STORE_RELATED, columns)

    def recorded_texts(
        self, ids: Collection[int], columns: Sequence[str]
    ) -> list[tuple[int, Texts, Texts]]:
        wanted = {"ids": list(ids), "columns": list(columns)}
        rows = self.rows(RECORDED_TEXTS, wanted)  # JSON, as Django has the driver give it
        return [(pk, json.loads(new or "{}"), json.loads(old or "{}")) for pk, new, old in rows]

    def recorded_text(self, column: str, source: str) -> Expression:
        return Func(
            F(source), Value(column), template=RECORDED_TEXT, arg_joiner=" -> ",
            output_field=TextField(),
        )  # fmt: skip

    def refuses_value(self, error: Error) -> bool:
        return str(getattr(error.__cause__, "sqlstate", None)).startswith(REFUSING)

    def lacks_table(self, error: Error) -> bool:
        return getattr(error.__cause__, "sqlstate", None) == UNDEFINED_TABLE

    def refuses_access(self, error: Error) -> bool:
        return getattr(error.__cause__, "sqlstate", None) in REFUSED

    def missing_rights(
        self, read: Sequence[str], written: Sequence[str], added: Sequence[str] = ()
    ) -> tuple[str, str] | None:
        tables = {"read": list(read), "written": list(written), "added": list(added)}
        found = self.row(MISSING_RIGHTS, tables)
        role, rights = found or (None, None)
        return (f"Role {role}", rights) if rights else None

    def passes(self, error: Error) -> bool:
        code = getattr(error.__cause__, "sqlstate", None)
        if code is None:  # it went away without a word, or there is no connection yet
            away = isinstance(error, OperationalError | InterfaceError)
            return away and not MISCONFIGURED.search(str(error))
        return str(code).startswith(PASSING)

    def end_if_idle(self, seconds: float) -> None:
        self.value(END_IF_IDLE, [str(max(1, round(seconds * 1000)))])

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        with transaction.atomic(self.using):
            self.execute([f"SET LOCAL statement_timeout = {int(seconds * 1000)}"])
            yield
            # The limit ends here even inside the caller's transaction.
            transaction.set_rollback(True, self.using)

    def hurried(self, settings: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        options = {**settings["OPTIONS"], "connect_timeout": max(1, int(seconds))}
        options.pop("pool", None)
        return {**settings, "OPTIONS": options}

    def clock(self, seconds: float = 0) -> Func:
        template = f"(clock_timestamp() + interval '{float(seconds)} seconds')"
        return Func(template=template, output_field=DateTimeField())

    def identity(self) -> list[str]:
        settings = self.connection.settings_dict
        named = [settings[key] for key in ("ENGINE", "HOST", "PORT")] + [str(settings["NAME"])]
        service = settings["OPTIONS"].get("service")  # PostgreSQL's service file holds all of it
        return [*named, service] if service else named


def as_writers(server: str, names: Sequence[str]) -> Writers:
    """Return the writers, from a row of the query for them."""
    renamed = any(name.startswith(RECOVERED) for name in names)
    return Writers(frozenset(names), server, renamed)
