"""SQLite's part of capture: triggers and context."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.conf import settings
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from ...utils.sql import Statement
from ..base import CaptureFacet
from ..capture_types import (
    FINGERPRINTS,
    Capture,
    Column,
    Installed,
    Kind,
    Partition,
    Survey,
    Swallower,
    TableShape,
)
from ..types import Position
from . import naming, past_tables, reach, triggers
from .queries import APPLIED, COVERAGE, INSTALLED, LOG_FILE, POSITION, SHAPES, SURVEY, TRIGGERS
from .quoting import quoted
from .swallowing import swallowing

LOG = "auditrepr_auditlog"
SEALS = "auditrepr_sealentry"
OWN_GUARDS = {*triggers.APPEND_ONLY, *triggers.APPEND_ONLY_SEALS}
#: Stands below each table while events do not come into the log: its changes go unrecorded.
SWALLOWED = Partition(LOG, "", "", "", False, False, False, False, False)
#: The context that the running statement passes to the triggers.
_said: ContextVar[str | None] = ContextVar("auditrepr_said", default=None)


class Capturing(CaptureFacet):
    """Records changes, with their context."""

    triggers_block_schema_changes = True
    flushes_table_by_table = True

    def log_schema(self) -> str:
        return ""

    def shapes(self, names: Collection[str]) -> dict[str, TableShape]:
        return _shapes(self.rows(SHAPES, [json.dumps(sorted(names))]))

    def installed(self) -> dict[str, Installed]:
        return _all_installed(self.rows(TRIGGERS))

    def survey(self, names: Collection[str], *, migrations: bool, installed: bool = True) -> Survey:
        nothing = "'[]'"
        sql = SURVEY.format(
            installed=INSTALLED if installed else nothing,
            applied=APPLIED if migrations else nothing,
        )
        (row,) = self.rows(sql, [json.dumps(sorted(names))])
        shapes, found, applied = map(json.loads, row)
        guards = {sql for name, _, sql, _ in found if name in triggers.APPEND_ONLY}
        return Survey(
            "",
            _shapes(shapes),
            _all_installed(found),
            guards == set(triggers.create_append_only(LOG)),
            frozenset(map(tuple, applied)) if migrations else None,
            swallowing(LOG, found),
        )

    def catalog_version(self, names: Collection[str]) -> object:
        return self.value(reach.VERSION), self.rows(COVERAGE)

    def support_sql(self) -> list[str]:
        return []

    def fingerprints(self, *captures: Capture, schema: str | None = None) -> list[str]:
        return [_fingerprint(capture, _now()) for capture in captures]

    def install_sql(self, *captures: Capture) -> list[str]:
        made_from = zip(captures, self.fingerprints(*captures), strict=True)
        return [
            sql
            for capture, fingerprint in made_from
            for sql in (
                *triggers.drop(capture.name),
                *triggers.create(capture, LOG, _now(), fingerprint),
            )
        ]

    def seal_sql(self) -> list[str]:
        return triggers.create_seal()

    def remove_sql(self, *names: str) -> list[str]:
        return [sql for name in names for sql in triggers.drop(name)]

    def remove_support_sql(self) -> list[str]:
        return [*triggers.drop_append_only(), triggers.DROP_SEAL]

    def append_only_sql(self) -> list[str]:
        return [*triggers.drop_append_only(), *self._guards()]

    def append_only(self) -> bool:
        found = {name: sql for name, _, sql, _ in self.rows(TRIGGERS) if name in OWN_GUARDS}
        return set(found.values()) == set(self._guards())

    def swallowing(self) -> tuple[Swallower, ...]:
        return swallowing(LOG, self.rows(TRIGGERS))

    def may_prune(self) -> bool:
        return True  # a process that may write to the file may do anything

    @contextmanager
    def pruning(self) -> Iterator[None]:
        # Other writers wait until the transaction has ended, and then find the triggers.
        found = self._append_only()
        self.execute(f"DROP TRIGGER {quoted(name)}" for name in found)
        yield
        self.execute(found.values())

    def may_erase(self) -> bool:
        return True  # as above

    def erasing(self) -> AbstractContextManager[None]:
        return self.pruning()

    def _guards(self) -> list[str]:
        guards = triggers.create_append_only(LOG)
        if SEALS in self.shapes([SEALS]):  # not in a database that is not migrated yet
            guards += triggers.create_append_only(SEALS, triggers.APPEND_ONLY_SEALS)
        return guards

    def _append_only(self) -> dict[str, str]:
        found = self.rows(TRIGGERS)
        return {name: sql for name, _, sql, _ in found if name in triggers.APPEND_ONLY}

    def log_identity(self) -> tuple[str | None, bool]:
        found = self.row(LOG_FILE)
        # Another process cannot open a database in memory.
        return (None if found is None else str(found[0] or self.using)), False

    def position(self) -> Position:
        return Position(self.value(POSITION), None)

    def sequence_cache(self) -> int:
        return 1

    def prepare(self, connection: BaseDatabaseWrapper) -> None:
        connection.connection.create_function("auditrepr_context", 0, _said.get)
        naming.prepare(connection)
        past_tables.prepare(connection)
        # REPLACE fires the DELETE triggers of what it replaces.
        connection.connection.execute("PRAGMA recursive_triggers = ON")

    def tell(self, said: str, statement: Statement) -> Any:
        # Create it each time: a rollback drops it, and so does a change of the log's schema.
        connection = statement.context["connection"]
        try:
            with connection.wrap_database_errors:
                connection.connection.execute(triggers.ADD_CONTEXT)
        except OperationalError as error:
            if "no such table" not in str(error):  # the log may not be there yet
                raise
        token = _said.set(said)
        try:
            return statement.run()
        finally:
            _said.reset(token)


def _shapes(found: Sequence[Sequence[Any]]) -> dict[str, TableShape]:
    return {
        name: _shape(kind, [(row[2], row[3], row[4]) for row in rows])
        for (name, kind), rows in groupby(found, key=itemgetter(0, 1))
    }


def _all_installed(found: Sequence[Sequence[Any]]) -> dict[str, Installed]:
    # New triggers come after all existing ones, and VACUUM and dumps keep the order.
    seal = max((place for name, _, _, place in found if name == triggers.SEAL), default=0)
    ours = sorted(
        (table, on, sql, place < seal)
        for name, on, sql, place in found
        for action, table in [triggers.action_and_table(name)]
        if action
    )
    below = {LOG: SWALLOWED} if swallowing(LOG, found) else {}
    return {
        table: replace(
            _installed(table, [(on, triggers.read_note(sql), s) for _, on, sql, s in rows]),
            partitions=below,
        )
        for table, rows in groupby(ours, key=itemgetter(0))
    }


def _shape(kind: str, columns: Sequence[tuple[str | None, str, int]]) -> TableShape:
    key = sorted((place, name) for name, _, place in columns if name and place)
    return TableShape(
        Kind(kind),
        tuple(Column(name, type_) for name, type_, _ in columns if name is not None),
        tuple(name for _, name in key),
    )


def _installed(table: str, found: Sequence[tuple[str, dict[str, Any], bool]]) -> Installed:
    """Return one table's triggers; they are whole if all three exist on it, with our comment."""
    tables = {on.lower() for on, _, _ in found}
    made_from = {note.get("fingerprint", "") for _, note, _ in found}
    whole = len(found) == len(triggers.ACTIONS) and tables == {table.lower()} and all(made_from)
    excluded = frozenset(name for _, note, _ in found for name in note.get("excluded", ()))
    columns = frozenset[str].intersection(*(frozenset(n.get("columns", ())) for _, n, _ in found))
    identity = f"sqlite:{'sealed' if all(sealed for *_, sealed in found) else ''}"
    make = min(made_from) if len(made_from) == 1 else ""
    return Installed(table, make, True, excluded, columns, identity, whole)


def _now() -> str:
    """Return SQL for the time as Django stores it."""
    zone = "" if settings.USE_TZ else ", 'localtime'"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now'{zone})"


# Every page and every batch asks it for every table.
@lru_cache(maxsize=FINGERPRINTS)
def _fingerprint(capture: Capture, now: str) -> str:
    return hashlib.sha256("\n".join(triggers.create(capture, LOG, now)).encode()).hexdigest()
