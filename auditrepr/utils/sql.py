"""Statements on their way to a database, and what kind an SQL text is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple


class Statement(NamedTuple):
    """What Django gives an execute_wrapper: a statement, and what runs it."""

    execute: Callable[..., Any]
    sql: Any
    parameters: Any
    many: bool
    context: dict[str, Any]  # the connection and the cursor

    def run(self) -> Any:
        """Run it, and return what it returns."""
        return self.execute(self.sql, self.parameters, self.many, self.context)


# Other statements change no table, or are writes, which must be recorded.
CHANGES_A_TABLE = re.compile(
    r"(?: \s | --[^\n]*\n | /\*.*?\*/ )* (?:ALTER|DROP) \s+ (?:FOREIGN\s+)? TABLE \b",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)

# A SELECT without a table is run for the effect of a function.
_WRITE = r"""(?: \s | --[^\n]*\n | /\*.*?\*/ | \( )*+
    (?: INSERT | UPDATE | DELETE | REPLACE | MERGE | TRUNCATE | COPY | EXECUTE | CALL | DO
      | EXPLAIN \b (?= .* \b ANALY[SZ]E \b )
      | WITH \b (?= .* \b (?: INSERT | UPDATE | DELETE | MERGE | REPLACE ) \b )
      | SELECT \b (?! .* \b FROM \b ) ) \b"""
_BEGINS_WITH_WRITE = re.compile(_WRITE, re.IGNORECASE | re.VERBOSE | re.DOTALL)
# In a text of several statements; one inside a string counts, too.
_GOES_ON_WITH_WRITE = re.compile(f";{_WRITE}", re.IGNORECASE | re.VERBOSE | re.DOTALL)

_LOCKING = re.compile(
    r"""(?: \s+ FOR \s+ (?: (?: NO \s+ KEY \s+ )? UPDATE | (?: KEY \s+ )? SHARE ) \b
        (?: \s+ OF \s+ [\w\s",.]+? )? (?: \s+ NOWAIT | \s+ SKIP \s+ LOCKED )? )+
        (?= \s* ;? \s* \Z )""",
    re.IGNORECASE | re.VERBOSE,
)


def unlocked(sql: str) -> str:
    """Return the query without the clauses at its end that lock the rows which it returns."""
    return _LOCKING.sub("", sql)


def may_write(sql: Any) -> bool:
    """Return whether the SQL may write: anything except a query that reads from a table."""
    if not isinstance(sql, str) or _BEGINS_WITH_WRITE.match(sql):
        return True
    return ";" in sql and _GOES_ON_WITH_WRITE.search(sql) is not None
