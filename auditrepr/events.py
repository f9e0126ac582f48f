"""An audit row as the builder sees it, and the object that it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from .models import AuditLog


class Event(NamedTuple):
    """What the builder has to know of an audit row; the row's data stays in the database."""

    id: int
    table_name: str
    object_id: str | None
    action: str
    transaction_id: int | None
    snapshot: str | None
    statement_at: datetime | None
    occurred_at: datetime

    @classmethod
    def of(cls, row: AuditLog) -> Event:
        return cls(*(getattr(row, name) for name in cls._fields))


@dataclass(eq=False, slots=True)
class Subject:
    """The object of one event, as of that event."""

    event: Event
    instance: Any = None
    error: BaseException | None = None
    notes: dict[str, None] = field(default_factory=dict)  # in the order in which they came

    def note(self, reason: str) -> None:
        """Say why the representation cannot be called exact."""
        self.notes[reason] = None
