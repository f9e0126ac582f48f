"""Common table expressions that hide a table behind its rows as of a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import ref

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from ...utils.model_meta import own_fields
from ..base import PastTableSQL
from ..selected import Selected
from ..types import Image
from .queries import IMAGES_SQL, SELECTED_SQL, STAYS, TABLE_SQL

#: How a column is selected, with a place for the value, and its values in the order of the images.
Columns = Sequence[tuple[str, Sequence[Any]]]


class _Values(list[Sequence[Any]]):
    """The values of the images by column and number; the connection does not keep them alive."""


def past_table(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    gone_key: str,
    images: Sequence[Image],
    columns: Columns,
) -> PastTableSQL:
    """Return a function that makes the expressions.

    The rows that take the place of current ones come from a function of the connection, which is
    called only for those that the query wants: their keys are known without it.

    :param gone_key: the key of a current row, from its text in the column `value`.
    """
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    names = [quote(field.column) for field in own_fields(model)]
    key = quote(str(model._meta.pk.column))
    numbers = {image: n for n, image in enumerate(images)}
    held = _Values(values for _, values in columns)
    function = f"auditrepr {model._meta.db_table}"
    _tell(connection, function, held)
    values = _selected(quote(function), names, key, columns)

    def expression(gone: Sequence[str] | None, rows: Mapping[str, Image]) -> tuple[str, list[Any]]:
        assert held is not None  # noqa: S101 - and kept by this function
        parameters = [] if gone is None else [json.dumps(gone)]
        if rows:
            parameters.append(json.dumps({key: numbers[image] for key, image in rows.items()}))
        sql = TABLE_SQL.format(
            name=table,
            names=", ".join(names),
            live=", ".join(f"live.{name}" for name in names),
            stays="0" if gone is None else STAYS.format(key=key, gone=gone_key),
            held=IMAGES_SQL.format(values=values) if rows else "",
        )
        return sql, parameters

    return expression


def chosen_from(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Columns,
    chosen: Sequence[Selected],
) -> list[Sequence[Any]]:
    """Return what these expressions give for each image, in the order of the images."""
    quote = connection.ops.quote_name
    held = _Values(values for _, values in columns)
    function = f"auditrepr {model._meta.db_table} images"
    _tell(connection, function, held)
    names = [quote(field.column) for field in own_fields(model)]
    sql = SELECTED_SQL.format(
        name=quote(model._meta.db_table),
        names=", ".join(names),
        values=_selected(quote(function), names, "", columns),
        chosen=", ".join(sql for sql, _ in chosen),
    )
    parameters = [json.dumps(list(range(len(held[0]))))]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters + [one for _, more in chosen for one in more])
        return list(cursor.fetchall())


def _selected(function: str, names: Sequence[str], key: str, columns: Columns) -> str:
    """Return SQL for the values of one image: its key is known, the function knows the others."""
    return ", ".join(
        template.format("key" if name == key else f"{function}(value, {n})".replace("%", "%%"))
        for n, (name, (template, _)) in enumerate(zip(names, columns, strict=True))
    )


def _tell(connection: BaseDatabaseWrapper, name: str, held: _Values) -> None:
    """Have the connection know the values of images by their numbers and columns."""
    known = ref(held)

    def value(image: int, column: int) -> Any:
        values = known()
        return None if values is None else values[column][image]

    connection.connection.create_function(name, 2, value, deterministic=True)
