"""Since which event each audited table's capture has run unbroken, and why it began then.

It never says more than is true. Coverage starts at the highest id that the log has handed out, at
a moment when the table's triggers fire and no uncaptured change to it is still under way; a gap
that anyone finds, however late, ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from django.db.models.functions import Now

from .models import Coverage
from .tracking import log_name
from .vendors import get_vendor

if TYPE_CHECKING:
    from .capture import State

TABLE = log_name(Coverage._meta.db_table)
Reasons = Mapping[str, Coverage.Reason]


def rows(using: str) -> dict[str, Coverage]:
    """What is on record, by table."""
    return {row.table_name: row for row in Coverage.objects.using(using).all()}


def restart(state: State, row: Coverage | None) -> Coverage.Reason | None:
    """Why the coverage of this table has to start anew; None if it runs on."""
    if row is None:
        return Coverage.Reason.INSTALLED
    if state.captured:
        # Ended by someone who found the triggers out of order; they are back since.
        if row.since_event is None:
            return Coverage.Reason(row.reason)
        return Coverage.Reason.COLUMNS if _uncaptured_columns(state) else None
    return Coverage.Reason(state.status.value)


def start(using: str, reasons: Reasons) -> None:
    """These tables are covered from now on.

    Has to come after what made their triggers fire: in its transaction, or later.
    """
    if reasons:
        event, transaction_id = get_vendor(using).position()
        _write(using, reasons, event, transaction_id)


def end(using: str, reasons: Reasons) -> None:
    """These tables are not covered, until their triggers are found in order again."""
    _write(using, reasons, None, None)


def rename(using: str, tables: Iterable[tuple[str, str]]) -> None:
    """The coverage of these tables, old names and new, runs on."""
    for old, new in tables:
        forget(using, [new])
        Coverage.objects.using(using).filter(table_name=old).update(table_name=new)


def forget(using: str, names: Iterable[str]) -> None:
    """These tables are none of our business any more."""
    Coverage.objects.using(using).filter(table_name__in=names).delete()


def _write(using: str, reasons: Reasons, event: int | None, transaction_id: int | None) -> None:
    for name, reason in reasons.items():
        values = {"since_event": event, "transaction_id": transaction_id, "reason": reason}
        Coverage.objects.using(using).update_or_create(
            table_name=name, defaults=values | {"recorded_at": Now()}
        )


def _uncaptured_columns(state: State) -> frozenset[str]:
    """Columns that belong in the log, and that the triggers in place leave out."""
    if state.capture is None or state.installed is None:
        return frozenset()
    there = frozenset(column.name for column in state.capture.shape.columns)
    captured = state.installed.columns
    if captured is None:
        captured = there - state.installed.excluded
    return there - state.capture.excluded - captured
