"""Finds the functions in a statement that read tables, where no expression can hide the table."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache

from ...vendors import Vendor

_CALLED = re.compile(r"""'(?:[^']|'')*'|("(?:[^"]|"")*"|\b[^\W\d]\w*)\s*\(""")
#: What is followed by a parenthesis in most statements, and reads no table that it does not name.
_COMMON = frozenset(
    {"select", "from", "join", "where", "and", "or", "not", "on", "in", "as", "by", "over", "when"}
    | {"then", "else", "any", "all", "some", "exists", "filter", "values", "union", "using", "with"}
    | {"count", "sum", "min", "max", "avg", "coalesce", "lower", "upper", "length", "cast", "abs"}
)


class TableReaders:
    """The functions that may read tables, asked for once for each view of the database."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor

    def are_called_by(self, sql: str) -> bool:
        """Return whether the statement calls one of them."""
        names = _called(sql)
        return bool(names) and not names.isdisjoint(self._names)

    @cached_property
    def _names(self) -> frozenset[str]:
        return self.vendor.functions_that_read()


@lru_cache(maxsize=1024)
def _called(sql: str) -> frozenset[str]:
    """Return the names of the functions that the statement may call, without quotes."""
    found = (name.strip('"') if name[:1] == '"' else name.lower() for name in _CALLED.findall(sql))
    return frozenset(found) - _COMMON - {""}
