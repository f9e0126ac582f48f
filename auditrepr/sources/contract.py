"""The columns of a source's SELECT: those of the log, and its own position.

``position`` is a whole number that no two events of the SELECT share, and later events have higher
ones. It should have an index: each batch reads a range of positions. The other columns hold what
the triggers would have written (docs/models-and-api.md): ``object_id`` the primary key as text,
``row_data`` the row after an insert or update and before a delete, as JSON, ``changed_from`` the
previous values of the columns that an update changed, ``row_kept`` whether the event has left the
row as it was, ``transaction`` the ID of the transaction that wrote the event, if its time is that
at which this one began. ``text`` is what the source itself says of the object, such as what
``str()`` said; an event that has one may lack ``row_data``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from ..exceptions import SourceColumns, SourceTypes
from ..vendors.import_types import UnfitType

REQUIRED = ("position", "table_name", "object_id", "action", "row_data", "occurred_at")
#: One that sources of several SELECTs may have: within a transaction, later events of all of them
#: have higher numbers.
COMMAND = "command"
OPTIONAL = ("previous_object_id", "changed_from", "row_kept", "context", "transaction", "text")


def check_columns(source: str, columns: Collection[str]) -> frozenset[str]:
    """Return which of the optional columns a SELECT has.

    :raises SourceColumns: if it lacks a column, has one that is not of the contract, or has one
        several times.
    """
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in (*REQUIRED, *OPTIONAL, COMMAND)]
    repeated = [name for name, times in Counter(columns).items() if times > 1]
    problem = (
        (missing and f"lacks {', '.join(missing)}")
        or (unknown and f"has {', '.join(unknown)}")
        or (repeated and f"has {', '.join(repeated)} several times")
    )
    if problem:
        raise SourceColumns(
            source=source,
            problem=problem,
            required=", ".join(REQUIRED),
            optional=", ".join(OPTIONAL),
        )
    return frozenset(columns) & {*OPTIONAL, COMMAND}


def check_types(source: str, unfit: Iterable[UnfitType]) -> None:
    """Check that no column of a SELECT is of a wrong type.

    :raises SourceTypes: if one is.
    """
    wrong = [f"{one.column} is {one.type}, and must be {one.expected}" for one in unfit]
    if wrong:
        raise SourceTypes(source=source, columns="; ".join(wrong))
