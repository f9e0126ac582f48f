"""Rows of a table as of a moment, made from the log's images: read, or for SQLite to select."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import Model

from ...utils.model_meta import own_fields
from ..base import AsOfFacet, PastTableSQL
from ..types import LAST_IMPORTED, Image, RawRow, Row
from .affinity import cast, converter, fitted, is_unlike
from .documents import ABSENT, Digest, document, key_of_text, value_of
from .past_tables import past_table

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
