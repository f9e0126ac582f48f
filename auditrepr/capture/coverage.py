"""Records since which event each audited table is captured without a gap, and why it started then.

It never claims more than is true. Coverage starts at the highest ID that the log has handed out, at
a moment when the table's triggers fire and no uncaptured change to it is still open; a gap, however
late it is found, ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import JSONField
from django.db.models.expressions import RawSQL
from django.utils import timezone

from ..models import Coverage
from ..utils.table_names import log_name
from ..vendors import get_vendor
from . import partitions, sightings

if TYPE_CHECKING:
    from ..vendors.capture_types import Capture, Installed, TableShape
    from .state import State


TABLE = log_name(Coverage._meta.db_table)
#: Stands among the columns of a table that has been without a primary key since coverage started.
KEYLESS = ""
Reasons = Mapping[str, Coverage.Reason]


class Arrival(NamedTuple):
    """When a column was first seen: it may be older, and was certainly there afterwards."""

    event: int
    transaction_id: int | None
    at: datetime

    def as_json(self) -> list[Any]:
        return [self.event, self.transaction_id, self.at.isoformat()]


def arrivals(row: Coverage) -> dict[str, Arrival]:
    """Return the columns that were added after this coverage had started."""
    later = {name: seen for name, seen in row.columns.items() if seen}
    return {
        name: Arrival(event, transaction_id, datetime.fromisoformat(at))
        for name, (event, transaction_id, at) in later.items()
    }


def rows(using: str) -> dict[str, Coverage]:
    """Return the recorded coverage, by table."""
    sighted = RawSQL(get_vendor(using).sighted_sql, (), JSONField())  # noqa: S611 - no input
    found = Coverage.objects.using(using).annotate(sighted=sighted)
    return {row.table_name: row for row in found}


def restart(state: State, row: Coverage | None) -> Coverage.Reason | None:
    """Return why the coverage of this table must restart; None if it continues."""
    if row is None:
        return Coverage.Reason.INSTALLED
    if state.captured and state.capture and state.installed:
        # Ended when the triggers were found broken; they are OK again.
        if row.since_event is None:
            return Coverage.Reason(row.reason)
        if state.installed.replace(row.triggers):
            return Coverage.Reason.REPLACED
        if _repartitioned(state.installed, row):
            return Coverage.Reason.PARTITIONS
        left_out = not state.waits and _uncaptured_columns(state.capture, state.installed)
        return Coverage.Reason.COLUMNS if left_out else None
    return lost(state)


def lost(state: State) -> Coverage.Reason:
    """Return why this table, whose changes are not all recorded, is not covered."""
    reasons = {reason.value: reason for reason in Coverage.Reason}
    return reasons.get(state.status.value) or unrecorded(state.installed)


def unrecorded(installed: Installed | None) -> Coverage.Reason:
    """Return why a table is not covered whose triggers are OK."""
    if installed and partitions.swallowed(installed):
        return Coverage.Reason.DISABLED  # they have no effect
    return Coverage.Reason.PARTITIONS


def start(using: str, reasons: Reasons) -> None:
    """Start the coverage of these tables.

    Call this after making their triggers fire: in the same transaction, or later.
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
    """End the coverage of these tables, until their triggers are OK again."""
    ended = [Coverage(table_name=name, reason=reason) for name, reason in reasons.items()]
    _write(using, ended, "since_event", "transaction_id", "reason")


def replaced(installed: Mapping[str, Installed], known: Mapping[str, Coverage]) -> Reasons:
    """Return the tables whose triggers, or partitions, changed outside auditrepr."""
    found = {}
    for name in installed.keys() & known.keys():
        now, row = installed[name], known[name]
        if row.since_event is None:
            continue
        if now.replace(row.triggers):
            found[name] = Coverage.Reason.REPLACED
        elif _repartitioned(now, row) or partitions.emptied(now):
            found[name] = Coverage.Reason.PARTITIONS
    return found


def unrecordable(installed: Mapping[str, Installed]) -> set[str]:
    """Return the tables that are not covered whatever triggers they have."""
    found = installed.items()
    return {name for name, one in found if partitions.unrecorded(one) or partitions.emptied(one)}


def repartitioned(before: Mapping[str, Installed], after: Mapping[str, Installed]) -> Reasons:
    """Return the tables whose partitions changed while their triggers were installed."""
    return {
        name: Coverage.Reason.PARTITIONS
        for name in before.keys() & after.keys()
        if partitions.changed_between(before[name], after[name])
    }


def _repartitioned(installed: Installed, row: Coverage) -> bool:
    """Return whether rows may have come or gone with a partition since coverage started."""
    return partitions.changed(installed, row.triggers) or sightings.lost(installed, row)


def is_noted(installed: Installed, row: Coverage) -> bool:
    """Return whether this is the record of these triggers and partitions."""
    return row.triggers == partitions.record(installed, row.triggers)


def note_triggers(using: str, installed: Mapping[str, Installed]) -> None:
    """Record the identity of these triggers, and of the partitions of their tables."""
    changed = []
    for name, row in rows(using).items():
        if name in installed and not is_noted(installed[name], row):
            row.triggers = partitions.record(installed[name], row.triggers)
            changed.append(row)
    Coverage.objects.using(using).bulk_update(changed, ["triggers"])


def rename(using: str, tables: Iterable[tuple[str, str]]) -> None:
    """Continue the coverage of these tables under their new names."""
    for old, new in tables:
        forget(using, [new])
        Coverage.objects.using(using).filter(table_name=old).update(table_name=new)


def rename_columns(using: str, names: Iterable[tuple[str, str, str]]) -> None:
    """Rename columns in the record; each comes with its table, the old name and the new."""
    known = rows(using)
    for table, old, new in names:
        if table in known and old in known[table].columns:
            known[table].columns[new] = known[table].columns.pop(old)
            known[table].save(using=using, update_fields=["columns"])


def has_other_columns(row: Coverage | None, shape: TableShape) -> bool:
    """Return whether columns were added or dropped since the last record."""
    there = {column.name for column in shape.columns}
    return row is not None and row.columns.keys() - {KEYLESS} != there


def note_columns(using: str, shapes: Mapping[str, TableShape]) -> None:
    """Record the columns that these tables have now; new ones were added since the last record."""
    known = rows(using)
    changed = {n: s for n, s in shapes.items() if has_other_columns(known.get(n), s)}
    if not changed:
        return
    now = Arrival(*get_vendor(using).position(), timezone.now()).as_json()
    for name, shape in changed.items():
        row = known[name]
        kept = {KEYLESS: None} if KEYLESS in row.columns else {}
        row.columns = kept | {
            column.name: row.columns.get(column.name, now) for column in shape.columns
        }
    Coverage.objects.using(using).bulk_update([known[name] for name in changed], ["columns"])


def note_keyless(using: str, names: Iterable[str]) -> None:
    """Record that several rows of these tables may have had the same key."""
    rows = Coverage.objects.using(using).filter(table_name__in=names)
    changed = [row for row in rows if KEYLESS not in row.columns]
    for row in changed:
        row.columns[KEYLESS] = None
    Coverage.objects.using(using).bulk_update(changed, ["columns"])


def forget(using: str, names: Iterable[str]) -> None:
    """Delete the coverage of these tables."""
    Coverage.objects.using(using).filter(table_name__in=names).delete()


def _write(using: str, changed: Iterable[Coverage], *fields: str) -> None:
    """Write these fields and the time in one statement: a project can have hundreds of tables."""
    Coverage.objects.using(using).bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["table_name"],
        update_fields=[*fields, "recorded_at"],
    )


def _uncaptured_columns(wanted: Capture, installed: Installed) -> frozenset[str]:
    """Return the columns that should be recorded but are missing from the installed triggers."""
    there = frozenset(column.name for column in wanted.shape.columns)
    captured = installed.columns
    if captured is None:
        captured = there - installed.excluded
    return there - wanted.excluded - captured
