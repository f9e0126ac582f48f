"""Audit rows -> what ``str(instance)`` said: the batch builder that everyone uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from .models import AuditLog, Fidelity


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


@dataclass(frozen=True)
class Failure:
    """Why a representation could not be built; every text fits into the database."""

    error_class: str
    message: str
    traceback: str


@dataclass(frozen=True)
class Outcome:
    """What became of one audit row: a text, or a failure."""

    id: int
    text: str = ""
    fidelity: Fidelity = Fidelity.EXACT
    reason: str = ""
    failure: Failure | None = None


def build(events: Sequence[Event], using: str) -> list[Outcome]:
    """The representations of these events, in their order. Nothing is stored.

    :param using: the database that holds the log and the audited tables.
    """
    raise NotImplementedError
