"""The condition that a row holds one of many texts, in PostgreSQL's SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func, TextField
from django.db.models.functions import Cast
from django.db.models.sql.compiler import SQLCompiler

from ..sought import Sought, Stretch

#: Stretches in one condition; with more of them, each row is checked in Python.
MOST = 1_000
# Of the columns there is one text, made once. Letters of ASCII are small in it, in every locale,
# and others are as in what is sought. No regular expression is asked before a plain search: with
# many alternatives, or with conditions on what is around, it takes a hundred times as long.
CONDITION = """
(SELECT {conditions} FROM (
    SELECT {folded} AS said FROM (
        SELECT lower(concat_ws(' ', {columns}) COLLATE "C") AS small OFFSET 0
    ) AS columns OFFSET 0
) AS document)"""
FOLDED = "CASE length(small) WHEN octet_length(small) THEN small ELSE translate(small, %s, %s) END"
HAS = "strpos(said, %s) > 0"
# Digits that escape a character are not part of a number.
_NO_NUMBER_BEFORE = (
    r"(?:(?<![0-9])|(?<=%[0-9a-f][0-9a-f])|(?<=\\x[0-9a-f][0-9a-f])"
    r"|(?<=\\u[0-9a-f][0-9a-f][0-9a-f][0-9a-f]))"
)


class Names(Func):
    """Whether one of the columns holds one of the stretches."""

    output_field = BooleanField()

    def __init__(self, columns: Sequence[str], sought: Sought) -> None:
        super().__init__(*(Cast(column, TextField()) for column in columns))
        self.sought = sought

    def as_sql(  # type: ignore[override]
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        columns = [compiler.compile(part) for part in self.get_source_expressions()]
        folded, table = _folded(self.sought.folded.table)
        conditions = [_condition(one) for one in self.sought.stretches]
        sql = CONDITION.format(
            conditions=" OR ".join(sql for sql, _ in conditions),
            folded=folded,
            columns=", ".join(sql for sql, _ in columns),
        )
        parameters = [value for _, values in conditions for value in values]
        return sql, (*parameters, *table, *(value for _, values in columns for value in values))


def _folded(table: Mapping[int, str]) -> tuple[str, list[str]]:
    """Return the SQL that folds all letters but those of ASCII."""
    others = {chr(code): one for code, one in table.items() if code > 127 and chr(code) != one}
    if not others:
        return "small", []
    return FOLDED, ["".join(others), "".join(others.values())]


def _condition(stretch: Stretch) -> tuple[str, list[str]]:
    text, before, after = stretch
    if not (before or after):
        return HAS, [text]
    start, end = _NO_NUMBER_BEFORE if before else "", "(?![0-9])" if after else ""
    return f"({HAS} AND said ~ %s)", [text, f"{start}{re.escape(text)}{end}"]
