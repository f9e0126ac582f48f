"""Since which event each audited table's capture has run unbroken, and why it began then.

It never says more than is true. Coverage starts at the highest id that the log has handed out, at
a moment when the table's triggers fire and no uncaptured change to it is still under way; a gap
that anyone finds, however late, ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.utils import timezone

from ..models import Coverage
from ..utils.table_names import log_name
from ..vendors import get_vendor

if TYPE_CHECKING:
    from ..vendors.types import Capture, Installed, TableShape
    from .state import State


TABLE = log_name(Coverage._meta.db_table)
Reasons = Mapping[str, Coverage.Reason]


class Arrival(NamedTuple):
    """When a column was first seen: it may have come earlier, and surely was there afterwards."""

    event: int
    transaction_id: int | None
    at: datetime

    def as_json(self) -> list[Any]:
        return [self.event, self.transaction_id, self.at.isoformat()]


def arrivals(row: Coverage) -> dict[str, Arrival]:
    """The columns that came after this coverage had begun."""
    later = {name: seen for name, seen in row.columns.items() if seen}
    return {
        name: Arrival(event, transaction_id, datetime.fromisoformat(at))
        for name, (event, transaction_id, at) in later.items()
    }


def rows(using: str) -> dict[str, Coverage]:
    """What is on record, by table."""
    return {row.table_name: row for row in Coverage.objects.using(using).all()}


def restart(state: State, row: Coverage | None) -> Coverage.Reason | None:
    """Why the coverage of this table has to start anew; None if it runs on."""
    if row is None:
        return Coverage.Reason.INSTALLED
    if state.captured and state.capture and state.installed:
        # Ended by someone who found the triggers out of order; they are back since.
        if row.since_event is None:
            return Coverage.Reason(row.reason)
        if state.installed.replace(row.triggers):
            return Coverage.Reason.REPLACED
        left_out = not state.waits and _uncaptured_columns(state.capture, state.installed)
        return Coverage.Reason.COLUMNS if left_out else None
    return Coverage.Reason(state.status.value)


def start(using: str, reasons: Reasons) -> None:
    """These tables are covered from now on.

    Has to come after what made their triggers fire: in its transaction, or later.
    """
    if reasons:
        event, transaction_id = get_vendor(using).position()
        shapes = get_vendor(using).shapes(list(reasons))
        columns = {n: dict.fromkeys(c.name for c in s.columns) for n, s in shapes.items()}
        started = [
            Coverage(
                table_name=name,
                since_event=event,
                transaction_id=transaction_id,
                reason=reason,
                columns=columns.get(name, {}),
            )
            for name, reason in reasons.items()
        ]
        _write(using, started, "since_event", "transaction_id", "reason", "columns")


def end(using: str, reasons: Reasons) -> None:
    """These tables are not covered, until their triggers are found in order again."""
    ended = [Coverage(table_name=name, reason=reason) for name, reason in reasons.items()]
    _write(using, ended, "since_event", "transaction_id", "reason")


def replaced(installed: Mapping[str, Installed], known: Mapping[str, Coverage]) -> Reasons:
    """The tables whose triggers somebody else has put there."""
    names = [name for name in installed if name in known]
    return {
        name: Coverage.Reason.REPLACED
        for name in names
        if known[name].since_event is not None and installed[name].replace(known[name].triggers)
    }


def note_triggers(using: str) -> None:
    """Whoever put the triggers there that the tables have now: they count from now on."""
    installed = get_vendor(using).installed()
    changed = []
    for name, row in rows(using).items():
        if name in installed and installed[name].identity != row.triggers:
            row.triggers = installed[name].identity
            changed.append(row)
    Coverage.objects.using(using).bulk_update(changed, ["triggers"])


def rename(using: str, tables: Iterable[tuple[str, str]]) -> None:
    """The coverage of these tables, old names and new, runs on."""
    for old, new in tables:
        forget(using, [new])
        Coverage.objects.using(using).filter(table_name=old).update(table_name=new)


def rename_columns(using: str, names: Iterable[tuple[str, str, str]]) -> None:
    """These columns, each with its table, the old name and the new, were there before."""
    known = rows(using)
    for table, old, new in names:
        if table in known and old in known[table].columns:
            known[table].columns[new] = known[table].columns.pop(old)
            known[table].save(using=using, update_fields=["columns"])


def has_other_columns(row: Coverage | None, shape: TableShape) -> bool:
    """Have columns come or gone since this was last written down?"""
    return row is not None and row.columns.keys() != {column.name for column in shape.columns}


def note_columns(using: str, shapes: Mapping[str, TableShape]) -> None:
    """Write down which columns these tables have now: what is new has come since the last time."""
    known = rows(using)
    changed = {n: s for n, s in shapes.items() if has_other_columns(known.get(n), s)}
    if not changed:
        return
    now = Arrival(*get_vendor(using).position(), timezone.now()).as_json()
    for name, shape in changed.items():
        row = known[name]
        row.columns = {column.name: row.columns.get(column.name, now) for column in shape.columns}
    Coverage.objects.using(using).bulk_update([known[name] for name in changed], ["columns"])


def forget(using: str, names: Iterable[str]) -> None:
    """These tables are none of our business any more."""
    Coverage.objects.using(using).filter(table_name__in=names).delete()


def _write(using: str, changed: Iterable[Coverage], *fields: str) -> None:
    """These fields and the time, in one statement: an application can have hundreds of tables."""
    Coverage.objects.using(using).bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["table_name"],
        update_fields=[*fields, "recorded_at"],
    )


def _uncaptured_columns(wanted: Capture, installed: Installed) -> frozenset[str]:
    """Columns that belong in the log, and that the triggers in place leave out."""
    there = frozenset(column.name for column in wanted.shape.columns)
    captured = installed.columns
    if captured is None:
        captured = there - installed.excluded
    return there - wanted.excluded - captured
