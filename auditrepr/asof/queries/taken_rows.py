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
_UNREADABLE = re.compile(r"'|%\(|\bDISTINCT ON\b")
_NAME = re.compile(r'"[^"]*"')
_INNERMOST = re.compile(r"\(([^()]*)\)")
_UNCLEAR = re.compile(
    r"SELECT DISTINCT|\b(GROUP BY|UNION|INTERSECT|EXCEPT|OVER)\b|.\bSELECT\b|FROM.*\bFROM\b",
    re.DOTALL,
)
_TAKES = re.compile(rf"\b(?:{'|'.join(sorted(TAKE_ROWS))})\b", re.IGNORECASE)
# Where the order of rows shows in a value, which rows are taken is not all that matters.
_SHOWS_ORDER = re.compile(rf"\b(?:{'|'.join(sorted(SHOW_ORDER))})\s*\(", re.IGNORECASE)
# SQLite writes an offset alone as the offset after a limit of -1.
_PARTS = re.compile(
    r"(SELECT .*) (FROM .*) ORDER BY (.*?)(?: LIMIT (-1|\d+))?(?: OFFSET (\d+))?", re.DOTALL
)


@lru_cache(maxsize=1024)
def taken(sql: str) -> Taken | None:
    """Return the parts of the statement; None if the statement is more complex."""
    if any("(" in name or ")" in name for name in _NAME.findall(sql)):
        return None
    outer = _outer(sql)
    # A subquery with an order may take rows, too.
    within = sql.upper().count("ORDER BY") > outer.upper().count("ORDER BY")
    unclear = within or _UNREADABLE.search(sql) or _UNCLEAR.search(outer)
    found = None if unclear or _SHOWS_ORDER.search(sql) else _PARTS.fullmatch(outer)
    if found is None or "ORDER BY" in found[2] or not (found[4] or found[5]):
        return None
    number, first = found[4], found[5]
    if _refers_to_selected(found[1], found[3]):
        return None
    select, rows, order = (sql[slice(*found.span(n))] for n in (1, 2, 3))
    before, inside, by = (part.replace("%%", "").count("%s") for part in (select, rows, order))
    most = None if number in (None, "-1") else int(number)
    return Taken(rows, order, before, inside, by, int(first or 0), most)


def _outer(sql: str) -> str:
    """Return the statement, as long as it is, with nothing of what is in parentheses."""
    count = 1
    while count:
        sql, count = _INNERMOST.subn(lambda found: f"[{'_' * len(found[1])}]", sql)
    return sql


def _refers_to_selected(select: str, order: str) -> bool:
    """Return whether a term of the order refers to what is selected, or the order goes on."""
    named = {alias.strip('"') for alias in re.findall(r'\bAS ("[^"]*"|\w+)', select)}
    terms = [term.strip().partition(" ")[0].strip('"') for term in order.split(",")]
    return bool(_TAKES.search(order)) or any(term.isdigit() or term in named for term in terms)
