"""Chooses the fields of an added or deleted row that say most about it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.db.models import DateTimeField, TextField

from ..models import AuditLog
from .changes import FieldChange, Fields, Words, fields

#: Fields that are put into words, and those of them that are shown.
CANDIDATES, SHOWN = 6, 3
#: A longer text says little in a line.
LONGEST = 200


def telling_columns(event: AuditLog, known: Fields) -> list[str]:
    """Return the columns of an added or deleted row that may say something, the best first.

    For an update, these are the columns that it changed.
    """
    if event.action == AuditLog.Action.UPDATE:
        return list(event.changed_from or ())
    row = event.row_data or {}
    ranked = sorted(
        (rank, n, column)
        for n, (column, field) in enumerate(known.items())
        if (rank := _rank(field, row.get(column))) is not None
    )
    chosen = {column for _, _, column in ranked[:CANDIDATES]}
    return [column for column in known if column in chosen]


def telling(event: AuditLog, words: Words, known: Fields, representation: str) -> list[FieldChange]:
    """Return the most telling fields of an added or deleted row that its text does not say."""
    columns = telling_columns(event, known)
    labels = {str(known[column].verbose_name) for column in columns}
    found = [one for one in fields(event, words, known) if one.label in labels]
    return list(_unsaid(found, representation))[:SHOWN]


def _unsaid(found: list[FieldChange], representation: str) -> Iterator[FieldChange]:
    for one in found:
        if (one.after or one.before) not in representation:
            yield one


def _rank(field: Any, value: Any) -> int | None:
    """Return how telling the value is, the least for the most; None if it is not at all."""
    if field.primary_key or value is None or value in ("", False):
        return None
    if type(value) not in (str, int, bool, Decimal):
        return None
    if field.is_relation:
        return 0
    if field.choices:
        return 1
    if isinstance(field, DateTimeField):
        return None if field.auto_now or field.auto_now_add else 3
    if isinstance(field, TextField) or (isinstance(value, str) and len(value) > LONGEST):
        return 4
    return 2
