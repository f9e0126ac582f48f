"""Finds out which rows a limit takes, and whether the order distinguishes them from the next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from .statement_order import SHOW_ORDER, TAKE_ROWS

#: A limit that no result reaches.
MOST = 2**62


class Taken(NamedTuple):
    """A SELECT that takes some of its rows by an order, in parts."""

    rows: str  # from FROM to the order
    order: str
    before: int  # how many parameters come before the rows, in the rows, and in the order
    within: int
    by: int
    first: int
    number: int | None  # None: all

    def places(self) -> str:
        """Return a SELECT of the places of the rows that it takes, and of those next to them.

        Rows have the same place if the order does not tell them apart.
        """
        skipped = max(self.first - 1, 0)
        number = MOST if self.number is None else self.first - skipped + self.number + 1
        return (
            f"SELECT rank() OVER (ORDER BY {self.order}) {self.rows} "
            f"ORDER BY {self.order} LIMIT {number} OFFSET {skipped}"
        )

    def parameters(self, given: Sequence[object]) -> list[object]:
        """Return the parameters of that SELECT, from those of the statement."""
        order = self.before + self.within
        by = list(given[order : order + self.by])
        return [*by, *given[self.before : order], *by]


# Syntax that makes it impossible to split the statement, or that has its own parameters.
_UNCLEAR = re.compile(
    r"'|%\(|SELECT DISTINCT|\b(GROUP BY|UNION|INTERSECT|EXCEPT|OVER)\b|.\bSELECT\b|FROM.*\bFROM\b",
    re.DOTALL,
)
# Where the order of rows shows in a value, which rows are taken is not all that matters.
_SHOWS_ORDER = re.compile(rf"\b(?:{'|'.join(sorted(SHOW_ORDER))})\s*\(", re.IGNORECASE)
# SQLite writes an offset alone as the offset after a limit of -1.
_PARTS = re.compile(
    r"(SELECT .*) (FROM .*) ORDER BY (.*?)(?: LIMIT (-1|\d+))?(?: OFFSET (\d+))?", re.DOTALL
)


@lru_cache(maxsize=1024)
def taken(sql: str) -> Taken | None:
    """Return the parts of the statement; None if the statement is more complex."""
    unclear = _UNCLEAR.search(sql) or _SHOWS_ORDER.search(sql)
    found = None if unclear else _PARTS.fullmatch(sql)
    if found is None or "ORDER BY" in found[2] or not (found[4] or found[5]):
        return None
    select, rows, order, number, first = found.groups()
    if not TAKE_ROWS.isdisjoint(order.upper().split()):
        return None
    named = {alias.strip('"') for alias in re.findall(r'\bAS ("[^"]*"|\w+)', select)}
    terms = [term.strip().partition(" ")[0].strip('"') for term in order.split(",")]
    if any(term.isdigit() or term in named for term in terms):
        return None  # it refers to what is selected
    before, within, by = (part.replace("%%", "").count("%s") for part in (select, rows, order))
    most = None if number in (None, "-1") else int(number)
    return Taken(rows, order, before, within, by, int(first or 0), most)
