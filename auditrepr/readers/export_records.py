"""Makes an event into what an export says of it: the same on each page, day and database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.timezone import is_aware, make_aware

from ..lineage import Renames
from ..models import AuditLog, Fidelity
from ..utils.table_names import model_for_table
from .actors import author

#: The values of one event, by the names of COLUMNS.
Record = dict[str, Any]
#: In the order of an export.
COLUMNS = (
    "id", "time", "action", "model", "table", "object_id", "previous_object_id",
    "representation", "fidelity", "why_mixed", "pending", "failure", "final",
    "changed_by", "actor", "reason", "context", "writer", "transaction_id", "changes",
)  # fmt: skip
#: For programs, so in no language but this one.
ACTIONS = {"I": "added", "U": "changed", "D": "deleted", "T": "emptied"}


class RecordMaker:
    """Makes the records of an export."""

    def __init__(self, renames: Renames) -> None:
        self._renames = renames
        self._labels: dict[str, str | None] = {}  # by the current name of the table

    def record(self, event: AuditLog) -> Record:
        """Return what an export says of the event.

        :param event: with its representation and failure.
        """
        context = event.context if isinstance(event.context, Mapping) else {}
        return {
            "id": event.pk,
            "time": _utc(event.occurred_at),
            "action": ACTIONS.get(event.action, event.action),
            "model": self._label(event),
            "table": event.table_name,
            "object_id": event.object_id,
            "previous_object_id": event.previous_object_id,
            **_representation(event),
            "changed_by": author(event) or None,
            "actor": event.actor,
            "reason": _text(context.get("reason")),
            "context": event.context,
            "writer": event.writer,
            "transaction_id": event.transaction_id,
            "changes": changes(event),
        }

    def _label(self, event: AuditLog) -> str | None:
        """Return the label of the model that has the event's table now, or None."""
        table = self._renames.table(event.table_name, event.occurred_at)
        if table not in self._labels:
            model = model_for_table(table)
            self._labels[table] = model._meta.label if model else None
        return self._labels[table]


def changes(event: AuditLog) -> dict[str, dict[str, Any]]:
    """Return the values as logged, by column: ``{"name": {"old": "Ann", "new": "Anne"}}``.

    An added row has no old values, a deleted one no new ones.
    """
    row, old = event.row_data or {}, event.changed_from or {}
    match event.action:
        case AuditLog.Action.INSERT:
            return {column: {"new": value} for column, value in row.items()}
        case AuditLog.Action.DELETE:
            return {column: {"old": value} for column, value in row.items()}
    return {
        column: {"old": value} | ({"new": row[column]} if column in row else {})
        for column, value in old.items()
    }


def _representation(event: AuditLog) -> Record:
    stored = getattr(event, "instance_repr", None)
    failed = getattr(event, "repr_failure", None) if stored is None else None
    return {
        "representation": stored and stored.instance_repr,
        "fidelity": stored and Fidelity(stored.fidelity).name.lower(),
        "why_mixed": stored and (stored.reason or None),
        # A TRUNCATE has no object, so nothing is missing.
        "pending": not stored and not failed and event.action != AuditLog.Action.TRUNCATE,
        "failure": failed and f"{failed.error_class}: {failed.message}".removesuffix(": "),
        "final": failed and failed.next_attempt_at is None,
    }


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _utc(when: datetime) -> str:
    aware = when if is_aware(when) else make_aware(when)
    return aware.astimezone(UTC).isoformat(timespec="microseconds")
