"""Reads from the text of a SELECT which tables it reads, and of what it makes each of its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Join(NamedTuple):
    """A table that is joined to another one by equal values of two columns."""

    table: str
    column: str  # of this table
    name: str  # by which the statement calls it
    of: str  # by which it calls the other table


class Read(NamedTuple):
    """The first table of a SELECT, and what is joined to it."""

    table: str  # without quotes
    names: frozenset[str]  # by which the statement calls it; empty for a column without a table
    joins: tuple[Join, ...]


#: A table and a column, as an order or a group names them.
Column = tuple[str, str]
#: Stands for a term that is not a column.
OTHER = ("", "")

ENDS_ORDER = frozenset({"LIMIT", "OFFSET", "FETCH", "FOR", "ROWS", "RANGE", "GROUPS", ";"})
COMBINE = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_ENDS_FROM = ENDS_ORDER | COMBINE | {"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "SELECT"}
_HOW = frozenset({"ASC", "DESC", "NULLS", "FIRST", "LAST"})
_NAMED = r'("[^"]*"|\w+)'
_TABLE = rf"{_NAMED}(?: (?:AS )?(?!INNER |LEFT )(?!ON ){_NAMED})?"
_FIRST = re.compile(rf"FROM {_TABLE}", re.IGNORECASE)
# As Django writes a join: the column of the joined table comes last.
_JOINED = re.compile(
    rf" (?:INNER|LEFT OUTER) JOIN {_TABLE} ON \( {_NAMED} \. {_NAMED} = {_NAMED} \. {_NAMED} \)",
    re.IGNORECASE,
)


def read_by(words: Sequence[str], upper: Sequence[str], select: int) -> Read | None:
    """Return what the SELECT at this place reads; None if that is not clear."""
    text = from_text(words, upper, select)
    first = _FIRST.match(text)
    joins = list(_JOINED.finditer(text, first.end())) if first else []
    known = sum(len(one[0]) for one in joins if one[5] == (one[2] or one[1]) != one[3])
    if not first or first.end() + known < len(text):
        return None
    own = {_unquoted(first[2] or first[1])} | (set() if joins else {""})
    found = (
        Join(*(_unquoted(part) for part in (one[1], one[6], one[2] or one[1], one[3])))
        for one in joins
    )
    return Read(_unquoted(first[1]), frozenset(own), tuple(found))


def only_table(words: Sequence[str], upper: Sequence[str]) -> str:
    """Return what a SELECT calls the only table that it reads; empty if it reads another."""
    found = _FIRST.fullmatch(from_text(words, upper, 0))
    return (found[2] or found[1]) if found else ""


def from_text(words: Sequence[str], upper: Sequence[str], select: int) -> str:
    """Return what the SELECT reads, from FROM on, with one blank between two words."""
    start = None
    for place in _own_places(upper, select):
        if start is not None and upper[place] in _ENDS_FROM:
            return " ".join(words[start:place])
        if start is None and upper[place] == "FROM":
            start = place
    return "" if start is None else " ".join(words[start : _end(upper, select)])


def grouped_by(words: Sequence[str], upper: Sequence[str], select: int) -> list[Column] | None:
    """Return the columns whose values make one row of the SELECT; None if it does not group.

    :data:`OTHER` stands for anything else that does.
    """
    if upper[select + 1] == "DISTINCT":
        return None if upper[select + 2] == "ON" else _selected(words, upper, select)
    group = next((place for place in _own_places(upper, select) if upper[place] == "GROUP"), None)
    if group is None:
        return None
    terms = _terms(words, upper, group + 2, _ENDS_FROM)
    selected = _selected(words, upper, select)
    return [_meant(_column(term), selected) for term in terms]


def columns_of(
    words: Sequence[str], upper: Sequence[str], start: int, select: int | None
) -> set[Column]:
    """Return the terms of the order at this place that are columns, each after its table, if any.

    :param select: the place of the SELECT to whose columns numbers refer, if any.
    """
    selected = [] if select is None else _selected(words, upper, select)
    terms = _terms(words, upper, start, ENDS_ORDER)
    columns = (_column([word for word in term if word.upper() not in _HOW]) for term in terms)
    return {_meant(column, selected) for column in columns if column != OTHER}


def _selected(words: Sequence[str], upper: Sequence[str], select: int) -> list[Column]:
    start = select + 1 + (upper[select + 1] in ("DISTINCT", "ALL"))
    terms = _terms(words, upper, start, frozenset({"FROM"}))
    return [_column(term[:-2] if "AS" in term[-2:-1] else term) for term in terms]


def _meant(column: Column, selected: Sequence[Column]) -> Column:
    """Return the column; if it is the number of a selected one, that one."""
    number = int(column[1]) if not column[0] and column[1].isdecimal() else 0
    named = selected[number - 1] if 0 < number <= len(selected) else OTHER
    return column if named == OTHER else named


def _column(term: Sequence[str]) -> Column:
    if len(term) == 1 or (len(term) == 3 and term[1] == "."):
        return _unquoted(term[0]) if len(term) == 3 else "", _unquoted(term[-1])
    return OTHER


def _terms(
    words: Sequence[str], upper: Sequence[str], start: int, ends: frozenset[str]
) -> Iterator[list[str]]:
    """Yield the words of each term of a list, which ends with one of these words."""
    term: list[str] = []
    depth = 0
    for place in range(start, len(words) + 1):
        word = upper[place] if place < len(words) else ")"
        depth += (word == "(") - (word == ")")
        is_end = depth < 0 or (not depth and word in ends)
        if is_end or (not depth and word == ","):
            yield term
            term = []
        else:
            term.append(words[place])
        if is_end:
            return


def _own_places(upper: Sequence[str], select: int) -> Iterator[int]:
    """Yield the places of the words of a SELECT that are in no parenthesis of it."""
    depth = 0
    for place in range(select + 1, _end(upper, select)):
        depth += (upper[place] == "(") - (upper[place] == ")")
        if not depth:
            yield place


def _end(upper: Sequence[str], select: int) -> int:
    """Return the place where the parenthesis that the SELECT is in ends, or the statement."""
    depth = 0
    for place in range(select + 1, len(upper)):
        depth += (upper[place] == "(") - (upper[place] == ")")
        if depth < 0:
            return place
    return len(upper)


def _unquoted(name: str) -> str:
    return name.strip('"')
