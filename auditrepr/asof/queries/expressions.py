"""Puts common table expressions in front of a statement, which hide the tables of their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .statements import Statement

_WITH = re.compile(r"\s*WITH(\s+RECURSIVE)?\s", re.IGNORECASE)


class Expression(NamedTuple):
    """The SQL that replaces a table in a statement."""

    head: str = ""  # the common table expression; empty: the table is unchanged
    parameters: Sequence[Any] = ()
    # Columns without a value in some row, and why.
    unknown: frozenset[tuple[str, str]] = frozenset()
    key: tuple[str, ...] = ()  # its quoted columns, if some rows come from the log
    shared: bool = False  # several rows had the same key, so that some may be missing
    unfit: bool = False  # the order of the events that it rests on is unclear


def with_expressions(
    heads: Sequence[Expression], statement: Statement, sql: str, parameters: Any
) -> tuple[str, Any]:
    """Return the statement, with the expressions that replace its tables in front."""
    before = ", ".join(one.head for one in heads)
    own = [value for one in heads for value in one.parameters]
    if parameters is None:
        sql, parameters = sql.replace("%", "%%"), ()
    if isinstance(parameters, Mapping):
        names = [f"auditrepr_{n}" for n in range(len(own))]
        before = _by_name(before, names)
        parameters = {**parameters, **dict(zip(names, own, strict=True))}
    else:
        parameters = [*own, *parameters]
    if not statement.own_relations:
        return f"WITH {before} {sql}", parameters
    start = _WITH.match(sql)
    assert start is not None  # noqa: S101 - the parsed statement begins with WITH
    return f"{start[0]} {before}, {sql[start.end() :]}", parameters


def _by_name(sql: str, names: Sequence[str]) -> str:
    """Return the SQL with named placeholders for its parameters."""
    first, *others = sql.replace("%%", "\0").split("%s")
    places = zip(names, others, strict=True)
    return "".join([first, *(f"%({name})s{piece}" for name, piece in places)]).replace("\0", "%%")
