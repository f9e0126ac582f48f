"""Rows of a table as of a moment, made from the log's images: read, or for SQLite to select."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Model

from ...utils.model_meta import own_fields
from ..base import AsOfFacet, PastTableSQL
from ..selected import comes_as_stored, selected
from ..types import LAST_IMPORTED, Image, RawRow, Row
from .affinity import cast, converter, fitted, is_unlike
from .documents import ABSENT, Digest, document, key_of_text, value_of
from .past_tables import chosen_from, past_table
from .queries import STORED

if TYPE_CHECKING:
    from ..types import Found


class Stored(NamedTuple):
    """A value that a statement takes from the table."""

    sql: str
    key: Any  # the parameter


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
        values = list(zip(*(values for _, values in columns), numbers, strict=True))
        rows_sql, parameters = _listed(values, plain=all(map(comes_as_stored, fields)))
        body = f"SELECT {picked}, column{len(fields) + 1} FROM (VALUES {rows_sql})"
        return f"({names}, auditrepr_n) AS ({body})", parameters

    def _lines(self, fields: Sequence[Any], rows: Sequence[Found]) -> Iterator[list[Any]]:
        """Yield the rows' values as they would be stored, and their numbers."""
        documents = self._documents({found.image.event_id for found in rows if found.image})
        columns = [(field, comes_as_stored(field)) for field in fields]
        for n, found in enumerate(rows):
            if found.image:
                held = documents[found.image.event_id]
                stored = document(*held, found.image)
                raw = [stored.get(field.column) for field in fields]
            elif isinstance(found.row, Row):
                raw = [
                    field.get_db_prep_save(found.row.values.get(field.attname), self.connection)
                    if as_stored
                    else self._stored(field, found.row)
                    for field, as_stored in columns
                ]
            else:
                continue
            yield [*(None if isinstance(value, Digest) else value for value in raw), n]

    def _stored(self, field: Any, row: Row) -> Stored | None:
        """Return where the table has the value of a current row; None if it is not to be seen."""
        if field.attname not in row.values and field.attname not in row.unread:
            return None
        quote, pk = self.connection.ops.quote_name, field.model._meta.pk
        table, column, key = map(quote, (field.model._meta.db_table, field.column, pk.column))
        sql = STORED.format(table=table, column=column, key=key)
        return Stored(sql, pk.get_db_prep_value(row.values[pk.attname], self.connection))

    def _as_column(self, field: Any, values: Sequence[Any]) -> tuple[str, list[Any]] | None:
        """Return how the values are selected, and what the field's own column makes of them."""
        declared = field.db_type(self.connection) or ""
        fit = fitted(declared)
        try:
            held = [fit(value) for value in values]
        except ValueError:
            return None
        picked = cast(declared, [value for value in held if not isinstance(value, Stored)])
        if picked is None:
            return None
        collation = field.db_parameters(self.connection).get("collation")
        quoted = self.connection.ops.quote_name(collation) if collation else ""
        return f"{picked} COLLATE {quoted}" if collation else picked, held

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


def _listed(lines: Sequence[Sequence[Any]], *, plain: bool) -> tuple[str, list[Any]]:
    """Return the lines for VALUES, and their parameters.

    :param plain: no value is :class:`Stored`.
    """
    if plain:
        one = f"({', '.join(['%s'] * len(lines[0]))})"
        return ", ".join([one] * len(lines)), [value for line in lines for value in line]
    cells = [
        [(one.sql, one.key) if isinstance(one, Stored) else ("%s", one) for one in line]
        for line in lines
    ]
    rows = ", ".join(f"({', '.join(sql for sql, _ in line)})" for line in cells)
    return rows, [value for line in cells for _, value in line]
