"""Reads from the text of a SELECT where the order of rows shows in what it returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .statement_rows import COMBINE, Join, columns_of, grouped_by, only_table, read_by


class Order(NamedTuple):
    """An order that decides what a SELECT returns, and the tables that the SELECT reads.

    Each row of the first table comes once, if the columns by which others are joined are unique.
    """

    table: str  # the first one, without quotes; empty: what the SELECT reads is not clear
    columns: frozenset[str]  # the columns of the table in the order; else, all columns in it
    joined: frozenset[Join] = frozenset()
    #: By which names it calls the joined tables whose columns make its rows; None: all of them do.
    grouped: frozenset[str] | None = None
    complete: bool = False  # all columns that make one row are in the order


#: The limit that Django's get() uses to find one row, or to notice that there are several.
LOOKS_FOR_ONE = "21"
# Aggregates, and functions of windows, whose result depends on the order of rows.
SHOW_ORDER = frozenset(
    {"STRING_AGG", "GROUP_CONCAT", "ARRAY_AGG", "JSON_AGG", "JSONB_AGG", "JSON_OBJECT_AGG"}
    | {"JSONB_OBJECT_AGG", "XMLAGG", "JSON_GROUP_ARRAY", "JSON_GROUP_OBJECT", "ROW_NUMBER"}
    | {"LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE", "NTILE"}
)
TAKE_ROWS = frozenset({"LIMIT", "OFFSET", "FETCH"})
_CHOOSE = TAKE_ROWS | COMBINE | {"DISTINCT", "GROUP", "HAVING", "ORDER", "WINDOW", "OVER", "FOR"}


def is_cut(upper: Sequence[str]) -> bool:
    """Return whether a limit without an order lets the database choose which rows it returns.

    This does not apply to Django's get(), which needs to know whether there is a second row, nor
    to exists(), for which any row is as good as another.
    """
    ordered = [False]  # for each open SELECT: whether it has an order
    for place, word in enumerate(upper):
        if word == "(":
            ordered.append(False)
        elif word == ")":
            ordered.pop()
        elif word == "ORDER":
            ordered[-1] = True
        elif word in TAKE_ROWS and not ordered[-1]:
            value = upper[place + 1] if place + 1 < len(upper) else ""
            if value == LOOKS_FOR_ONE and len(ordered) == 1:
                continue
            if not (value == "1" and _asks_for_being(upper, len(ordered) - 1, place)):
                return True
    return False


def _asks_for_being(upper: Sequence[str], depth: int, place: int) -> bool:
    """Return whether the SELECT is ``SELECT 1 AS "a" FROM …``, as exists() sends it.

    Django may send the number as a parameter.
    """
    if depth == 0:
        return _selects_one(upper)
    level = 0
    for back in range(place - 1, -1, -1):
        level += (upper[back] == ")") - (upper[back] == "(")
        if level < 0:
            return upper[back - 1] == "EXISTS" and _selects_one(upper[back + 1 : back + 7])
    return False


def _selects_one(words: Sequence[str]) -> bool:
    return list(words[:4]) == ["SELECT", "1", "AS", '"A"'] or list(words[:5]) == [
        "SELECT", "%", "S", "AS", '"A"',
    ]  # fmt: skip


def listed_table(words: Sequence[str]) -> str:
    """Return what a SELECT calls the only table whose rows it gives, one for one and in no order.

    Empty if it joins, groups, orders, limits or computes: only the database knows what it gives.
    """
    upper = [word.upper() for word in words]
    if upper[:1] != ["SELECT"] or upper.count("SELECT") > 1 or not _CHOOSE.isdisjoint(upper):
        return ""
    selected = upper[: upper.index("FROM")] if "FROM" in upper else ["("]
    return "" if "(" in selected else only_table(words, upper)


def looks_for_one(upper: Sequence[str]) -> bool:
    """Return whether the statement has no order and the limit of Django's get()."""
    depth = 0
    for place, word in enumerate(upper):
        depth += (word == "(") - (word == ")")
        if word == "LIMIT" and not depth and upper[place + 1 : place + 2] == [LOOKS_FOR_ONE]:
            return _order_before(upper, place) is None
    return False


def orders(words: Sequence[str]) -> Iterator[tuple[Order, bool]]:
    """Yield each order that decides what a limit, an aggregate or a window gives.

    It comes with whether this is the limit of the whole statement.
    """
    upper = [word.upper() for word in words]
    depth = 0
    for place, word in enumerate(upper):
        depth += (word == "(") - (word == ")")
        if word in TAKE_ROWS:
            start = _order_before(upper, place)
            if start is not None:
                yield _taking(words, upper, start, _select_of(upper, place)), not depth
        elif word in SHOW_ORDER and upper[place + 1 : place + 2] == ["("]:
            end = _end_of_function(upper, place + 1)
            within = upper[place:end]
            start = place + within.index("ORDER") + 2 if "ORDER" in within else len(upper)
            yield _order(words, upper, start, _select_around(upper, place)), False
        elif word == "ON" and upper[place - 1] == "DISTINCT":
            start = _order_before(upper, _closed(upper, place - 2, depth=1))
            select = _select_around(upper, place)
            yield _order(words, upper, len(upper) if start is None else start, select), False


def _order(words: Sequence[str], upper: Sequence[str], start: int, select: int | None) -> Order:
    """Return the order that begins at `start`, of the SELECT at `select`, None if unclear."""
    columns = columns_of(words, upper, start, select)
    read = None if select is None else read_by(words, upper, select)
    if read is None:
        return Order("", frozenset(column for _, column in columns))
    own = frozenset(column for table, column in columns if table in read.names)
    return Order(read.table, own, frozenset(read.joins))


def _taking(words: Sequence[str], upper: Sequence[str], start: int, select: int | None) -> Order:
    """Return the order by which rows are taken of those that the SELECT makes."""
    order = _order(words, upper, start, select)
    groups = None if select is None else grouped_by(words, upper, select)
    if select is None or groups is None:
        return order
    complete = columns_of(words, upper, start, select).issuperset(groups)
    read = read_by(words, upper, select)
    if read is None:
        return order._replace(complete=complete)
    own = {column for table, column in groups if table in read.names}
    others = frozenset(table for table, _ in groups if table not in read.names)
    return order._replace(columns=order.columns & own, grouped=others, complete=complete)


def _select_of(upper: Sequence[str], end: int) -> int | None:
    """Return the place of the SELECT whose limit is at `end`; None if that is of several."""
    found = _select_around(upper, end)
    depth = 0
    for place in range(end - 1, -1 if found is None else found, -1):
        depth += (upper[place] == ")") - (upper[place] == "(")
        if depth < 0:
            return None
    before = [word for word in upper[max(found or 0, 2) - 2 : found or 0] if word != "ALL"]
    return None if before and before[-1] in COMBINE else found


def _select_around(upper: Sequence[str], end: int) -> int | None:
    """Return the place of the innermost SELECT to which the word at `end` belongs."""
    depth = lowest = 0
    for place in range(end - 1, -1, -1):
        depth += (upper[place] == ")") - (upper[place] == "(")
        lowest = min(lowest, depth)
        if upper[place] == "SELECT" and depth == lowest:
            return place
    return None


def _closed(upper: Sequence[str], start: int, depth: int = 0) -> int:
    """Return the place where the parenthesis that opens at `start` is closed, or this SELECT."""
    for place in range(start, len(upper)):
        depth += (upper[place] == "(") - (upper[place] == ")")
        if not depth:
            return place
    return len(upper)


def _end_of_function(upper: Sequence[str], opened: int) -> int:
    end = _closed(upper, opened)
    for before in (["FILTER"], ["WITHIN", "GROUP"], ["OVER"]):
        if [*upper[end + 1 : end + 2 + len(before)]] == [*before, "("]:
            end = _closed(upper, end + 1 + len(before))
    return end


def _order_before(upper: Sequence[str], end: int) -> int | None:
    """Return the place after the ORDER BY of the SELECT that ends here; None if it has none."""
    depth = 0
    for place in range(end - 1, -1, -1):
        depth += (upper[place] == ")") - (upper[place] == "(")
        if depth < 0:
            return None
        if upper[place] == "ORDER" and not depth:
            return place + 2
    return None
