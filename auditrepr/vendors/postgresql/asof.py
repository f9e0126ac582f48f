"""PostgreSQL's part of reconstruction: rows as of an event."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.db.models import Field, Model
from django.db.models.sql import Query
from psycopg.pq import TransactionStatus

from ...utils.model_meta import key_parts, own_fields, reads, stored_parts
from ..base import AsOfFacet, PastTableSQL
from ..snapshots import parse
from ..types import ALL_KNOWN, NOT_RECORDED, TOO_BIG, Image, Moment, Row
from .losses import Loses, loss
from .plain_values import reader
from .queries import (
    AROUND_SQL,
    BEYOND_SQL,
    CHANGED_AGAIN_SQL,
    CHANGES_SQL,
    HELD_SQL,
    IMAGE_SQL,
    IMAGES_SQL,
    LARGE_SQL,
    LIMITS,
    MENTIONS_SQL,
    NEWEST,
    NEWEST_SEEN_SQL,
    OUT_OF_ORDER_SQL,
    OVERTAKEN_SQL,
    PLACE,
    REACHES_BEYOND,
    RELATION_SQL,
    RESTORED_SQL,
    STAYS,
    TABLE_SQL,
    UNPACKED_SQL,
    WEIGHT,
)
from .quoting import array, joined
from .row_sql import VIRTUAL, Shape

if TYPE_CHECKING:
    from ...utils.time_limit import TimeLimit
    from ..types import Found, Name, Step


ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;"
NO_WRITES = "SET LOCAL transaction_read_only = on;"
# These queries consist of many short look-ups: compiling one takes longer than running it, and
# memoizing results that no other row needs takes longer than the look-up.
PLANNING = "SET LOCAL jit = off; SET LOCAL enable_memoize = off;"
# A row that a policy hides is an error, never a missing row.
ALL_ROWS = "SET LOCAL row_security = off;"
# The server gets no query while Django works. Its own limit may be shorter than the time limit of a
# row; without any limit, a stopped process would block vacuum forever.
PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = {milliseconds};"
# Likewise the limit of the whole transaction, which PostgreSQL has since version 17.
UNHURRIED = "SET LOCAL transaction_timeout = 0;"
#: Seconds that the server waits for the reader, beyond the time limit of two rows.
SLACK = 60
LONGEST = 2**31 - 1  # milliseconds, for PostgreSQL

# Values that a key's JSON text and Python's str() write alike.
_SAME_AS_TEXT = {int, str, UUID}
#: Events that are unpacked at once to learn how large they are.
UNPACKED = 16


class Reconstructing(AsOfFacet):
    """Rows as of an event, read from the log."""

    @contextmanager
    def reading(self, limit: TimeLimit) -> Iterator[None]:
        own = not self.connection.in_atomic_block
        with (
            _naming_all_groups(self.connection),
            transaction.atomic(self.using),
            self.connection.cursor() as cursor,
        ):
            settings = PLANNING + ALL_ROWS + self._own_limits(limit)
            if own:
                cursor.execute(ONE_MOMENT + settings)
                with self._canceling(limit):
                    yield
                return
            cursor.execute(NO_WRITES + settings)
            try:
                with self._canceling(limit):
                    yield
            finally:
                # The end of a savepoint restores it too; after an error nothing else can.
                transaction.set_rollback(True, self.using)

    def _own_limits(self, limit: TimeLimit) -> str:
        silence = min(LONGEST, round((2 * limit.seconds + SLACK) * 1000))
        sql = PATIENCE.format(milliseconds=silence)
        raw = self.connection.connection
        if raw.info.server_version >= 170000:  # pragma: no cover - `nox -s servers` runs it
            sql += UNHURRIED
        return sql

    @contextmanager
    def _canceling(self, limit: TimeLimit) -> Iterator[None]:
        """Let the server end a query in time, in case the client no longer can."""
        canceling: float | None = 0

        def execute(run: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
            nonlocal canceling
            seconds = limit.query_seconds
            if self.connection.needs_rollback or _has_failed(self.connection.connection):
                canceling = None  # nothing else runs now, and the rollback resets the settings
            elif seconds != canceling:
                canceling = seconds
                milliseconds = max(1, int(seconds * 1000)) if seconds else 0
                with self.connection.cursor() as cursor:
                    cursor.cursor.execute(f"SET LOCAL statement_timeout = {milliseconds}")
            return run(sql, parameters, many, context)

        with self.connection.execute_wrapper(execute):
            yield

    def show_life(self) -> None:
        # Any statement will do: the server measures the time since the last one.
        self.execute(["SELECT"])

    def discard(self) -> None:
        raw = self.connection.connection
        if raw is not None and raw.info.transaction_status == TransactionStatus.ACTIVE:
            # Interrupted while waiting for the server: the result is still to come.
            self.connection.close()

    def fitting(self, ids: Sequence[int], most: int, known: dict[int, int]) -> int:
        packed: set[int] = set()
        if not known.keys() >= set(ids):
            large = self.rows(LARGE_SQL, {"ids": list(ids), "most": most})
            if not large:
                return len(ids)
            packed = {pk for pk, _, compressed in large if compressed} - known.keys()
            known |= {pk: size for pk, size, compressed in large if not compressed}
        total = 0
        for n, pk in enumerate(ids):
            if pk in packed:
                self._unpack([one for one in ids[n : n + UNPACKED] if one in packed], known)
                packed -= known.keys()
            total += known.get(pk, 0)
            if total > most and n:
                return n
        return len(ids)

    def _unpack(self, ids: Sequence[int], known: dict[int, int]) -> None:
        known.update(self.rows(UNPACKED_SQL, [list(ids)]))
        known |= dict.fromkeys(set(ids) - known.keys(), 0)  # deleted meanwhile

    def weight_sql(self) -> str:
        return WEIGHT

    def image_rows(
        self, model: type[Model], images: Sequence[Image]
    ) -> list[tuple[Image, Mapping[str, str], Sequence[Any]]]:
        fields = own_fields(model)
        shape = self._shape(model)
        compiler = Query(model).get_compiler(self.using)
        columns = [f.select_format(compiler, shape.value(f.column), []) for f in fields]
        found: list[tuple[Image, Mapping[str, str], Sequence[Any]]] = []
        for steps, group in _by_steps(images):
            asked = {(image.event_id, image.before): image for image in group}
            sql = IMAGE_SQL.format(
                columns=", ".join(sql for sql, _ in columns), rows=shape.rows(steps)
            )
            parameters = [parameter for _, more in columns for parameter in more]
            rows = self.rows(sql, [*parameters, *map(joined, zip(*asked, strict=True))])
            for event_id, before, unknown, too_big, *values in rows:
                missing = _missing(unknown, too_big) if unknown else ALL_KNOWN
                # Only PostgreSQL 18 has them: `nox -s servers` runs its tests there.
                if missing and shape.virtual:  # pragma: no cover
                    missing |= _uncomputed(fields, missing)
                found.append((asked[event_id, before], missing, values))
        return found

    def _shape(self, model: type[Model]) -> Shape:
        fields = own_fields(model)
        table = self.connection.ops.quote_name(model._meta.db_table)
        hstores = [f.column for f in fields if f.db_type(self.connection) == "hstore"]
        virtual: dict[str, str] = {}
        # As above.
        if any(f.generated and not f.db_persist for f in fields):  # pragma: no cover
            virtual = dict(self.rows(VIRTUAL, [table]))
        return Shape(table, [field.column for field in fields], hstores, virtual)

    def loss(self, field: Field[Any, Any]) -> tuple[str, Loses] | None:
        return loss(field.db_type(self.connection) or "")

    errors_end_transactions = True

    def plain_reader(self, field: Field[Any, Any]) -> Callable[[Any], Any] | None:
        return reader(field, field.rel_db_type(self.connection) or "")

    def newest_seen(self, wanted: Sequence[tuple[Name, str, Moment]]) -> list[int | None]:
        columns = [
            json.dumps([name.name for name, _, _ in wanted], ensure_ascii=False),
            json.dumps([key for _, key, _ in wanted], ensure_ascii=False),
            *(
                joined(at and at.isoformat() for at in times)
                for times in (
                    (name.since for name, _, _ in wanted),
                    (name.until for name, _, _ in wanted),
                    (moment.occurred_at for _, _, moment in wanted),
                )
            ),
            joined(moment.upto for _, _, moment in wanted),
            joined(moment.transaction_id for _, _, moment in wanted),
            joined(moment.snapshot for _, _, moment in wanted),
        ]
        return self.column(NEWEST_SEEN_SQL, columns)

    def statement_reaches_beyond(self) -> bool:
        return bool(self.value(REACHES_BEYOND))

    def overtaken(self, deletes: Collection[int]) -> set[int]:
        return set(self.column(OVERTAKEN_SQL, [list(deletes)]))

    def changed_again(self, events: Collection[int]) -> set[int]:
        return set(self.column(CHANGED_AGAIN_SQL, [list(events)]))

    def out_of_order(self, events: Collection[int]) -> set[int]:
        return set(self.column(OUT_OF_ORDER_SQL, [list(events)]))

    def restored(self, ids: Collection[int]) -> set[int]:
        return set(self.column(RESTORED_SQL, [list(ids)]))

    def newest_transaction(self) -> int | None:
        return int(self.value(f"SELECT {NEWEST}::text::bigint"))

    def around(
        self, table: Name, wanted: Sequence[tuple[Moment, str]]
    ) -> list[tuple[int | None, ...]]:
        bounds = {"since": table.since, "until": table.until}
        limits: dict[str, Any] = {LIMITS[name]: limit for name, limit in bounds.items() if limit}
        columns = [
            json.dumps([key for _, key in wanted], ensure_ascii=False),
            joined(moment.upto for moment, _ in wanted),
            joined(moment.transaction_id for moment, _ in wanted),
            joined(moment.snapshot for moment, _ in wanted),
            joined(at and at.isoformat() for at in (moment.occurred_at for moment, _ in wanted)),
            # Rows that a statement changed or deleted were there before it, as they were.
            joined(
                moment.action
                if moment.before
                and moment.table_name == table.name
                and moment.statement_at is not None
                else None
                for moment, _ in wanted
            ),
        ]
        sql = AROUND_SQL.format(limits="".join(limits))
        names = [table.name, *limits.values()]
        return self.rows(sql, [*names * 8, *columns, *names * 2])

    def is_among(self, ids: Collection[int]) -> tuple[str, list[str]]:
        return "id = ANY(string_to_array(%s, ' ')::bigint[])", [joined(ids)]

    def relation(self, model: type[Model], rows: Sequence[Found]) -> tuple[str, list[Any]]:
        quote = self.connection.ops.quote_name
        fields = own_fields(model)
        pk = model._meta.pk
        held = [(n, found.image) for n, found in enumerate(rows) if found.image]
        live = [
            (n, pk.get_db_prep_value(found.row.values[pk.attname], self.connection))
            for n, found in enumerate(rows)
            if not found.image and isinstance(found.row, Row)
        ]
        # Excluded columns must not be visible through the current row either.
        missing = {c for one in rows if isinstance(one.row, Row) for c in one.row.missing}
        parameters: list[Any] = [[n for n, _ in live], [key for _, key in live]]
        shape = self._shape(model)
        images = ""
        for steps, group in _by_steps([image for _, image in held]):
            values = ", ".join(shape.value(field.column) for field in fields)
            images += HELD_SQL.format(values=values, rows=shape.rows(steps))
            chosen = set(group)
            numbered = [(n, *image[:2]) for n, image in held if image in chosen]
            parameters += [list(column) for column in zip(*numbered, strict=True)]
        sql = RELATION_SQL.format(
            names=", ".join(quote(field.column) for field in fields),
            held=images,
            live=", ".join(
                _typed_null(column) if name in missing else column
                for name, column in ((f.column, f"live.{quote(f.column)}") for f in fields)
            ),
            table=quote(model._meta.db_table),
            key=quote(str(pk.column)),
            key_type=pk.rel_db_type(self.connection) or "text",
        )
        return sql, parameters

    def mentions(
        self, table: str, column: str, texts: Sequence[str], moments: Sequence[Moment], most: int
    ) -> tuple[Collection[tuple[str, str]], bool]:
        parameters = _later(table, moments, most) | {"column": column, "texts": list(texts)}
        found = set(self.rows(MENTIONS_SQL, parameters))
        return found, self.row(BEYOND_SQL, parameters) is None

    names_have_case = True

    def keeps_order_of_keys(self, model: type[Model]) -> bool:
        return False

    def changes(self, table: str, moments: Sequence[Moment], most: int) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(CHANGES_SQL, _later(table, moments, most))
            return list(cursor.fetchall())

    def past_table(self, model: type[Model], images: Sequence[Image]) -> PastTableSQL:
        quote = self.connection.ops.quote_name
        columns = [field.column for field in own_fields(model)]
        key = str(model._meta.pk.column)
        shape = self._shape(model)
        name = quote(model._meta.db_table)
        ((table, key_type),) = self.rows(PLACE, [key, name])
        values = ["wanted.key" if one == key else shape.value(one) for one in columns]
        stays = STAYS.format(key=quote(key), key_type=key_type)

        def expression(
            gone: Sequence[str] | None, rows: Mapping[str, Image]
        ) -> tuple[str, list[Any]]:
            parameters = [] if gone is None else [array(gone)]
            keys = {image: key for key, image in rows.items()}
            held = ""
            for steps, group in _by_steps(keys):
                held += IMAGES_SQL.format(
                    values=", ".join(values), key_type=key_type, rows=shape.rows(steps)
                )
                parameters.append(array(keys[image] for image in group))
                parameters += map(joined, zip(*(image[:2] for image in group), strict=True))
            sql = TABLE_SQL.format(
                name=name,
                names=", ".join(map(quote, columns)),
                live=", ".join(f"live.{quote(column)}" for column in columns),
                table=table.replace("%", "%%"),
                stays="false" if gone is None else stays,
                held=held,
            )
            return sql, parameters

        return expression

    def key_texts(self, field: Field[Any, Any], values: Sequence[Any]) -> list[str]:
        parts = key_parts(field)
        stored = [stored_parts(field, value, self.connection) for value in values]
        if len(parts) == 1 and all(type(value) in _SAME_AS_TEXT for (value,) in stored):
            return [str(value) for (value,) in stored]
        # The types' own way into JSON, as in the triggers.
        each = ", ".join(f"to_jsonb(%s::{part.db_type(self.connection)})" for part in parts)
        text = f"{each} #>> '{{}}'" if len(parts) == 1 else f"jsonb_build_array({each})::text"
        texts = ", ".join([text] * len(stored))
        parameters = [part for key in stored for part in key]
        return list(self.value(f"SELECT ARRAY[{texts}]::text[]", parameters))


@contextmanager
def _naming_all_groups(connection: Any) -> Iterator[None]:
    """Make Django group by all selected columns, not only by the key.

    PostgreSQL knows that the key determines the other columns of a table, but not of an expression
    that hides the table.
    """
    features = connection.features
    usual = features.allows_group_by_selected_pks
    features.allows_group_by_selected_pks = False
    try:
        yield
    finally:
        features.allows_group_by_selected_pks = usual


def _later(table: str, moments: Sequence[Moment], most: int) -> dict[str, Any]:
    """Return the parameters that select the events that one of the moments may not have seen."""
    return {
        "table": table,
        # A moment before a deletion has not seen it.
        "since": min((moment.upto - 1 for moment in moments), default=0),
        # Open transactions are unseen, too, although their events may have lower IDs.
        "running": min((parse(m.snapshot).xmin for m in moments if m.snapshot), default=None),
        "most": most,
    }


def _has_failed(raw: Any) -> bool:
    return raw is not None and raw.info.transaction_status == TransactionStatus.INERROR


def _by_steps(images: Iterable[Image]) -> list[tuple[tuple[Step, ...], list[Image]]]:
    """Group images whose columns were renamed alike: one query reads each group."""
    groups: dict[tuple[Step, ...], list[Image]] = {}
    for image in images:
        groups.setdefault(image.steps, []).append(image)
    return list(groups.items())


def _missing(unknown: Sequence[str], too_big: Sequence[str]) -> dict[str, str]:
    return dict.fromkeys(unknown, NOT_RECORDED) | dict.fromkeys(too_big, TOO_BIG)


def _uncomputed(  # pragma: no cover - PostgreSQL 18
    fields: Iterable[Any], missing: Collection[str]
) -> dict[str, str]:
    """Return the virtual columns that need a missing one."""
    return {
        field.column: NOT_RECORDED
        for field in fields
        if field.generated and not field.db_persist and reads(field, missing)
    }


def _typed_null(column: str) -> str:
    return f"CASE WHEN false THEN {column} END"
