"""Common table expressions that hide a table behind its rows as of a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from ...utils.model_meta import key_parts, own_fields
from ..selected import Selected
from ..types import Image
from .documents import key_of_text
from .queries import IMAGES_SQL, SELECTED_SQL, STAYS, TABLE_SQL

#: How a column is selected, with a place for the value, and its values in the order of the images.
Columns = Sequence[tuple[str, Sequence[Any]]]

_FUNCTION = "auditrepr_held"


class _Values(list[Sequence[Any]]):
    """The values of images by column and number, for SQL that is used while this is kept.

    :ivar number: by which the SQL names them.
    """

    def __init__(self, columns: Columns) -> None:
        super().__init__(values for _, values in columns)
        self.number = next(_numbers)  # unlike an id, it is never another one's
        _held[self.number] = self


_numbers = count()
#: The values that are in use, by their numbers.
_held: WeakValueDictionary[int, _Values] = WeakValueDictionary()


def prepare(connection: BaseDatabaseWrapper) -> None:
    """Have the connection know the function that gives the values.

    SQLite refuses to replace a function while a statement is open, such as an ``iterator()``.
    """
    connection.connection.create_function(_FUNCTION, 3, _value, deterministic=True)


def _value(number: int, image: int, column: int) -> Any:
    return _held[number][column][image]


class PastTable:
    """Makes the expressions that hide a table behind its rows as of a moment.

    The rows that take the place of current ones come from a function of the connection, which is
    called only for those that the query wants: their keys are known without it.

    :param types: the declared types of the columns of the key, of which texts are not ambiguous.
    :param values: for each of the columns.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        model: type[Model],
        types: Sequence[str],
        images: Sequence[Image],
        columns: Sequence[str],
        values: Columns,
    ) -> None:
        quote = connection.ops.quote_name
        key = [quote(str(part.column)) for part in key_parts(model._meta.pk)]
        self._name = quote(model._meta.db_table)
        self._names = [quote(column) for column in columns]
        self._numbers = {image: n for n, image in enumerate(images)}
        self._values = _Values(values)  # kept, because the SQL only has its number
        held_key = dict(zip(key, key_of_text(types, "key") or (), strict=True))
        selected = _selected(self._values, self._names, held_key, values)
        self._images = IMAGES_SQL.format(values=selected)
        gone = ", ".join(key_of_text(types, "value") or ())
        self._stays = STAYS.format(live=_live(key), gone=gone)

    def __call__(
        self, gone: Sequence[str] | None, rows: Mapping[str, Image]
    ) -> tuple[str, list[Any]]:
        """Return the expression with its parameters."""
        parameters = []
        if rows:
            numbers = {key: self._numbers[image] for key, image in rows.items()}
            parameters.append(json.dumps(numbers))
        if gone is not None:
            parameters.append(json.dumps(gone))
        sql = TABLE_SQL.format(
            name=self._name,
            names=", ".join(self._names),
            live=_live(self._names),
            stays="0" if gone is None else self._stays,
            held=self._images if rows else "",
        )
        return sql, parameters


def _live(columns: Sequence[str]) -> str:
    return ", ".join(f"live.{column}" for column in columns)


def chosen_from(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Columns,
    chosen: Sequence[Selected],
) -> list[Sequence[Any]]:
    """Return what these expressions give for each image, in the order of the images."""
    quote = connection.ops.quote_name
    held = _Values(columns)
    names = [quote(field.column) for field in own_fields(model)]
    sql = SELECTED_SQL.format(
        name=quote(model._meta.db_table),
        names=", ".join(names),
        values=_selected(held, names, {}, columns),
        chosen=", ".join(sql for sql, _ in chosen),
    )
    parameters = [json.dumps(list(range(len(held[0]))))]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters + [one for _, more in chosen for one in more])
        return list(cursor.fetchall())


def _selected(held: _Values, names: Sequence[str], key: Mapping[str, str], columns: Columns) -> str:
    """Return SQL for the values of one image: its key is known, the function knows the others.

    :param key: SQL for each column of the key.
    """
    return ", ".join(
        template.format(key.get(name) or f"{_FUNCTION}({held.number}, value, {n})")
        for n, (name, (template, _)) in enumerate(zip(names, columns, strict=True))
    )
