"""Reads from the text of a SELECT which tables and columns it uses; rejects it if in doubt.

A common table expression hides the table of the same name wherever the statement reads it. So it
is enough to know which tables a statement names, and that it names them in no other way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from .statement_order import Order, is_cut, listed_table, looks_for_one, orders

_WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--|/\*|\w+|[^\s\w]""")
# Other kinds of strings, comments, several statements, and other ways to name or lock a table.
_UNREADABLE = frozenset(
    {"--", "/*", "$", "\\", ";", "TABLE", "LATERAL", "ONLY", "TABLESAMPLE", "INTO", "CTID", "XMIN"}
    | {"XMAX", "TABLEOID", "OID", "ROWID", "_ROWID_", "INSERT", "UPDATE", "DELETE", "MERGE"}
    | {"NATURAL", "INDEXED"}  # which reads all columns; of a table only
)
_COMMENT = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_ENDS_FROM = frozenset(
    {"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR"}
    | {"UNION", "INTERSECT", "EXCEPT", "SELECT"}
)
# Functions whose arguments may contain the word FROM.
_TAKE_FROM = frozenset({"EXTRACT", "SUBSTRING", "TRIM", "OVERLAY"})
_NO_TABLE = frozenset({"SELECT", "VALUES", "WITH"})
_BEFORE_TABLE = frozenset({"FROM", "JOIN", ",", "("})
_NAME = re.compile(r'"|\w')
# What may follow a table that has no alias.
_AFTER_TABLE = _ENDS_FROM | frozenset(
    {"JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "ON", "USING", "AND", "OR", "AS"}
)


@dataclass(frozen=True)
class Statement:
    """The tables and columns that a SELECT uses, and its form."""

    tables: frozenset[str]  # without quotes, as the database knows them
    columns: frozenset[str]  # every name that may be a column's
    all_columns: bool  # a * stands for all columns of some tables
    recursive: bool  # the statement begins with WITH RECURSIVE
    own_relations: bool  # the statement begins with WITH
    cut: bool  # a limit without an order: the database chooses the rows
    looks_for_one: bool  # it has no order, and the limit of Django's get()
    listed: str  # what it calls the only table, if it gives the rows of that one for one, unordered
    orders: frozenset[Order]  # what it orders by, wherever the order of rows shows
    within: frozenset[Order]  # those of them that decide more than which rows are taken in the end


@lru_cache(maxsize=1024)
def read(sql: str, strict: bool) -> Statement | None:
    """Return the statement, or None if it is not a SELECT or cannot be parsed with certainty.

    :param strict: the database folds unquoted names to lower case, may treat a backslash as an
        escape, and requires GROUP BY to name all selected columns.
    """
    words = _WORD.findall(sql)
    upper = [word.upper() for word in words]
    verb = next((word for word in upper if word != "("), "")
    if verb not in ("SELECT", "WITH") or not _UNREADABLE.isdisjoint(upper):
        return None
    if _has_other_strings(sql) or (strict and "\\" in sql):
        return None
    all_columns = _reads_all_columns(words)
    if strict and (_groups_by_less(words, upper) or (all_columns and "GROUP" in upper)):
        return None
    read_at = list(_read_after_from(upper))
    named = [_table(words[place:]) for place in read_at]
    own = {_plain(one, strict) for one in _own_relations(words, upper) if upper[0] == "WITH"}
    if "" in named or (not strict and _compares_with_table(words)):
        return None
    if strict and _reads_whole_rows(words, read_at, own):
        return None
    every = list(orders(words))
    tables = {_plain(name, strict) for name in named if name.upper() not in _NO_TABLE}
    return Statement(
        tables=frozenset(tables - own),
        columns=frozenset(
            word.strip('"') for word in words if word[0] == '"' or word.isidentifier()
        ),
        all_columns=all_columns,
        recursive=upper[:2] == ["WITH", "RECURSIVE"],
        own_relations=upper[0] == "WITH",
        cut=is_cut(upper),
        looks_for_one=looks_for_one(upper),
        listed=listed_table(words),
        orders=frozenset(order for order, _ in every),
        within=frozenset(order for order, last in every if not last),
    )


def uncommented(sql: str) -> str:
    """Return the SQL without its comments; those that hold other comments or parameters stay."""

    def found(part: re.Match[str]) -> str:
        return part[0] if part[1] or "%" in part[0] or "/*" in part[0][2:] else " "

    return _COMMENT.sub(found, sql) if "--" in sql or "/*" in sql else sql


def _has_other_strings(sql: str) -> bool:
    """Return whether the SQL has E'…', U&'…' or similar strings, which have other rules."""
    end = -1
    for word in _WORD.finditer(sql):
        if word[0][0] == "'" and word.start() == end:
            return True
        end = word.end() if word[0].isidentifier() or word[0] == "&" else -1
    return False


def _plain(name: str, strict: bool) -> str:
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name.lower() if strict else name


def _read_after_from(upper: Sequence[str]) -> Iterator[int]:
    """Yield the place after each FROM and JOIN, and each comma of a FROM; the end if unclear."""
    from_at: set[int] = set()  # the parenthesis depths of the FROM clauses that are still open
    functions: list[bool] = []  # for each open parenthesis: whether its function takes FROM
    for place, word in enumerate(upper):
        depth = len(functions)
        if word == "(":
            functions.append(place > 0 and upper[place - 1] in _TAKE_FROM)
            if depth in from_at and upper[place - 1] in _BEFORE_TABLE:
                from_at.add(depth + 1)  # SQLite allows FROM (a, b)
        elif word == ")":
            from_at.discard(depth)
            if not functions:
                yield len(upper)
                return
            functions.pop()
        elif word in _ENDS_FROM:
            from_at.discard(depth)
        elif word == "FROM" and (_is_comparison(upper, place) or (functions and functions[-1])):
            continue
        elif word in ("FROM", "JOIN") or (word == "," and depth in from_at):
            from_at.add(depth)
            yield place + 1


def _is_comparison(upper: Sequence[str], place: int) -> bool:
    """Return whether the FROM at `place` belongs to IS [NOT] DISTINCT FROM."""
    return upper[place - 1] == "DISTINCT" and upper[place - 2] in ("IS", "NOT")


def _table(words: Sequence[str]) -> str:
    """Return what FROM or JOIN reads: a table as written, SELECT, or "" for something else."""
    name, *following = [word for word in words[:12] if word != "("] or [""]
    if name.upper() in _NO_TABLE:
        return name
    is_name = name.startswith('"') or name.isidentifier()
    # A name before a dot is a schema's; before a parenthesis, a function's.
    return name if is_name and following[:1] != ["."] and words[1:2] != ["("] else ""


def _reads_whole_rows(words: Sequence[str], read_at: Sequence[int], own: Collection[str]) -> bool:
    """Return whether a table, or its alias, is used as a value, as in PostgreSQL's ``to_json(t)``.

    The value has all columns of the table, those that are not in the log among them.
    """
    defined: Counter[str] = Counter()
    for place in read_at:
        name, *after = [word for word in words[place : place + 12] if word != "("]
        if name.upper() in _NO_TABLE or _plain(name, True) in own:
            continue
        alias = after[:1] if after and after[0].upper() not in _AFTER_TABLE else []
        defined.update(_plain(one, True) for one in [name, *alias] if _NAME.match(one))
        if after[:1] and after[0].upper() == "AS":
            defined[_plain(after[1], True)] += 0
    used = Counter(
        _plain(word, True)
        for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False)
        if "." not in (before, after) and before.upper() != "AS"
    )
    return any(used[name] > count for name, count in defined.items())


def _compares_with_table(words: Sequence[str]) -> bool:
    """Return whether the statement has SQLite's ``IN table``."""
    return any(word.upper() == "IN" and after != "(" for word, after in pairwise(words))


def _own_relations(words: Sequence[str], upper: Sequence[str]) -> Iterator[str]:
    """Yield the names that a WITH defines, anywhere in the statement."""
    for place, word in enumerate(upper[:-1]):
        if word == "WITH":
            yield words[place + (2 if upper[place + 1] == "RECURSIVE" else 1)]
        elif word == ")" and upper[place + 1] == ",":
            after = words[place + 2 : place + 4]
            if len(after) == 2 and after[1].upper() in ("AS", "("):
                yield after[0]


def _reads_all_columns(words: Sequence[str]) -> bool:
    """Return whether the statement selects ``*``; COUNT(*) and products do not count."""
    for place, word in enumerate(words):
        if word == "*" and words[place - 1].upper() in ("SELECT", "DISTINCT", "ALL", ",", "."):
            return True
    return False


def _groups_by_less(words: Sequence[str], upper: Sequence[str]) -> bool:
    """Return whether the statement groups by a key and selects columns that depend on it.

    PostgreSQL allows this for tables only, not for common table expressions.
    """
    if "GROUP" not in upper or upper[0] != "SELECT":
        return "GROUP" in upper
    if upper.count("GROUP") > 1 or "FROM" not in upper:
        return True
    start = upper.index("GROUP") + 2
    grouped, depth = set(), 0
    for place in range(start, len(words)):
        if upper[place] in ("HAVING", "ORDER", "LIMIT", "OFFSET", "UNION", ")") and depth == 0:
            break
        depth += (words[place] == "(") - (words[place] == ")")
        if words[place] == "." and place + 1 < len(words):
            grouped.add((words[place - 1], words[place + 1]))
        elif words[place].isdigit() and depth == 0:
            return False  # Django groups by the positions of all selected columns
    return not _selected(words, upper) <= grouped


def _selected(words: Sequence[str], upper: Sequence[str]) -> set[tuple[str, str]]:
    """Return the columns that are selected unchanged, with their tables."""
    found, depth = set(), 0
    for place in range(1, upper.index("FROM")):
        depth += (words[place] == "(") - (words[place] == ")")
        if words[place] == "." and depth == 0:
            found.add((words[place - 1], words[place + 1]))
    return found
