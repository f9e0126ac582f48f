"""Queries whose tables hold the rows of another moment.

A common table expression hides the table of the same name from the rest of its statement: what
Django compiled runs unchanged, with the database's own semantics, on rows that the log provides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Model

from .history import Found
from .rows import Row
from .vendors.base import Vendor

_TABLE = re.compile(r'(?:FROM|JOIN)\s+\(*("(?:[^"]|"")+"(?:\."(?:[^"]|"")+")?)')

Relations = Mapping[type[Model], Sequence[Found]]


class NotAsOf(Exception):
    """A query asks for a table whose rows of the moment are not known."""


def substituted(
    vendor: Vendor, relations: Relations, sql: str, parameters: Any
) -> tuple[str, list[Any]]:
    """The statement with these relations in place of the tables.

    :raises NotAsOf: if it is no query, or asks for any other table.
    """
    quote = vendor.connection.ops.quote_name
    names = {quote(model._meta.db_table): model for model in relations}
    if not sql.startswith("SELECT") or not set(_TABLE.findall(sql)) <= names.keys():
        raise NotAsOf
    heads = []
    values: list[Any] = []
    for name, model in names.items():
        head, own = vendor.relation(model, relations[model])
        heads.append(f"{name} {head}")
        values += own
    return f"WITH {', '.join(heads)} {sql}", [*values, *(parameters or ())]


def unknown_columns(vendor: Vendor, relations: Relations, sql: str) -> list[str]:
    """The columns that the statement reads although some of these rows have no value there."""
    missing = {
        column
        for rows in relations.values()
        for found in rows
        if isinstance(found.row, Row)
        for column in found.row.missing
    }
    quote = vendor.connection.ops.quote_name
    return sorted(column for column in missing if f".{quote(column)}" in sql)
