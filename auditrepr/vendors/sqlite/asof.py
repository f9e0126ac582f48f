"""SQLite's part of reconstruction: rows as of an event."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from ...utils.model_meta import key_parts, stored_parts
from ..types import BEGINNING, Moment
from . import reach
from .affinity import as_stored, changes_numbers, converter
from .documents import in_storage
from .past_rows import PastRows
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
from .reading import Reading
from .trigger_body import key_text

if TYPE_CHECKING:
    from ..types import Name


#: By connection: the open one, its schema's version, and whether statements reach beyond.
_reaching: WeakKeyDictionary[BaseDatabaseWrapper, tuple[Any, int, bool]] = WeakKeyDictionary()


class Reconstructing(Reading, PastRows):
    """Rows as of an event, read from the log."""

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

    errors_end_transactions = False

    def has_failed(self) -> bool:
        return False

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

    def key_texts(self, field: Field[Any, Any], values: Sequence[Any]) -> list[str]:
        types = [part.db_type(self.connection) or "" for part in key_parts(field)]
        stored = [stored_parts(field, value, self.connection) for value in values]
        alone = len(types) == 1 and not changes_numbers(types[0])
        if alone and all(type(value) in (int, str) for (value,) in stored):
            return [str(value) for (value,) in stored]
        return [text for some in self._parts(stored) for text in self._written(types, some)]

    def _written(self, types: Sequence[str], keys: Sequence[Sequence[Any]]) -> list[str]:
        """Return the texts of the keys as the triggers write what columns of these types store."""
        columns = [as_stored(kind, f"column{n}") for n, kind in enumerate(types, 2)]
        text = key_text(columns).replace("%", "%%")
        row = f"({', '.join(['%s'] * (len(types) + 1))})"
        values = ", ".join([row] * len(keys))
        parameters = [value for n, key in enumerate(keys) for value in (n, *map(_bindable, key))]
        return self.column(f"SELECT {text} FROM (VALUES {values}) ORDER BY column1", parameters)

    def _parts(self, keys: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield as many of the keys as one statement can take, until all are done."""
        most = self.connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        number = most // (len(keys[0]) + 1) if keys else 1
        return (keys[n : n + number] for n in range(0, len(keys), number))

    def functions_that_read(self) -> frozenset[str]:
        return frozenset()


def _bindable(value: Any) -> Any:
    """Return the value, as text if it is a number that no column can hold."""
    return str(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value
