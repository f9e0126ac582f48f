"""SQLite's part of reconstruction: rows as of an event."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from ...utils.model_meta import key_parts, own_fields, stored_parts
from ..base import AsOfFacet, PastTableSQL
from ..types import BEGINNING, LAST_IMPORTED, Image, Moment, RawRow, Row
from . import reach
from .affinity import cast, converter, fitted, is_unlike
from .documents import ABSENT, Digest, document, in_storage, key_of_text, key_text, value_of
from .past_tables import past_table
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
    TOGETHER_SQL,
    WEIGHTS_SQL,
)
from .reading import interrupting, refusing_writes

if TYPE_CHECKING:
    from ...utils.time_limit import TimeLimit
    from ..types import Found, Name


#: By connection: the open one, its schema's version, and whether statements reach beyond.
_reaching: WeakKeyDictionary[BaseDatabaseWrapper, tuple[Any, int, bool]] = WeakKeyDictionary()


class Reconstructing(AsOfFacet):
    """Rows as of an event, read from the log."""

    @contextmanager
    def reading(self, limit: TimeLimit) -> Iterator[None]:
        connection = self.connection
        if connection.in_atomic_block:
            # Nothing can be written inside, so an error inside has not broken the transaction.
            broken = connection.needs_rollback
            try:
                with refusing_writes(connection), interrupting(connection, limit):
                    yield
            finally:
                connection.needs_rollback = broken
            return
        # Django's atomic() may begin IMMEDIATE, by the project's settings: a reader that
        # blocks every writer. A deferred transaction takes no lock that a writer needs.
        connection.ensure_connection()
        mode = getattr(connection, "transaction_mode")  # noqa: B009 - not in Django's stubs
        setattr(connection, "transaction_mode", "DEFERRED")  # noqa: B010
        try:
            with (
                transaction.atomic(self.using),
                refusing_writes(connection),
                interrupting(connection, limit),
            ):
                yield
        finally:
            setattr(connection, "transaction_mode", mode)  # noqa: B010

    def show_life(self) -> None:
        """Do nothing: SQLite has no server."""

    def discard(self) -> None:
        pass  # an interrupted statement leaves SQLite's connection usable

    def fitting(self, ids: Sequence[int], most: int, known: dict[int, int]) -> int:
        total = 0
        with self.connection.cursor() as cursor:
            cursor.execute(WEIGHTS_SQL, [json.dumps(list(ids))])
            for n, size in cursor:  # one by one, to read no more than what fits
                total += size
                if total > most and n:
                    return int(n)
        return len(ids)

    def weight_sql(self) -> str:
        return "length(%(expressions)s)"

    def image_rows(self, model: type[Model], images: Sequence[Image]) -> list[RawRow]:
        types = [(f.column, f.db_type(self.connection) or "") for f in own_fields(model)]
        columns = [(column, converter(declared)) for column, declared in types]
        documents = self._documents({image.event_id for image in images})
        imported = self._imported(documents)
        found: list[RawRow] = []
        for image in images:
            if image.event_id not in documents:
                continue
            row = document(*documents[image.event_id], image)
            missing = {
                column: value.why
                for column, _ in columns
                if isinstance(value := row.get(column, ABSENT), Digest)
            }
            values = [
                None if column in missing else convert(row[column]) for column, convert in columns
            ]
            unlike = [
                one
                for one, kind in types
                if image.event_id in imported and is_unlike(kind, row.get(one))
            ]
            found.append(RawRow(image, missing, values, unlike))
        return found

    def _documents(self, ids: Collection[int]) -> dict[int, tuple[str, str | None]]:
        condition, parameters = self.is_among(ids)
        sql = f"SELECT id, row_data, changed_from FROM auditrepr_auditlog WHERE {condition}"
        return {pk: (row, changed) for pk, row, changed in self.rows(sql, parameters)}

    def _imported(self, ids: Collection[int]) -> set[int]:
        """Return which of these events were imported; own ones, nearly all, are not read again."""
        condition, parameters = self.is_among([pk for pk in ids if pk <= LAST_IMPORTED])
        named = "json_extract(context, '$.imported_from') IS NOT NULL"
        sql = f"SELECT id FROM auditrepr_auditlog WHERE {condition} AND {named}"
        return set(self.column(sql, parameters)) if parameters[0] != "[]" else set()

    errors_end_transactions = False

    def plain_reader(self, field: Field[Any, Any]) -> Callable[[Any], Any]:
        convert = converter(field.rel_db_type(self.connection) or "")
        return lambda value: convert(in_storage(value))

    def newest_seen(self, wanted: Sequence[tuple[Name, str, Moment]]) -> list[int | None]:
        adapt = self.connection.ops.adapt_datetimefield_value
        rows = [
            [name.name, key, moment.upto, *(at and str(adapt(at)) for at in name[1:])]
            for name, key, moment in wanted
        ]
        return self.column(NEWEST_SEEN_SQL, [json.dumps(rows)])

    def statement_reaches_beyond(self) -> bool:
        raw, version = self.connection.connection, self.value(reach.VERSION)
        known = _reaching.get(self.connection)
        if known is None or known[0] is not raw or known[1] != version:
            schema = self.rows(reach.SCHEMA)
            known = raw, version, reach.reaches_audited(self.connection, schema)
            _reaching[self.connection] = known
        return known[2]

    def overtaken(self, deletes: Collection[int]) -> set[int]:
        return set()  # there is one writer at a time

    def together(self, events: Collection[int]) -> set[int]:
        return set(self.column(TOGETHER_SQL, [json.dumps(sorted(events))]))

    def changed_again(self, events: Collection[int]) -> set[int]:
        return set(self.column(CHANGED_AGAIN_SQL, [json.dumps(sorted(events))]))

    def out_of_order(self, events: Collection[int]) -> set[int]:
        return set(self.column(OUT_OF_ORDER_SQL, [json.dumps(sorted(events))]))

    def around(
        self, table: Name, wanted: Sequence[tuple[Moment, str]]
    ) -> list[tuple[int | None, ...]]:
        # A moment before an event has not seen that event.
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
                stored = document(*held, found.image)
                raw = [stored.get(field.column) for field in fields]
            elif isinstance(found.row, Row):
                row = found.row.values
                raw = [f.get_db_prep_save(row.get(f.attname), self.connection) for f in fields]
            else:
                continue
            yield [*(None if isinstance(value, Digest) else value for value in raw), n]

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
            # A moment before a deletion has not seen it.
            "since": self._unseen_since(table, moments),
            "most": most,
        }
        found = set(self.rows(MENTIONS_SQL, parameters))
        return found, self.row(BEYOND_SQL, parameters) is None

    def _unseen_since(self, table: str, moments: Sequence[Moment]) -> int:
        """Return the ID before the first event that one of the moments has not seen.

        A delete's own statement may have begun with any event of the same millisecond.
        """
        since = min((moment.upto for moment in moments), default=BEGINNING)
        deletes = [moment for moment in moments if moment.before]
        if not deletes:
            return since
        first = min(deletes, key=attrgetter("upto"))
        before: int | None = self.value(LAST_BEFORE, [table, first.upto, first.upto])
        return BEGINNING if before is None else min(since, before)

    names_have_case = False

    def keeps_order_of_keys(self, model: type[Model]) -> bool:
        # Such a key is another name of the number by which SQLite keeps the rows of a table.
        return model._meta.pk.db_type(self.connection) == "integer"

    def changes(self, table: str, moments: Sequence[Moment], most: int) -> list[Any]:
        since = self._unseen_since(table, moments)
        parameters: dict[str, Any] = {"table": table, "since": since, "most": most}
        with self.connection.cursor() as cursor:
            cursor.execute(CHANGES_SQL, parameters)
            return list(cursor.fetchall())

    def past_table(self, model: type[Model], images: Sequence[Image]) -> PastTableSQL:
        fields = own_fields(model)
        key = key_of_text(model._meta.pk.db_type(self.connection) or "")
        documents = self._documents({image.event_id for image in images})
        rows = [document(*documents[image.event_id], image) for image in images]
        columns = [
            self._as_column(field, [value_of(row, field) for row in rows]) for field in fields
        ]
        known = [column for column in columns if column]
        if key is None or len(known) < len(fields):
            return lambda gone, rows: None
        return past_table(self.connection, model, key, images, known)

    def key_texts(self, field: Field[Any, Any], values: Sequence[Any]) -> list[str]:
        stored = [stored_parts(field, value, self.connection) for value in values]
        count = len(key_parts(field))
        if count == 1:
            return [key_text(value) for (value,) in stored]
        # As in the triggers: the database writes numbers in its own way.
        parts = ", ".join(f"json_extract(value, '$[{n}]')" for n in range(count))
        keys = [[p.hex().upper() if isinstance(p, bytes) else p for p in key] for key in stored]
        sql = f"SELECT json_array({parts}) FROM json_each(%s) ORDER BY key"
        return self.column(sql, [json.dumps(keys)])
