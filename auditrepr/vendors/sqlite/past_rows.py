"""Rows of a table as of a moment, made from the log's images: read, or for SQLite to select."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import Model

from ...utils.model_meta import fields_as_in_table, key_parts, own_fields
from ..base import AsOfFacet, PastTableSQL
from ..selected import comes_as_stored, selected
from ..types import LAST_IMPORTED, Image, RawRow, Row
from .affinity import cast, converter, fitted, is_unlike
from .documents import ABSENT, Digest, document, key_of_text, value_of
from .past_tables import PastTable, chosen_from

if TYPE_CHECKING:
    from ..types import Found


class PastRows(AsOfFacet):
    """Rows as they were."""

    def image_rows(self, model: type[Model], images: Sequence[Image]) -> list[RawRow]:
        types = [(f.column, f.db_type(self.connection) or "") for f in own_fields(model)]
        columns = [(column, converter(declared)) for column, declared in types]
        documents = self._documents({image.event_id for image in images})
        imported = self._imported(documents)
        found: list[RawRow] = []
        rows: list[Mapping[str, Any]] = []
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
            rows.append(row)
        return self._as_selected(model, rows, found)

    def _as_selected(
        self, model: type[Model], rows: Sequence[Mapping[str, Any]], found: list[RawRow]
    ) -> list[RawRow]:
        """Return the rows with what SQLite makes of the columns that expressions select."""
        chosen = {
            n: one
            for n, one in enumerate(selected(model, self.using, model._meta.db_table))
            if one is not None
        }
        if not chosen or not rows:
            return found
        columns = []
        for field in own_fields(model):
            held = [value_of(row, field) for row in rows]
            columns.append(self._as_column(field, held) or ("{}", held))
        every = chosen_from(self.connection, model, columns, list(chosen.values()))
        made = [dict(zip(chosen, values, strict=True)) for values in every]
        return [
            one._replace(values=[values.get(n, value) for n, value in enumerate(one.values)])
            for one, values in zip(found, made, strict=True)
        ]

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

    def relation(self, model: type[Model], rows: Sequence[Found]) -> tuple[str, list[Any]] | None:
        quote = self.connection.ops.quote_name
        fields = own_fields(model)
        lines = list(self._lines(model, rows))
        names = ", ".join(quote(field.column) for field in fields)
        if not lines:
            nothing = f"SELECT {', '.join(['NULL'] * (len(fields) + 1))} WHERE 0"
            return f"({names}, auditrepr_n) AS ({nothing})", []
        # VALUES have neither the columns' types nor their collations.
        *held_values, keys, numbers = (list(column) for column in zip(*lines, strict=True))
        columns = [
            column
            for pair in zip(fields, held_values, strict=True)
            if (column := self._as_column(*pair))
        ]
        values = zip(*(values for _, values in columns), keys, numbers, strict=True)
        parameters = [value for line in values for value in line]
        most = self.connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        if len(columns) < len(fields) or len(parameters) > most:
            return None
        picked = [sql for sql, _ in columns]
        body = self._listed(model, picked, rows, len(lines))
        return f"({names}, auditrepr_n) AS ({body})", parameters

    def _listed(
        self, model: type[Model], picked: Sequence[str], rows: Sequence[Found], count: int
    ) -> str:
        """Return SQL that selects from VALUES, and from the table what only the table holds."""
        quote = self.connection.ops.quote_name
        # Excluded columns must not be visible through the current row either.
        missing = {c for one in rows if isinstance(one.row, Row) for c in one.row.missing}
        fields = own_fields(model)
        places = [f"column{n}" for n in range(1, len(fields) + 3)]
        *_, key, number = places
        stored = [n for n, one in enumerate(fields) if not comes_as_stored(one)]
        for n in stored:
            if fields[n].column not in missing:
                places[n] = f"coalesce({places[n]}, live.{quote(fields[n].column)})"
        chosen = ", ".join(one.format(place) for one, place in zip(picked, places, strict=False))
        one = f"({', '.join(['%s'] * len(places))})"
        source = f"(VALUES {', '.join([one] * count)})"
        table, pk = quote(model._meta.db_table), quote(str(model._meta.pk.column))
        if stored:
            source += f" LEFT JOIN main.{table} AS live ON live.{pk} = {key}"
        # Gives no row. SQLite takes the declared types of the columns, by which the driver converts
        # values, from the last part of a UNION.
        declared = ", ".join(f"live.{quote(field.column)}" for field in fields)
        types = f"SELECT {declared}, NULL FROM main.{table} AS live WHERE 0"
        return f"SELECT {chosen}, {number} FROM {source} UNION ALL {types}"

    def _lines(self, model: type[Model], rows: Sequence[Found]) -> Iterator[list[Any]]:
        """Yield the rows' values as they would be stored, the keys of current ones, and numbers.

        None stands for a value that is not known from what a query has given.
        """
        documents = self._documents({found.image.event_id for found in rows if found.image})
        fields, pk = own_fields(model), model._meta.pk
        known = [field for field in fields if comes_as_stored(field)]
        for n, found in enumerate(rows):
            raw: Mapping[str, Any]
            key = None
            if found.image:
                raw = document(*documents[found.image.event_id], found.image)
            elif isinstance(found.row, Row):
                values = found.row.values
                raw = {
                    field.column: field.get_db_prep_save(values.get(field.attname), self.connection)
                    for field in known
                }
                key = pk.get_db_prep_value(values[pk.attname], self.connection)
            else:
                continue
            held = [raw.get(field.column) for field in fields]
            yield [*(None if isinstance(one, Digest) else one for one in held), key, n]

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

    def past_table(
        self, model: type[Model], images: Sequence[Image], columns: Sequence[str]
    ) -> PastTableSQL:
        fields = fields_as_in_table(model, columns)
        types = [part.db_type(self.connection) or "" for part in key_parts(model._meta.pk)]
        documents = self._documents({image.event_id for image in images})
        rows = [document(*documents[image.event_id], image) for image in images]
        made = [self._as_column(field, [value_of(row, field) for row in rows]) for field in fields]
        known = [column for column in made if column]
        if key_of_text(types, "value") is None or len(known) < len(fields):
            return lambda gone, rows: None
        names = [field.column for field in fields]
        return PastTable(self.connection, model, types, images, names, known)
