"""Replaces the tables of a query by the rows of another moment.

A common table expression hides the table of the same name from the rest of its statement: what
Django compiled runs unchanged, with the database's own semantics, on rows that the log provides.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db.models import Model

from ..utils.model_meta import key_parts
from ..vendors import Vendor
from ..vendors.types import NOT_RECORDED, Found, Row

_WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--|/\*|\w+|[^\s\w]""")
_ENDS_FROM = frozenset({"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH"})
# Other kinds of strings, comments, and other ways to name a table.
_UNREADABLE = frozenset({"--", "/*", "$", "\\", "TABLE", "LATERAL", "ONLY"})

Relations = Mapping[type[Model], Sequence[Found]]


class NotAsOf(Exception):
    """Raised when a query uses a table whose rows at the moment are unknown."""


def _reads_only(sql: str, names: Collection[str]) -> bool:
    """Return whether the query reads each of these tables at most once, and no other.

    False if unsure. The rows replace a table where the query is restricted to them; a second use of
    the table is not restricted.
    """
    words = _WORD.findall(sql)
    read: list[str] = []
    inside_from: set[int] = set()  # the parenthesis depths of the FROM clauses that are still open
    depth = 0
    for place, word in enumerate(map(str.upper, words)):
        if word in _UNREADABLE or (word == "," and depth in inside_from):
            return False
        if word == "(":
            depth += 1
        elif word == ")":
            inside_from.discard(depth)
            depth -= 1
        elif word in ("FROM", "JOIN"):
            inside_from.add(depth)
            read.append(_table(words[place + 1 :]))
        elif word in _ENDS_FROM:
            inside_from.discard(depth)
    tables = [name for name in read if name != "SELECT"]
    return words[0] == "SELECT" and set(tables) <= set(names) and len(set(tables)) == len(tables)


def _table(words: Sequence[str]) -> str:
    """Return what FROM or JOIN reads: a quoted table, a SELECT, or something else."""
    name, *following = [word for word in words[:8] if word != "("] or [""]
    return "" if following[:1] == ["."] else name


def substituted(
    vendor: Vendor, relations: Relations, sql: str, parameters: Any
) -> tuple[str, list[Any]]:
    """Return the statement with these relations in place of the tables.

    :raises NotAsOf: if it is not a query, uses any other table, or a table's key is composite.
    """
    quote = vendor.connection.ops.quote_name
    names = {quote(model._meta.db_table): model for model in relations}
    composite = any(len(key_parts(model._meta.pk)) > 1 for model in relations)
    if composite or not _reads_only(sql, names.keys()):
        raise NotAsOf
    heads = []
    values: list[Any] = []
    for name, model in names.items():
        relation = vendor.relation(model, relations[model])
        if relation is None:
            raise NotAsOf
        head, own = relation
        heads.append(f"{name} {head}")
        values += own
    return f"WITH {', '.join(heads)} {sql}", [*values, *(parameters or ())]


def unknown_columns(vendor: Vendor, relations: Relations, sql: str) -> list[tuple[str, str]]:
    """Return the columns that the statement reads although some rows lack a value there, and why.

    A column may come more than once.
    """
    missing = {
        (column, why)
        for rows in relations.values()
        for found in rows
        if isinstance(found.row, Row)
        for column, why in found.row.missing.items()
    }
    quote = vendor.connection.ops.quote_name
    return sorted((column, why) for column, why in missing if f".{quote(column)}" in sql)


def never_known(relations: Relations) -> dict[type[Model], set[str]]:
    """Return the columns that are not recorded in any of the rows, by their models."""
    return {
        model: set.intersection(
            *({c for c, why in row.missing.items() if why == NOT_RECORDED} for row in rows)
        )
        for model, found in relations.items()
        if (rows := [one.row for one in found if isinstance(one.row, Row)])
    }
