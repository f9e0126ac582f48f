"""PostgreSQL's part of reconstruction: rows as of an event."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Field, Model
from psycopg.pq import TransactionStatus

from ...utils.model_meta import key_parts, stored_parts
from ..snapshots import parse
from ..types import BEGINNING, Moment
from .asof_queries import (
    AROUND_SQL,
    BEYOND_SQL,
    CHANGED_AGAIN_SQL,
    CHANGES_SQL,
    LARGE_SQL,
    LIMITS,
    MENTIONS_SQL,
    NEWEST,
    NEWEST_SEEN_SQL,
    OUT_OF_ORDER_SQL,
    OVERTAKEN_SQL,
    REACHES_BEYOND,
    RESTORED_SQL,
    TOGETHER_SQL,
    UNPACKED_SQL,
    WEIGHT,
)
from .functions import FUNCTIONS_SQL, functions_that_read
from .losses import Loses, loss
from .past_rows import PastRows
from .plain_values import reader
from .quoting import joined, text_of
from .reading import Reading

if TYPE_CHECKING:
    from ..types import Name


# Values that a key's JSON text and Python's str() write alike.
_SAME_AS_TEXT = {int, str, UUID}
#: Events that are unpacked at once to learn how large they are.
UNPACKED = 16


class Reconstructing(Reading, PastRows):
    """Rows as of an event, read from the log."""

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

    def loss(self, field: Field[Any, Any]) -> tuple[str, Loses] | None:
        return loss(field.db_type(self.connection) or "")

    def statement_text(self, statement: Any, cursor: Any) -> str:
        return text_of(statement, cursor)

    errors_end_transactions = True

    def has_failed(self) -> bool:
        raw = self.connection.connection
        return raw is not None and raw.info.transaction_status == TransactionStatus.INERROR

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

    def together(self, events: Collection[int]) -> set[int]:
        return set(self.column(TOGETHER_SQL, [list(events)]))

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

    def functions_that_read(self) -> frozenset[str]:
        return functions_that_read(tuple(self.rows(FUNCTIONS_SQL)))


def _later(table: str, moments: Sequence[Moment], most: int) -> dict[str, Any]:
    """Return the parameters that select the events that one of the moments may not have seen."""
    return {
        "table": table,
        # A moment before a deletion has not seen it.
        "since": max(BEGINNING, min((moment.upto for moment in moments), default=0) - 1),
        # Open transactions are unseen, too, although their events may have lower IDs.
        "running": min((parse(m.snapshot).xmin for m in moments if m.snapshot), default=None),
        "most": most,
    }
