"""What every target has, and the columns of an event that are chosen of it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from django.db.models import QuerySet

from ....models import AuditLog, Erasure, InstanceRepr
from ....vendors.sought import Sought

#: Rows of other objects and actors that are in memory at once.
ROWS = 500
#: How the replacement of a key begins.
REPLACED = "[erased "


class Chosen(NamedTuple):
    """The columns of an event that hold what is to be erased."""

    row: tuple[str, ...] = ()
    old: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.row or self.old)


class Target(ABC):
    """What is to be erased."""

    subject: Erasure.Subject
    table_name = ""
    keeps_current = False
    #: JSON texts of values that stay, because they are current.
    kept: frozenset[str] = frozenset()
    #: The keys that are replaced, because they are texts that may name the person.
    keys: frozenset[str] = frozenset()

    def __init__(self, using: str, named: Collection[str]) -> None:
        self.using = using
        self.named = frozenset(named)
        self.log = AuditLog.objects.using(using)

    @abstractmethod
    def identity(self) -> str:
        """Return what no other target has, to know an unfinished erasure again."""

    @abstractmethod
    def events(self) -> QuerySet[AuditLog]:
        """Return its own events."""

    @abstractmethod
    def check_names(self) -> None:
        """Check that the target has the columns that are named; of contexts, the names of values.

        :raises ColumnUnknown: if no event has it.
        """

    def chosen(self, event: AuditLog) -> Chosen:
        """Return the columns of one of its own events whose values are erased."""
        return Chosen()

    def context(self, event: AuditLog) -> Any:
        """Return the values of one of its own events' context that are erased as a whole."""
        return {}

    def current(self) -> dict[str, Any]:
        """Return the values that a current row has, and would bring back."""
        return {}

    @abstractmethod
    def texts(self, event: AuditLog) -> Iterator[str]:
        """Yield the texts by which others may name it, from one of its own events."""

    @abstractmethod
    def of_others(self, sought: Sought) -> Iterator[AuditLog]:
        """Yield other events that may hold such a text as a value of the same kind."""

    def shown(self) -> QuerySet[InstanceRepr]:
        """Return its own representations."""
        return InstanceRepr.objects.using(self.using).none()

    def shown_of_others(self, sought: Sought) -> Iterator[InstanceRepr]:
        """Yield representations of other objects of its kind that may hold such a text."""
        return iter(())

    def __str__(self) -> str:
        return self.table_name or str(self.subject)


def as_json(value: Any) -> str:
    """Return a value as a text by which equal ones are known."""
    return json.dumps(value, default=str, sort_keys=True)
