"""What kind of statement an SQL text is."""

from __future__ import annotations

import re
from typing import Any

# Other statements change no table, or are writes, which must be recorded.
_CHANGES_A_TABLE = re.compile(
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


def may_write(sql: Any) -> bool:
    """Return whether the SQL may write: anything except a query that reads from a table."""
    if not isinstance(sql, str) or _BEGINS_WITH_WRITE.match(sql):
        return True
    return ";" in sql and _GOES_ON_WITH_WRITE.search(sql) is not None
