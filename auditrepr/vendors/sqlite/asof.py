"""SQLite's part of reconstruction: rows as of an event."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from ...utils.model_meta import key_parts, own_fields, stored_parts
from ..base import AsOfFacet, PastTableSQL
from ..types import NOT_RECORDED, TOO_BIG, Image, Moment, Row, renamed
from .affinity import cast, converter, fitted
from .queries import (
    AROUND_SQL,
    BEYOND_SQL,
    CHANGED_AGAIN_SQL,
    CHANGES_SQL,
    LAST_BEFORE,
    LIMITS,
    MENTIONS_SQL,
    NEWEST_SEEN_SQL,
    OUT_OF_ORDER_SQL,
    REACHES_BEYOND,
    TABLE_SQL,
    WEIGHTS_SQL,
)

if TYPE_CHECKING:
    from ...utils.time_limit import TimeLimit
    from ..types import Found, Name


#: SQLite's instructions between two checks of the time: about a millisecond.
STEPS = 100_000
UNKNOWN = object()  # the value of a digest
#: Values that SQLite reads out of JSON as they were; a REAL may come back another in its last bit.
_SAME_IN_JSON = {int, str}
#: With which SQLite is compiled since 3.32, where nobody chose another number.
MOST_PARAMETERS = 32_000


class Reconstructing(AsOfFacet):
    """Rows as of an event, read from the log."""

    @contextmanager
    def reading(self, limit: TimeLimit) -> Iterator[None]:
        connection = self.connection
        if connection.in_atomic_block:
            # Nothing can be written inside, so no error in there has broken the transaction.
            broken = connection.needs_rollback
            try:
                with _refusing_writes(connection), _interrupting(connection, limit):
                    yield
            finally:
                connection.needs_rollback = broken
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

    def show_life(self) -> None:
        """Do nothing: SQLite has no server."""

    def discard(self) -> None:
        pass  # an interrupted statement leaves SQLite's connection as good as it was

    def fitting(self, ids: Sequence[int], most: int, known: dict[int, int]) -> int:
        total = 0
        with self.connection.cursor() as cursor:
            cursor.execute(WEIGHTS_SQL, [json.dumps(list(ids))])
            for n, size in cursor:  # one by one: no more of them is read than fits
                total += size
                if total > most and n:
                    return int(n)
        return len(ids)

    def weight_sql(self) -> str:
        return "length(%(expressions)s)"

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
        condition, parameters = self.is_among(ids)
        sql = f"SELECT id, row_data, changed_from FROM auditrepr_auditlog WHERE {condition}"
        return {pk: (row, changed) for pk, row, changed in self.rows(sql, parameters)}

    errors_end_transactions = False

    def plain_reader(self, field: Field[Any, Any]) -> Callable[[Any], Any]:
        convert = converter(field.rel_db_type(self.connection) or "")
        return lambda value: convert(_in_storage(value))

    def newest_seen(self, wanted: Sequence[tuple[Name, str, Moment]]) -> list[int | None]:
        adapt = self.connection.ops.adapt_datetimefield_value
        rows = [
            [name.name, key, moment.upto, *(at and str(adapt(at)) for at in name[1:])]
            for name, key, moment in wanted
        ]
        return self.column(NEWEST_SEEN_SQL, [json.dumps(rows)])

    knows_statements = False

    def statement_reaches_beyond(self) -> bool:
        return bool(self.value(REACHES_BEYOND))

    def overtaken(self, deletes: Collection[int]) -> set[int]:
        return set()  # there is one writer at a time

    def changed_again(self, events: Collection[int]) -> set[int]:
        return set(self.column(CHANGED_AGAIN_SQL, [json.dumps(sorted(events))]))

    def out_of_order(self, events: Collection[int]) -> set[int]:
        return set(self.column(OUT_OF_ORDER_SQL, [json.dumps(sorted(events))]))

    def around(
        self, table: Name, wanted: Sequence[tuple[Moment, str]]
    ) -> list[tuple[int | None, ...]]:
        # What is looked at from before an event: its own id is not part of what that saw.
        rows = [[key, moment.upto - moment.before, moment.upto] for moment, key in wanted]
        adapt = self.connection.ops.adapt_datetimefield_value
        limits = {"since": adapt(table.since), "until": adapt(table.until)}
        sql = AROUND_SQL.format(limits="".join(LIMITS[name] for name in limits if limits[name]))
        return self.rows(sql, {"table": table.name, "wanted": json.dumps(rows), **limits})

    def is_among(self, ids: Collection[int]) -> tuple[str, list[str]]:
        return "id IN (SELECT value FROM json_each(%s))", [json.dumps(sorted(ids))]

    def relation(self, model: type[Model], rows: Sequence[Found]) -> tuple[str, list[Any]] | None:
        quote = self.connection.ops.quote_name
        fields = own_fields(model)
        lines = list(self._lines(fields, rows))
        names = ", ".join(quote(field.column) for field in fields)
        if not lines:
            nothing = f"SELECT {', '.join(['NULL'] * (len(fields) + 1))} WHERE 0"
            return f"({names}, auditrepr_n) AS ({nothing})", []
        # VALUES have neither the columns' types nor their collations.
        *held_values, numbers = (list(column) for column in zip(*lines, strict=True))
        columns = [
            column
            for pair in zip(fields, held_values, strict=True)
            if (column := self._as_column(*pair))
        ]
        if len(columns) < len(fields):
            return None
        picked = ", ".join(one.format(f"column{i}") for i, (one, _) in enumerate(columns, start=1))
        one = f"({', '.join(['%s'] * (len(fields) + 1))})"
        rows_sql = f"VALUES {', '.join([one] * len(lines))}"
        body = f"SELECT {picked}, column{len(fields) + 1} FROM ({rows_sql})"
        values = zip(*(values for _, values in columns), numbers, strict=True)
        return f"({names}, auditrepr_n) AS ({body})", [one for line in values for one in line]

    def _lines(self, fields: Sequence[Any], rows: Sequence[Found]) -> Iterator[list[Any]]:
        """Yield the rows' values as they would be stored, and their numbers."""
        documents = self._documents({found.image.event_id for found in rows if found.image})
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
            yield [*(None if value is UNKNOWN else value for value in raw), n]

    def _as_column(self, field: Any, values: Sequence[Any]) -> tuple[str, list[Any]] | None:
        """Return how the values are selected, and what the field's own column makes of them."""
        declared = field.db_type(self.connection) or ""
        fit = fitted(declared)
        try:
            held = [fit(value) for value in values]
        except ValueError:
            return None
        picked = cast(declared, held)
        if picked is None:
            return None
        collation = field.db_parameters(self.connection).get("collation")
        quoted = self.connection.ops.quote_name(collation) if collation else ""
        return f"{picked} COLLATE {quoted}" if collation else picked, held

    def mentions(
        self, table: str, column: str, texts: Sequence[str], moments: Sequence[Moment], most: int
    ) -> tuple[Collection[tuple[str, str]], bool]:
        parameters: dict[str, Any] = {
            "table": table,
            "path": '$."' + column.replace('"', '\\"') + '"',
            "texts": json.dumps(texts),
            # A delete has not been seen before itself.
            "since": self._unseen_since(table, moments),
            "most": most,
        }
        found = set(self.rows(MENTIONS_SQL, parameters))
        return found, self.row(BEYOND_SQL, parameters) is None

    def _unseen_since(self, table: str, moments: Sequence[Moment]) -> int:
        """Return the ID before the first event that one of the moments has not seen.

        A delete's own statement may have begun with any event of the same millisecond.
        """
        since = min((moment.upto for moment in moments), default=0)
        deletes = [moment for moment in moments if moment.before]
        if not deletes:
            return since
        first = min(deletes, key=attrgetter("upto"))
        before: int = self.value(LAST_BEFORE, [table, first.upto, first.upto])
        return min(since, before)

    names_have_case = False
    rewriting_moves_rows = False

    def changes(self, table: str, moments: Sequence[Moment], most: int) -> list[Any]:
        since = self._unseen_since(table, moments)
        parameters: dict[str, Any] = {"table": table, "since": since, "most": most}
        with self.connection.cursor() as cursor:
            cursor.execute(CHANGES_SQL, parameters)
            return list(cursor.fetchall())

    def past_table(self, model: type[Model], images: Sequence[Image]) -> PastTableSQL:
        quote = self.connection.ops.quote_name
        fields = own_fields(model)
        pk = model._meta.pk
        names = [quote(field.column) for field in fields]
        key = _key_of_text(pk.db_type(self.connection) or "")
        documents = self._documents({image.event_id for image in images})

        def expression(
            gone: Sequence[str], images: Sequence[Image]
        ) -> tuple[str, list[Any]] | None:
            held = self._held(fields, [_document(*documents[i.event_id], i) for i in images])
            if key is None or held is None:
                return None
            sql = TABLE_SQL.format(
                name=quote(model._meta.db_table),
                names=", ".join(names),
                live=", ".join(f"live.{name}" for name in names),
                key=quote(str(pk.column)),
                gone=key,
                held=held[0],
            )
            return sql, [json.dumps(gone), *held[1]]

        return expression

    def _held(
        self, fields: Sequence[Any], documents: Sequence[Mapping[str, Any]]
    ) -> tuple[str, list[Any]] | None:
        """Return these rows as a part of a UNION; None if the columns cannot be expressed."""
        if not documents:
            return "", []
        columns = [
            column
            for field in fields
            if (column := self._as_column(field, [_value(d, field) for d in documents]))
        ]
        if len(columns) < len(fields):
            return None
        rows = list(zip(*(values for _, values in columns), strict=True))
        if all(type(value) in _SAME_IN_JSON or value is None for row in rows for value in row):
            # One parameter, however many the values are: SQLite takes 32 766 of them.
            source, values = "json_each(%s)", [json.dumps(rows)]
            places = [f"json_extract(value, '$[{n}]')" for n in range(len(fields))]
        elif len(rows) * len(fields) <= MOST_PARAMETERS:
            one = f"({', '.join(['%s'] * len(fields))})"
            source, values = f"(VALUES {', '.join([one] * len(rows))})", list(chain(*rows))
            places = [f"column{n}" for n in range(1, len(fields) + 1)]
        else:
            return None
        chosen = ", ".join(one.format(p) for (one, _), p in zip(columns, places, strict=True))
        return f" UNION ALL SELECT {chosen} FROM {source}", values

    def key_texts(self, field: Field[Any, Any], values: Sequence[Any]) -> list[str]:
        stored = [stored_parts(field, value, self.connection) for value in values]
        count = len(key_parts(field))
        if count == 1:
            return [_key_text(value) for (value,) in stored]
        # As in the triggers: the database writes numbers in its own way.
        parts = ", ".join(f"json_extract(value, '$[{n}]')" for n in range(count))
        keys = [[p.hex().upper() if isinstance(p, bytes) else p for p in key] for key in stored]
        sql = f"SELECT json_array({parts}) FROM json_each(%s) ORDER BY key"
        return self.column(sql, [json.dumps(keys)])


@contextmanager
def _refusing_writes(connection: BaseDatabaseWrapper) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
    raw = connection.connection
    try:
        yield
    finally:
        if not connection.closed_in_transaction:  # a __str__ may have closed it
            raw.execute("PRAGMA query_only = OFF")


@contextmanager
def _interrupting(connection: BaseDatabaseWrapper, limit: TimeLimit) -> Iterator[None]:
    """Interrupt SQLite when the time is over.

    It works in this process, where no signal reaches Python until SQLite returns.
    """
    raw = connection.connection
    raw.set_progress_handler(lambda: limit.expired, STEPS)
    try:
        yield
    finally:
        if not connection.closed_in_transaction:
            raw.set_progress_handler(None, 0)


def _document(row_data: str, changed_from: str | None, image: Image) -> dict[str, Any]:
    """Return the raw values of a row as SQLite stored them, by column."""
    document: dict[str, Any] = json.loads(row_data)
    if image.before and changed_from:
        document |= json.loads(changed_from)
    if image.steps:
        document = renamed(image.steps, document)
    for column, value in document.items():
        if type(value) is dict:
            document[column] = _stored(value)
    return document


def _in_storage(value: Any) -> Any:
    """Return a value of the log's JSON, with exact numbers, as it was stored."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict) and (value := _stored(value)) is UNKNOWN:
        raise ValueError
    return value


def _why(column: str, document: dict[str, Any]) -> str:
    """Return why the column's value is not known."""
    return TOO_BIG if column in document else NOT_RECORDED


def _stored(value: dict[str, str]) -> Any:
    """Return a value that JSON cannot hold, or that was too large for the log."""
    return bytes.fromhex(value["$blob"]) if "$blob" in value else UNKNOWN


def _value(document: Mapping[str, Any], field: Any) -> Any:
    value = document.get(field.column)
    return None if value is UNKNOWN else value


def _key_of_text(declared: str) -> str | None:
    """Return the key whose text is `value`, by its column's type; None if the text is ambiguous."""
    declared = declared.upper()
    if "INT" in declared:
        return "CAST(value AS INTEGER)"
    return "value" if any(word in declared for word in ("CHAR", "CLOB", "TEXT")) else None


def _key_text(value: Any) -> str:
    return value.hex().upper() if isinstance(value, bytes) else str(value)
