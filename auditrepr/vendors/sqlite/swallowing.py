"""Finds triggers that keep events from the log although other triggers write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..capture_types import Swallower
from .quoting import quoted

_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?\*/|(?P<token>"(?:[^"]|"")*"|\[[^]]*\]|`(?:[^`]|``)*`|'(?:[^']|'')*'|\w+|\S)""",
    re.DOTALL,
)
_NAME = r"\S+( \. \S+)?"
#: A trigger without BEFORE or AFTER is one of BEFORE.
_BEFORE_INSERT = re.compile(rf"CREATE (TEMP )?TRIGGER {_NAME} (BEFORE )?INSERT ")


def swallowing(log: str, found: Sequence[Sequence[Any]]) -> tuple[Swallower, ...]:
    """Return the triggers of the log that can ignore an event.

    :param found: the name, the table and the SQL of each trigger.
    """
    return tuple(
        Swallower(f"trigger {quoted(name)} on {log}", f"DROP TRIGGER {quoted(name)}")
        for name, table, sql, *_ in sorted(found, key=lambda row: str(row[0]))
        if table.lower() == log and _ignores(sql)
    )


def _ignores(sql: str) -> bool:
    tokens = (found["token"] for found in _TOKEN.finditer(sql) if found["token"])
    text = " ".join(_plain(token) for token in tokens)
    return bool(_BEFORE_INSERT.match(text)) and "RAISE ( IGNORE )" in text


def _plain(token: str) -> str:
    """Return a keyword in capitals, and a word for anything quoted, which may look like some."""
    return "quoted" if token[0] in "\"'`[" else token.upper()
