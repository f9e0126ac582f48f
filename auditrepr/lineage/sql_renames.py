"""Reads from SQL which tables it renames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlparse.lexer import tokenize
from sqlparse.tokens import Comment, Literal

_NAME = r"""(?: [^\W\d] [\w$]* | "(?:[^"]|"")+" | `[^`]+` | \[[^\]]+\] )"""
_RENAMES = re.compile(
    rf"""\b ALTER \s+ TABLE \s+ (?: IF \s+ EXISTS \s+ )? (?: ONLY \s+ )?
    (?: (?P<schema>{_NAME}) \s* \. \s* )? (?P<old>{_NAME})
    \s+ RENAME \s+ TO \s+ (?P<new>{_NAME})""",
    re.IGNORECASE | re.VERBOSE,
)
#: The schema whose tables need not say where they are.
_USUAL = "public"


def renamed_tables(sql: Any) -> Iterator[tuple[str, str]]:
    """Yield the old and the new name of each table, as the log has them.

    :param sql: the statements, as ``RunSQL`` takes them: a text, or a list of texts, or of pairs of
        a text and its parameters.
    """
    if isinstance(sql, list | tuple):
        for one in sql:
            yield from renamed_tables(one if isinstance(one, str) else one[0])
    elif "RENAME" in sql.upper():
        for found in _RENAMES.finditer(_without_texts(sql)):
            schema = _plain(found["schema"] or _USUAL)
            prefix = "" if schema == _USUAL else f"{schema}."
            yield prefix + _plain(found["old"]), prefix + _plain(found["new"])


def _without_texts(sql: str) -> str:
    """Return the SQL with a space for each comment and string, whose content may never run."""
    strings = (Literal, Literal.String.Single)  # the first one is in dollars
    tokens: Iterator[tuple[Any, str]] = tokenize(sql)  # type: ignore[no-untyped-call]
    return "".join(" " if kind in Comment or kind in strings else text for kind, text in tokens)


def _plain(name: str) -> str:
    """Return a name as the catalog has it: without quotes, it is in lower case there."""
    if name[0] == '"':
        return name[1:-1].replace('""', '"')
    return name[1:-1] if name[0] in "`[" else name.lower()
