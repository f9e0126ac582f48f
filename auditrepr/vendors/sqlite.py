"""SQLite."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import Error, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Field, Func, Model

from ..drift import NOT_RECORDED, TOO_BIG
from ..events import Event
from ..meta import key_parts, own_fields, stored_parts
from ..models import AuditLog
from ..renames import renamed
from ..rows import Row
from . import sqlite_search as search
from . import sqlite_triggers as triggers
from .base import (
    Capture,
    Column,
    Image,
    Installed,
    Kind,
    Position,
    Reach,
    SearchIndex,
    TableShape,
    Vendor,
    Window,
    Writers,
)
from .sqlite_types import converter

if TYPE_CHECKING:
    from ..history import Found
    from ..renames import Name
    from ..timelimit import TimeLimit

#: SQLite's instructions between two looks at the clock: about a millisecond.
STEPS = 100_000

UNKNOWN = object()  # what a digest stands for

POSITION = """
    SELECT max(
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'auditrepr_auditlog'), 0),
        coalesce((SELECT max(id) FROM auditrepr_auditlog), 0)
    )
"""

# One look-up in an index for each place around the moment; see states.Around for their order.
_NEAREST = """
    (SELECT {extreme}(id) FROM auditrepr_auditlog
     WHERE table_name = %(table)s{{limits}} AND {key} = json_extract(wanted.value, '$[0]')
     {bound})"""
LIMITS = {"since": " AND occurred_at >= %(since)s", "until": " AND occurred_at < %(until)s"}
_BOUNDS = [
    ("max", "AND id <= json_extract(wanted.value, '$[1]')"),
    ("min", "AND id > json_extract(wanted.value, '$[2]')"),
    ("min", ""),
]
AROUND_SQL = "SELECT {} FROM json_each(%(wanted)s) AS wanted ORDER BY wanted.key".format(
    ",".join(
        _NEAREST.format(extreme=extreme, key=key, bound=bound)
        for extreme, bound in _BOUNDS
        for key in ("object_id", "previous_object_id")
    )
)

# Triggers of others, and what foreign keys do by themselves when a row goes or gets another key.
REACHES_BEYOND = """
    SELECT EXISTS (
        SELECT 1 FROM sqlite_master
        WHERE type = 'trigger' AND name NOT LIKE 'auditrepr@_%%' ESCAPE '@'
            AND tbl_name NOT IN ('auditrepr_auditlog', 'auditrepr_instancerepr')
    ) OR EXISTS (
        SELECT 1 FROM sqlite_master AS here, pragma_foreign_key_list(here.name) AS reference
        WHERE here.type = 'table' AND (
            reference.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
            OR reference.on_update IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
        )
    )
"""

STORE = """
    INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason)
    VALUES (%s, %s, %s, %s) ON CONFLICT (audit_log_id) DO NOTHING
"""
REPLACE = """
    UPDATE auditrepr_instancerepr SET instance_repr = %s, fidelity = %s, reason = %s
    WHERE audit_log_id = %s
"""
#: Another connection is writing.
PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

# Names of tables differ in more than case. Reading the columns of a view can fail, and of a virtual
# table needs its module.
SHAPES = """
    WITH found (name, kind) AS (
        SELECT name, CASE
            WHEN type = 'view' THEN 'view'
            WHEN sql LIKE 'CREATE VIRTUAL%%' THEN 'virtual table'
            ELSE 'table'
        END
        FROM sqlite_master WHERE type IN ('table', 'view')
    )
    SELECT wanted.value, kind, part.name, part.type, part.pk
    FROM json_each(%s) AS wanted
    JOIN found ON found.name = wanted.value COLLATE NOCASE
    LEFT JOIN pragma_table_xinfo(iif(kind = 'table', found.name, NULL)) AS part ON part.hidden <> 1
    ORDER BY wanted.key, part.cid
"""

TRIGGERS = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"

LOG = AuditLog._meta.db_table

TIME_FORMAT = "%Y-%m-%d %H:%M:%f".replace("%", "%%%%")  # it is formatted twice on its way

_LATER = "FROM auditrepr_auditlog WHERE table_name = %(table)s AND id > %(since)s ORDER BY id"
MENTIONS_SQL = f"""
WITH later AS MATERIALIZED (
    SELECT object_id, previous_object_id, CAST(json_extract(row_data, %(path)s) AS TEXT) AS new,
           CAST(json_extract(changed_from, %(path)s) AS TEXT) AS old {_LATER} LIMIT %(most)s
), mentions AS (
    SELECT new AS text, object_id AS key FROM later
    UNION SELECT old, object_id FROM later
    UNION SELECT coalesce(old, new), previous_object_id FROM later
)
SELECT text, key FROM mentions
WHERE key IS NOT NULL AND text IN (SELECT value FROM json_each(%(texts)s))
"""
BEYOND_SQL = f"SELECT 1 {_LATER} LIMIT 1 OFFSET %(most)s"


#: What the statement that runs now tells the triggers.
_said: ContextVar[str | None] = ContextVar("auditrepr_said", default=None)


class SQLite(Vendor):
    """SQLite."""

    triggers_block_schema_changes = True
    flushes_table_by_table = True

    # --- capture -------------------------------------------------------------------------------

    def shapes(self, names: Collection[str]) -> dict[str, TableShape]:
        with self.connection.cursor() as cursor:
            cursor.execute(SHAPES, [json.dumps(sorted(names))])
            found = cursor.fetchall()
        return {
            name: _shape(kind, [row[2:] for row in rows])
            for (name, kind), rows in groupby(found, key=itemgetter(0, 1))
        }

    def installed(self) -> dict[str, Installed]:
        with self.connection.cursor() as cursor:
            cursor.execute(TRIGGERS)
            found = [(*triggers.action_and_table(name), on, sql) for name, on, sql in cursor]
        ours = sorted((table, action, on, sql) for action, table, on, sql in found if action)
        return {
            table: _installed(table, [(on, triggers.read_note(sql)) for _, _, on, sql in rows])
            for table, rows in groupby(ours, key=itemgetter(0))
        }

    def support_sql(self) -> list[str]:
        return []

    def fingerprint(self, capture: Capture) -> str:
        return _hash(triggers.create(capture, LOG, _now()))

    def install_sql(self, capture: Capture) -> list[str]:
        made_from = self.fingerprint(capture)
        create = triggers.create(capture, LOG, _now(), made_from)
        return [*triggers.drop(capture.name), *create]

    def remove_sql(self, name: str) -> list[str]:
        return triggers.drop(name)

    def remove_support_sql(self) -> list[str]:
        return triggers.drop_append_only()

    def append_only_sql(self) -> list[str]:
        return [*triggers.drop_append_only(), *triggers.create_append_only(LOG)]

    def append_only(self) -> bool:
        return set(self._append_only().values()) == set(triggers.create_append_only(LOG))

    def may_prune(self) -> bool:
        return True  # who may write to the file may do anything

    @contextmanager
    def pruning(self) -> Iterator[None]:
        # Whoever else writes waits until the transaction has ended, and then finds them there.
        found = self._append_only()
        with self.connection.cursor() as cursor:
            for name in found:
                cursor.execute(f"DROP TRIGGER {triggers.quote(name)}")
            yield
            for sql in found.values():
                cursor.execute(sql)

    def _append_only(self) -> dict[str, str]:
        with self.connection.cursor() as cursor:
            cursor.execute(TRIGGERS)
            return {name: sql for name, _, sql in cursor if name in triggers.APPEND_ONLY}

    def position(self) -> Position:
        with self.connection.cursor() as cursor:
            cursor.execute(POSITION)
            return Position(cursor.fetchone()[0], None)

    def sequence_cache(self) -> int:
        return 1

    # --- context -------------------------------------------------------------------------------

    def listen(self, connection: BaseDatabaseWrapper) -> None:
        connection.connection.create_function("auditrepr_context", 0, _said.get)

    def tell(
        self,
        said: str,
        execute: Callable[..., Any],
        sql: Any,
        parameters: Any,
        many: bool,
        about: dict[str, Any],
    ) -> Any:
        # Anew each time: a rollback takes it away, and so does a change of the log's schema.
        try:
            about["connection"].connection.execute(triggers.TELL)
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):  # the log may not be there yet
                raise
        token = _said.set(said)
        try:
            return execute(sql, parameters, many, about)
        finally:
            _said.reset(token)

    # --- rebuild -------------------------------------------------------------------------------

    @contextmanager
    def reading(self, limit: TimeLimit) -> Iterator[None]:
        connection = self.connection
        if connection.in_atomic_block:
            with _refusing_writes(connection), _interrupting(connection, limit):
                yield
            return
        # Django's atomic() may begin IMMEDIATE, as the project's setting says: a reader that
        # keeps every writer waiting. A deferred one takes no lock that a writer needs.
        connection.ensure_connection()
        mode = getattr(connection, "transaction_mode")  # noqa: B009 - not in Django's stubs
        setattr(connection, "transaction_mode", "DEFERRED")  # noqa: B010
        try:
            with (
                transaction.atomic(self.using),
                _refusing_writes(connection),
                _interrupting(connection, limit),
            ):
                yield
        finally:
            setattr(connection, "transaction_mode", mode)  # noqa: B010

    def discard(self) -> None:
        pass  # an interrupted statement leaves SQLite's connection as good as it was

    def image_rows(
        self, model: type[Model], images: Sequence[Image]
    ) -> list[tuple[Image, Mapping[str, str], Sequence[Any]]]:
        fields = own_fields(model)
        columns = [(f.column, converter(f.db_type(self.connection) or "")) for f in fields]
        documents = self._documents({image.event_id for image in images})
        found: list[tuple[Image, Mapping[str, str], Sequence[Any]]] = []
        for image in images:
            if image.event_id not in documents:
                continue
            document = _document(*documents[image.event_id], image)
            missing = {
                column: _why(column, document)
                for column, _ in columns
                if document.get(column, UNKNOWN) is UNKNOWN
            }
            values = [
                None if column in missing else convert(document[column])
                for column, convert in columns
            ]
            found.append((image, missing, values))
        return found

    def _documents(self, ids: Collection[int]) -> dict[int, tuple[str, str | None]]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, row_data, changed_from FROM auditrepr_auditlog"
                " WHERE id IN (SELECT value FROM json_each(%s))",
                [json.dumps(sorted(ids))],
            )
            return {pk: (row, changed) for pk, row, changed in cursor}

    knows_statements = False

    def statement_reaches_beyond(self) -> bool:
        with self.connection.cursor() as cursor:
            cursor.execute(REACHES_BEYOND)
            return bool(cursor.fetchone()[0])

    def overtaken(self, deletes: Sequence[Event]) -> set[int]:
        return set()  # there is one writer at a time

    def restored(self, ids: Collection[int]) -> set[int]:
        return set()  # there are no transaction ids that could contradict each other

    def newest_transaction(self) -> int | None:
        return None

    def around(
        self, table: Name, wanted: Sequence[tuple[Event, str]]
    ) -> list[tuple[int | None, ...]]:
        # A delete is looked at from before it: its own id is not part of what it saw.
        rows = [[key, event.id - (event.action == "D"), event.id] for event, key in wanted]
        adapt = self.connection.ops.adapt_datetimefield_value
        limits = {"since": adapt(table.since), "until": adapt(table.until)}
        sql = AROUND_SQL.format(limits="".join(LIMITS[name] for name in limits if limits[name]))
        with self.connection.cursor() as cursor:
            cursor.execute(sql, {"table": table.name, "wanted": json.dumps(rows), **limits})
            found: list[tuple[int | None, ...]] = cursor.fetchall()
            return found

    def relation(self, model: type[Model], rows: Sequence[Found]) -> tuple[str, list[Any]]:
        quote = self.connection.ops.quote_name
        fields = own_fields(model)
        documents = self._documents({found.image.event_id for found in rows if found.image})
        values: list[Any] = []
        lines = []
        for n, found in enumerate(rows):
            if found.image:
                held = documents[found.image.event_id]
                stored = _document(*held, found.image)
                raw = [stored.get(field.column) for field in fields]
            elif isinstance(found.row, Row):
                row = found.row.values
                raw = [f.get_db_prep_save(row.get(f.attname), self.connection) for f in fields]
            else:
                continue
            values += [*(None if value is UNKNOWN else value for value in raw), n]
            lines.append(f"({', '.join(['%s'] * (len(fields) + 1))})")
        names = ", ".join(quote(field.column) for field in fields)
        nothing = f"SELECT {', '.join(['NULL'] * (len(fields) + 1))} WHERE 0"
        body = f"VALUES {', '.join(lines)}" if lines else nothing
        return f"({names}, auditrepr_n) AS ({body})", values

    def mentions(
        self, table: str, column: str, texts: Sequence[str], moments: Sequence[Event], most: int
    ) -> tuple[Collection[tuple[str, str]], bool]:
        parameters: dict[str, Any] = {
            "table": table,
            "path": '$."' + column.replace('"', '\\"') + '"',
            "texts": json.dumps(texts),
            # A delete has not been seen before itself.
            "since": self._unseen_since(table, moments),
            "most": most,
        }
        with self.connection.cursor() as cursor:
            cursor.execute(MENTIONS_SQL, parameters)
            found = set(cursor)
            cursor.execute(BEYOND_SQL, parameters)
            return found, cursor.fetchone() is None

    def _unseen_since(self, table: str, moments: Sequence[Event]) -> int:
        """The id before the first event that one of the moments has not seen.

        A delete's own statement may have begun with any event of the same millisecond.
        """
        since = min((event.id for event in moments), default=0)
        deletes = [event for event in moments if event.action == AuditLog.Action.DELETE]
        if not deletes:
            return since
        first = min(deletes, key=attrgetter("id"))
        earlier = AuditLog.objects.using(self.using).filter(
            table_name=table, pk__lt=first.id, occurred_at__lt=first.occurred_at
        )
        return min(since, earlier.order_by("-pk").values_list("pk", flat=True).first() or 0)

    def key_texts(self, field: Field[Any, Any], values: Sequence[Any]) -> list[str]:
        stored = [stored_parts(field, value, self.connection) for value in values]
        count = len(key_parts(field))
        if count == 1:
            return [_key_text(value) for (value,) in stored]
        # As in the triggers: the database writes numbers in its own way.
        parts = ", ".join(f"json_extract(value, '$[{n}]')" for n in range(count))
        keys = [[p.hex().upper() if isinstance(p, bytes) else p for p in key] for key in stored]
        with self.connection.cursor() as cursor:
            sql = f"SELECT json_array({parts}) FROM json_each(%s) ORDER BY key"
            cursor.execute(sql, [json.dumps(keys)])
            return [text for (text,) in cursor]

    # --- pending -------------------------------------------------------------------------------

    def reach(self) -> Reach:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(id), 0) FROM auditrepr_auditlog")
            (visible,) = cursor.fetchone()
            # AUTOINCREMENT never goes back, and remembers ids that somebody made up.
            return Reach(visible, visible)

    def writers(self) -> Writers:
        # There is one at a time: who holds an id now holds a higher one than all that is visible.
        return Writers()

    # --- store and lease -----------------------------------------------------------------------

    def store(self, rows: Sequence[tuple[int, str, str, str]]) -> int:
        with self.connection.cursor() as cursor:
            cursor.executemany(STORE, rows)
            return int(cursor.rowcount)

    def replace(self, rows: Sequence[tuple[int, str, str, str]]) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(REPLACE, [(*values, pk) for pk, *values in rows])

    def passes(self, error: Error) -> bool:
        code = getattr(error.__cause__, "sqlite_errorcode", 0)
        return code & 0xFF in PASSING  # the other bits say more about it

    def end_if_idle(self, seconds: float) -> None:
        """SQLite cannot: it has no server."""

    def clock(self, seconds: float = 0) -> Func:
        # UTC whatever USE_TZ says, as Django's Now(): no summer time between two looks at it.
        template = f"strftime('{TIME_FORMAT}', 'now', '{float(seconds):+} seconds')"
        return Func(template=template, output_field=DateTimeField())

    # --- search --------------------------------------------------------------------------------

    def search_index(self) -> SearchIndex | None:
        return search.installed(self.connection)

    def best_search_index(self) -> SearchIndex:
        return search.best(self.connection)

    def search_sql(self, index: SearchIndex) -> list[str]:
        return search.CREATE[index]

    def remove_search_sql(self) -> list[str]:
        return search.DROP

    def search(
        self, index: SearchIndex, text: str, window: Window, forward: bool, most: int
    ) -> list[int] | None:
        return search.search(self.connection, index, text, window, forward, most)


def fire_triggers_on_replace(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """A receiver of ``connection_created``: REPLACE fires DELETE triggers for what it replaces."""
    if connection.vendor == "sqlite" and router.allow_migrate_model(connection.alias, AuditLog):
        connection.connection.execute("PRAGMA recursive_triggers = ON")


def _shape(kind: str, columns: Sequence[tuple[str | None, str, int]]) -> TableShape:
    key = sorted((place, name) for name, _, place in columns if name and place)
    return TableShape(
        Kind(kind),
        tuple(Column(name, type_) for name, type_, _ in columns if name is not None),
        tuple(name for _, name in key),
    )


def _installed(table: str, found: Sequence[tuple[str, dict[str, Any]]]) -> Installed:
    """One table's triggers: they work if all three are there, on their table, of the same make."""
    tables = {on.lower() for on, _ in found}
    made_from = {note.get("fingerprint", "") for _, note in found}
    whole = len(found) == len(triggers.ACTIONS) and tables == {table.lower()}
    excluded = frozenset(name for _, note in found for name in note.get("excluded", ()))
    columns = frozenset[str].intersection(*(frozenset(n.get("columns", ())) for _, n in found))
    return Installed(table, min(made_from), whole and len(made_from) == 1, excluded, columns)


def _now() -> str:
    """The time as Django stores it."""
    zone = "" if settings.USE_TZ else ", 'localtime'"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now'{zone})"


def _hash(statements: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()


@contextmanager
def _refusing_writes(connection: BaseDatabaseWrapper) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
    raw = connection.connection
    try:
        yield
    finally:
        if not connection.closed_in_transaction:  # somebody's __str__ may have closed it
            raw.execute("PRAGMA query_only = OFF")


@contextmanager
def _interrupting(connection: BaseDatabaseWrapper, limit: TimeLimit) -> Iterator[None]:
    """SQLite works in the process, where no signal reaches Python until it returns."""
    raw = connection.connection
    raw.set_progress_handler(lambda: limit.expired, STEPS)
    try:
        yield
    finally:
        if not connection.closed_in_transaction:
            raw.set_progress_handler(None, 0)


def _document(row_data: str, changed_from: str | None, image: Image) -> dict[str, Any]:
    """The raw values of a row as SQLite stored them, by column."""
    document: dict[str, Any] = json.loads(row_data)
    if image.before and changed_from:
        document |= json.loads(changed_from)
    if image.steps:
        document = renamed(image.steps, document)
    for column, value in document.items():
        if type(value) is dict:
            document[column] = _stored(value)
    return document


def _why(column: str, document: dict[str, Any]) -> str:
    """Why its value is not known."""
    return TOO_BIG if column in document else NOT_RECORDED


def _stored(value: dict[str, str]) -> Any:
    """A value that JSON cannot hold, or that was too big for the log."""
    return bytes.fromhex(value["$blob"]) if "$blob" in value else UNKNOWN


def _key_text(value: Any) -> str:
    return value.hex().upper() if isinstance(value, bytes) else str(value)
