"""How Django selects the columns of a table: most by their names, some by an expression."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.db.models.sql import Query

from ..utils.model_meta import own_fields

#: SQL, and its parameters.
Selected = tuple[str, list[Any]]


def selected(model: type[Model], using: str, table: str) -> list[Selected | None]:
    """Return how the fields of the model's own table are selected; None if by the column's name.

    A field may have an expression for it, as those of geometries and those that the server
    decrypts: ``select_format()``, or a column of its own kind from ``get_col()``.

    :param table: the name by which the query knows the table.
    """
    compiler = Query(model).get_compiler(using)
    quote = compiler.connection.ops.quote_name
    found: list[Selected | None] = []
    for field in own_fields(model):
        column = field.get_col(table)
        sql, parameters = column.select_format(compiler, *compiler.compile(column))
        plain = sql == f"{quote(table)}.{quote(field.column)}"
        found.append(None if plain else (sql, [*parameters]))
    return found


def comes_as_stored(field: Any) -> bool:
    """Return whether a query gives what the column holds, as far as Django's own fields do.

    What the code of another field makes of it may not lead back.
    """
    while field.is_relation:
        field = field.target_field
    return type(field).__module__.startswith("django.db.models.fields")
