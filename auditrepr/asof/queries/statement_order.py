"""Reads from the text of a SELECT where the order of rows shows in what it returns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Order(NamedTuple):
    """An order that decides what a SELECT returns, and the tables that the SELECT reads.

    Each row of the first table comes once, if the columns by which others are joined are unique.
    """

    table: str  # the first one, without quotes; empty: what the SELECT reads is not clear
    columns: frozenset[str]  # the columns of the table in the order; else, all columns in it
    joined: frozenset[tuple[str, str]] = frozenset()  # each table joined, and by which column of it


#: The limit that Django's get() uses to find one row, or to notice that there are several.
LOOKS_FOR_ONE = "21"
# Aggregates, and functions of windows, whose result depends on the order of rows.
SHOW_ORDER = frozenset(
    {"STRING_AGG", "GROUP_CONCAT", "ARRAY_AGG", "JSON_AGG", "JSONB_AGG", "JSON_OBJECT_AGG"}
    | {"JSONB_OBJECT_AGG", "XMLAGG", "JSON_GROUP_ARRAY", "JSON_GROUP_OBJECT", "ROW_NUMBER"}
    | {"LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE", "NTILE"}
)
_ENDS_ORDER = frozenset({"LIMIT", "OFFSET", "FETCH", "FOR", "ROWS", "RANGE", "GROUPS", ";"})
_HOW = frozenset({"ASC", "DESC", "NULLS", "FIRST", "LAST"})
TAKE_ROWS = frozenset({"LIMIT", "OFFSET", "FETCH"})
_COMBINE = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_CHOOSE = TAKE_ROWS | _COMBINE | {"DISTINCT", "GROUP", "HAVING", "ORDER", "WINDOW", "OVER", "FOR"}
_ENDS_FROM = _ENDS_ORDER | _COMBINE | {"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "SELECT"}
_NAMED = r'("[^"]*"|\w+)'
_READ = rf"{_NAMED}(?: (?:AS )?(?!INNER |LEFT )(?!ON ){_NAMED})?"
_FIRST = re.compile(rf"FROM {_READ}", re.IGNORECASE)
# As Django writes a join: the column of the joined table comes last.
_JOINED = re.compile(
    rf" (?:INNER|LEFT OUTER) JOIN {_READ} ON \( {_NAMED} \. {_NAMED} = {_NAMED} \. {_NAMED} \)",
    re.IGNORECASE,
)


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
    read = _from(words, upper, 0)
    first = _FIRST.fullmatch(read) if "(" not in selected else None
    return (first[2] or first[1]) if first else ""


def looks_for_one(upper: Sequence[str]) -> bool:
    """Return whether the statement has no order and the limit of Django's get()."""
    depth = 0
    for place, word in enumerate(upper):
        depth += (word == "(") - (word == ")")
        if word == "LIMIT" and not depth and upper[place + 1 : place + 2] == [LOOKS_FOR_ONE]:
            return _order_before(upper, place) is None
    return False


def orders(words: Sequence[str]) -> Iterator[Order]:
    """Yield each order that decides what a limit, an aggregate or a window gives."""
    upper = [word.upper() for word in words]
    for place, word in enumerate(upper):
        if word in TAKE_ROWS:
            start = _order_before(upper, place)
            if start is not None:
                yield _order(words, upper, start, _select_of(upper, place))
        elif word in SHOW_ORDER and upper[place + 1 : place + 2] == ["("]:
            end = _end_of_function(upper, place + 1)
            within = upper[place:end]
            start = place + within.index("ORDER") + 2 if "ORDER" in within else len(upper)
            yield _order(words, upper, start, _select_around(upper, place))
        elif word == "ON" and upper[place - 1] == "DISTINCT":
            start = _order_before(upper, _closed(upper, place - 2, depth=1))
            select = _select_around(upper, place)
            yield _order(words, upper, len(upper) if start is None else start, select)


def _order(words: Sequence[str], upper: Sequence[str], start: int, select: int | None) -> Order:
    """Return the order that begins at `start`, of the SELECT at `select`, None if unclear."""
    columns = set(_columns(words, upper, start))
    read = "" if select is None else _from(words, upper, select)
    first = _FIRST.match(read)
    joins = list(_JOINED.finditer(read, first.end())) if first else []
    known = sum(len(join[0]) for join in joins if join[5] == (join[2] or join[1]) != join[3])
    if not first or first.end() + known < len(read):
        return Order("", frozenset(column for _, column in columns))
    own = {_unquoted(first[2] or first[1])} | (set() if joins else {""})
    return Order(
        table=_unquoted(first[1]),
        columns=frozenset(column for table, column in columns if table in own),
        joined=frozenset((_unquoted(join[1]), _unquoted(join[6])) for join in joins),
    )


def _unquoted(name: str) -> str:
    return name.strip('"')


def _select_of(upper: Sequence[str], end: int) -> int | None:
    """Return the place of the SELECT whose limit is at `end`; None if that is of several."""
    found = _select_around(upper, end)
    depth = 0
    for place in range(end - 1, -1 if found is None else found, -1):
        depth += (upper[place] == ")") - (upper[place] == "(")
        if depth < 0:
            return None
    before = [word for word in upper[max(found or 0, 2) - 2 : found or 0] if word != "ALL"]
    return None if before and before[-1] in _COMBINE else found


def _select_around(upper: Sequence[str], end: int) -> int | None:
    """Return the place of the innermost SELECT to which the word at `end` belongs."""
    depth = lowest = 0
    for place in range(end - 1, -1, -1):
        depth += (upper[place] == ")") - (upper[place] == "(")
        lowest = min(lowest, depth)
        if upper[place] == "SELECT" and depth == lowest:
            return place
    return None


def _from(words: Sequence[str], upper: Sequence[str], select: int) -> str:
    """Return what the SELECT reads, from FROM on, with one blank between two words."""
    start = None
    depth = 0
    for place in range(select + 1, len(words)):
        depth += (upper[place] == "(") - (upper[place] == ")")
        if depth < 0 or (start is not None and not depth and upper[place] in _ENDS_FROM):
            return " ".join(words[start:place]) if start is not None else ""
        if upper[place] == "FROM" and not depth and start is None:
            start = place
    return " ".join(words[start:]) if start is not None else ""


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


def _columns(words: Sequence[str], upper: Sequence[str], start: int) -> Iterator[tuple[str, str]]:
    """Yield the terms of an order that are columns, each after its table or alias, if any."""
    term: list[str] = []
    depth = 0
    for place in range(start, len(words) + 1):
        word = upper[place] if place < len(words) else ")"
        depth += (word == "(") - (word == ")")
        ends = depth < 0 or (not depth and word in _ENDS_ORDER)
        if ends or (not depth and word == ","):
            if len(term) == 1 or (len(term) == 3 and term[1] == "."):
                yield _unquoted(term[0]) if len(term) == 3 else "", _unquoted(term[-1])
            term = []
        elif word not in _HOW:
            term.append(words[place])
        if ends:
            return
