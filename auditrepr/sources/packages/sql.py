"""What the SELECTs of sources are put together from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connections

from ...exceptions import SourceUnreadable
from ...lineage.migration_walk import ColumnChanged, TableMade, TableRenamed
from ...lineage.migrations import added_columns, changes
from ...utils.text import one_line
from ...vendors import get_vendor
from ...vendors.import_types import Form
from .serialized import form


def column(using: str, row: str, field: Any) -> str:
    """Return SQL for the field's column of a row."""
    return f"{row}.{connections[using].ops.quote_name(field.column)}"


def as_context_value(using: str, row: str, field: Any) -> str:
    """Return SQL for the value as the context of our own events has it."""
    sql = column(using, row, field)
    if form(field) is not Form.UUID or connections[using].features.has_native_uuid_field:
        return sql
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return " || '-' || ".join(f"substr({sql}, {start}, {length})" for start, length in parts)


def cases(pairs: Mapping[Any, str] | Iterable[tuple[Any, str]], otherwise: str = "NULL") -> str:
    """Return the WHENs of a CASE from values as SQL, and its ELSE."""
    whens = (f"WHEN {value} THEN {result}" for value, result in dict(pairs).items())
    return " ".join((*whens, f"ELSE {otherwise}"))


def transaction(using: str) -> str:
    """Return the column with the transaction that wrote the event, if the database has it.

    By it, what both logs have recorded is recognized, also if the clocks differ.
    """
    written = get_vendor(using).transaction_of("event")
    return f", {written} AS transaction" if written else ""


def later_columns(source: str, using: str) -> dict[str, dict[str, datetime]]:
    """Return when columns were added to tables.

    Events from before have no value there, but the column's default.

    :raises SourceUnreadable: if the project's migrations cannot be read.
    """
    with _reading(source):
        return added_columns(connections[using])


def named_since(source: str, using: str) -> dict[str, dict[str, datetime]]:
    """Return since when columns have their current names, if not since their tables exist.

    Before, another column may have had the name.

    :raises SourceUnreadable: likewise.
    """
    found: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
    with _reading(source):
        for change in changes(connections[using]):
            match change:
                case ColumnChanged(at, table, old, new):
                    found[table].pop(old, None)
                    if new:
                        found[table][new] = at
                case TableRenamed(_, table, new_name):
                    found[new_name] = found.pop(table, {})
                case TableMade(_, table):
                    found[table] = {}
    for table, added in later_columns(source, using).items():
        for name, at in added.items():
            found[table][name] = max(at, found[table].get(name, at))
    return dict(found)


@contextmanager
def _reading(source: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever the project's migrations raise
        raise SourceUnreadable(source=source, reason=one_line(error)) from error
