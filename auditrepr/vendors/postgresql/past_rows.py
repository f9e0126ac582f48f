"""SQL whose rows are those of a table as of a moment, made from the log's images."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Model

from ...utils.model_meta import fields_as_in_table, key_parts, own_fields, reads
from ..base import AsOfFacet, PastTableSQL
from ..selected import Selected, selected
from ..types import ALL_KNOWN, ERASED, NOT_RECORDED, TOO_BIG, Image, RawRow, Row
from .asof_queries import (
    HELD_SQL,
    IMAGE_SQL,
    IMAGES_SQL,
    PARTS_STAY,
    PLACE,
    RELATION_SQL,
    STAYS,
    TABLE_SQL,
)
from .casts import needs_cast
from .imported_kinds import unlike
from .quoting import array, joined, quoted
from .row_sql import VIRTUAL, Shape

if TYPE_CHECKING:
    from ..types import Found, Step


class PastRows(AsOfFacet):
    """Rows as they were, for the server itself to continue with."""

    def image_rows(self, model: type[Model], images: Sequence[Image]) -> list[RawRow]:
        fields = own_fields(model)
        shape = self._shape(model)
        columns = self._selected(model, shape)
        types = {f.column: f.db_type(self.connection) or "" for f in fields}
        found: list[RawRow] = []
        for steps, group in _by_steps(images):
            asked = {(image.event_id, image.before): image for image in group}
            sql = IMAGE_SQL.format(
                unlike=unlike(types, f"held_{len(steps)}.document"),
                columns=", ".join(sql for sql, _ in columns),
                rows=shape.rows(steps),
            )
            parameters = [parameter for _, more in columns for parameter in more]
            rows = self.rows(sql, [*parameters, *map(joined, zip(*asked, strict=True))])
            for event_id, before, unknown, digests, others, *values in rows:
                missing = _missing(unknown, digests) if unknown else ALL_KNOWN
                # Only PostgreSQL 18 has them: `nox -s servers` runs its tests there.
                if missing and shape.virtual:  # pragma: no cover
                    missing |= _uncomputed(fields, missing)
                found.append(RawRow(asked[event_id, before], missing, values, others or ()))
        return found

    def needs_cast(self, old: str, new: str) -> bool:
        return needs_cast(old, new)

    def _selected(self, model: type[Model], shape: Shape) -> list[Selected]:
        """Return how a query of the images selects each column as Django does from the table."""
        fields = own_fields(model)
        found = [one or ("", []) for one in selected(model, self.using, "image")]
        # As below.
        if shape.virtual:  # pragma: no cover
            computed = [one or ("", []) for one in selected(model, self.using, "computed")]
            found = [
                computed[n] if field.column in shape.virtual else found[n]
                for n, field in enumerate(fields)
            ]
        return [
            (sql or shape.value(field.column), parameters)
            for field, (sql, parameters) in zip(fields, found, strict=True)
        ]

    def _shape(self, model: type[Model]) -> Shape:
        fields = own_fields(model)
        table = self.connection.ops.quote_name(model._meta.db_table)
        hstores = [f.column for f in fields if f.db_type(self.connection) == "hstore"]
        virtual: dict[str, str] = {}
        # As above.
        if any(f.generated and not f.db_persist for f in fields):  # pragma: no cover
            virtual = dict(self.rows(VIRTUAL, [table]))
        return Shape(table, [field.column for field in fields], hstores, virtual)

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

    def past_table(
        self, model: type[Model], images: Sequence[Image], columns: Sequence[str]
    ) -> PastTableSQL:
        quote = self.connection.ops.quote_name
        columns = [field.column for field in fields_as_in_table(model, columns)]
        shape = self._shape(model)
        name = quote(model._meta.db_table)
        key = self._key(model, name)
        values = [key.parts.get(one) or shape.value(one) for one in columns]

        def expression(
            gone: Sequence[str] | None, rows: Mapping[str, Image]
        ) -> tuple[str, list[Any]]:
            parameters = [] if gone is None else [array(gone)]
            keys = {image: key for key, image in rows.items()}
            held = ""
            for steps, group in _by_steps(keys):
                held += IMAGES_SQL.format(
                    values=", ".join(values), key_type=key.type, rows=shape.rows(steps)
                )
                parameters.append(array(keys[image] for image in group))
                parameters += map(joined, zip(*(image[:2] for image in group), strict=True))
            sql = TABLE_SQL.format(
                name=name,
                names=", ".join(map(quote, columns)),
                live=", ".join(f"live.{quote(column)}" for column in columns),
                table=key.table.replace("%", "%%"),
                stays="false" if gone is None else key.stays,
                held=held,
            )
            return sql, parameters

        return expression

    def _key(self, model: type[Model], name: str) -> _Key:
        columns = [str(part.column) for part in key_parts(model._meta.pk)]
        places = self.rows(PLACE, [columns, name])
        table, types = places[0][0], [kind for _, kind in places]
        live = [f"live.{quoted(column)}" for column in columns]
        if len(columns) == 1:
            stays = STAYS.format(live=live[0], key_type=types[0])
            return _Key(table, types[0], {columns[0]: "wanted.key"}, stays)
        # The log has the parts as a JSON array.
        parts = [f"({{0}}.key::jsonb ->> {n})::{kind}" for n, kind in enumerate(types)]
        gone = ", ".join(part.format("gone") for part in parts)
        stays = PARTS_STAY.format(live=", ".join(live), parts=gone)
        wanted = [part.format("wanted") for part in parts]
        return _Key(table, "text", dict(zip(columns, wanted, strict=True)), stays)


class _Key(NamedTuple):
    """The table of a model, with the SQL that concerns its key."""

    table: str  # with its schema
    type: str  # of the key that SQL gets as text
    parts: Mapping[str, str]  # the value of each column of the key of a wanted row
    stays: str  # the condition that a current row is none of those that are gone


def _by_steps(images: Iterable[Image]) -> list[tuple[tuple[Step, ...], list[Image]]]:
    """Group images whose columns were renamed alike: one query reads each group."""
    groups: dict[tuple[Step, ...], list[Image]] = {}
    for image in images:
        groups.setdefault(image.steps, []).append(image)
    return list(groups.items())


def _missing(unknown: Sequence[str], digests: Sequence[str]) -> dict[str, str]:
    """Return why columns are unknown.

    :param digests: those of which the log has a digest, and the days on which they were erased.
    """
    known = (json.loads(text) for text in digests)
    why = {name: ERASED + day if day else TOO_BIG for name, day in known}
    return dict.fromkeys(unknown, NOT_RECORDED) | why


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
