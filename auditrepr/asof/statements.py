"""What a SELECT reads, told from its text; in doubt, nothing is told.

A common table expression hides the table of the same name wherever the statement reads it. So it
is enough to know which tables a statement names at all, and that it names them in no other way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--|/\*|\w+|[^\s\w]""")
# Strings of another kind, comments, several statements, and other ways to name or lock a table.
_UNREADABLE = frozenset(
    {"--", "/*", "$", "\\", ";", "TABLE", "LATERAL", "ONLY", "TABLESAMPLE", "INTO", "CTID", "XMIN"}
    | {"XMAX", "TABLEOID", "OID", "ROWID", "_ROWID_", "INSERT", "UPDATE", "DELETE", "MERGE"}
)
_ENDS_FROM = frozenset(
    {"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR"}
    | {"UNION", "INTERSECT", "EXCEPT", "SELECT"}
)
# Functions whose arguments stand beside the word FROM.
_TAKE_FROM = frozenset({"EXTRACT", "SUBSTRING", "TRIM", "OVERLAY"})
#: The limit with which Django's get() looks for one row, and for more than one.
LOOKS_FOR_ONE = "21"
_NO_TABLE = frozenset({"SELECT", "VALUES", "WITH"})


@dataclass(frozen=True)
class Statement:
    """A SELECT, and all that it reads."""

    tables: frozenset[str]  # without quotes, as the database knows them
    columns: frozenset[str]  # every name in it that may be a column's
    recursive: bool  # it begins with WITH RECURSIVE
    own_relations: bool  # it begins with WITH
    cut: bool  # it has a limit and no order: the database chooses what it gives


@lru_cache(maxsize=1024)
def read(sql: str, strict: bool) -> Statement | None:
    """The statement; None where it is no SELECT, or cannot be read for certain.

    :param strict: whether the database takes a name without quotes for one in small letters, may
        see more than a character in a backslash, and wants all that is selected to be grouped by.
    """
    words = _WORD.findall(sql)
    upper = [word.upper() for word in words]
    verb = next((word for word in upper if word != "("), "")
    if verb not in ("SELECT", "WITH") or not _UNREADABLE.isdisjoint(upper):
        return None
    if _has_other_strings(sql) or (strict and "\\" in sql):
        return None
    if _reads_all_columns(words) or (strict and _groups_by_less(words, upper)):
        return None
    named = list(_named_after_from(words, upper))
    if "" in named:
        return None
    own = set(_own_relations(words, upper)) if upper[0] == "WITH" else set()
    tables = {_plain(name, strict) for name in named if name.upper() not in _NO_TABLE}
    own = {_plain(name, strict) for name in own}
    return Statement(
        tables=frozenset(tables - own),
        columns=frozenset(
            word.strip('"') for word in words if word[0] == '"' or word.isidentifier()
        ),
        recursive=upper[:2] == ["WITH", "RECURSIVE"],
        own_relations=upper[0] == "WITH",
        cut=_is_cut(upper),
    )


def _has_other_strings(sql: str) -> bool:
    """Has it E'…', U&'…' or the like, inside of which other rules hold?"""
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


def _named_after_from(words: Sequence[str], upper: Sequence[str]) -> Iterator[str]:
    """What each FROM and JOIN, and each comma of a FROM, is followed by; "" where it is unclear."""
    from_at: set[int] = set()  # the depths, in parentheses, of the FROM clauses that go on
    functions: list[bool] = []  # of each parenthesis: is it about a function that takes FROM?
    for place, word in enumerate(upper):
        depth = len(functions)
        if word == "(":
            functions.append(place > 0 and upper[place - 1] in _TAKE_FROM)
        elif word == ")":
            from_at.discard(depth)
            if not functions:
                yield ""
                return
            functions.pop()
        elif word in _ENDS_FROM:
            from_at.discard(depth)
        elif word == "FROM" and (_is_comparison(upper, place) or (functions and functions[-1])):
            continue
        elif word in ("FROM", "JOIN") or (word == "," and depth in from_at):
            from_at.add(depth)
            yield _table(words[place + 1 :])


def _is_comparison(upper: Sequence[str], place: int) -> bool:
    """IS [NOT] DISTINCT FROM"""
    return upper[place - 1] == "DISTINCT" and upper[place - 2] in ("IS", "NOT")


def _table(words: Sequence[str]) -> str:
    """What FROM or JOIN reads: a table as it is written, a SELECT, or "" for something else."""
    name, *following = [word for word in words[:12] if word != "("] or [""]
    if name.upper() in _NO_TABLE:
        return name
    is_name = name.startswith('"') or name.isidentifier()
    # A name before a dot is a schema's; before a parenthesis, a function's.
    return name if is_name and following[:1] != ["."] and words[1:2] != ["("] else ""


def _own_relations(words: Sequence[str], upper: Sequence[str]) -> Iterator[str]:
    """The names that a WITH defines, anywhere in the statement."""
    for place, word in enumerate(upper[:-1]):
        if word == "WITH":
            yield words[place + (2 if upper[place + 1] == "RECURSIVE" else 1)]
        elif word == ")" and upper[place + 1] == ",":
            after = words[place + 2 : place + 4]
            if len(after) == 2 and after[1].upper() in ("AS", "("):
                yield after[0]


def _reads_all_columns(words: Sequence[str]) -> bool:
    """A star, but in COUNT(*) and in a product, is more than the columns that the log knows."""
    for place, word in enumerate(words):
        if word == "*" and words[place - 1].upper() in ("SELECT", "DISTINCT", "ALL", ",", "."):
            return True
    return False


def _groups_by_less(words: Sequence[str], upper: Sequence[str]) -> bool:
    """Does it group by a key, and select what depends on that?

    PostgreSQL knows this of tables only.
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
            return False  # by the places of what is selected: Django's way for all that is
    return not _selected(words, upper) <= grouped


def _selected(words: Sequence[str], upper: Sequence[str]) -> set[tuple[str, str]]:
    """The columns that are selected as they are."""
    found, depth = set(), 0
    for place in range(1, upper.index("FROM")):
        depth += (words[place] == "(") - (words[place] == ")")
        if words[place] == "." and depth == 0:
            found.add((words[place - 1], words[place + 1]))
    return found


def _is_cut(upper: Sequence[str]) -> bool:
    """Does the database choose which rows it gives?

    Not where Django looks for one row, and whether there is a second; and one row of any stands
    for all where only their being there is asked.
    """
    ordered = [False]  # of each SELECT that is open: has it an order?
    for place, word in enumerate(upper):
        if word == "(":
            ordered.append(False)
        elif word == ")":
            ordered.pop()
        elif word == "ORDER":
            ordered[-1] = True
        elif word in ("LIMIT", "FETCH", "OFFSET") and not ordered[-1]:
            value = upper[place + 1] if place + 1 < len(upper) else ""
            if value == LOOKS_FOR_ONE and len(ordered) == 1:
                continue
            if not (value == "1" and _asks_for_being(upper, len(ordered) - 1, place)):
                return True
    return False


def _asks_for_being(upper: Sequence[str], depth: int, place: int) -> bool:
    """Is it ``SELECT 1 AS "a" FROM …``, as exists() sends it, the number as a parameter?"""
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
