"""What is asked of a batch, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from django.db.models import Model

from ..vendors import Vendor
from ..vendors.types import Event, Found, Moment
from .history import Matches
from .substitution import Relations

if TYPE_CHECKING:
    from .peers import Peers


class Lookup(NamedTuple):
    """A row that some subject needs as of its moment: from a relation to whoever reads the log."""

    subject: Subject
    key: Any  # the primary key, or the value of the field that it is found by; or Unknown
    doubts: tuple[str, ...] = ()  # why it may be another one


class Point(NamedTuple):
    """A moment where an event is expected: an object as of it, from a page to the builder."""

    moment: Moment
    id: int = 0
    action: str = ""
    table_name: str = ""


Origin = Event | Point


class Reference(NamedTuple):
    """What a foreign key held at an event: from a page to the builder of its text."""

    event: Origin
    field: Any  # or Itself
    value: Any  # as Python has it


class Itself:
    """Leads to an object of the model by its primary key, as a foreign key would."""

    def __init__(self, model: type[Model]) -> None:
        self.related_model = model
        self.foreign_related_fields = (model._meta.pk,)


class Ask(NamedTuple):
    """How live code finds an object: from a relation to whoever touches it."""

    query: Callable[[Any], Any]  # of the instance that the relation is of


class AsOfReader(Protocol):
    """Reads what relations lead to, each as of its subject's moment, for many at once."""

    using: str
    vendor: Vendor

    def find(self, model: type[Model], lookups: Sequence[Lookup]) -> list[Found]:
        """The objects with these primary keys."""

    def find_present(self, model: type[Model], lookups: Sequence[Lookup]) -> list[Found]:
        """Likewise, but not what was deleted by then."""

    def find_by(self, model: type[Model], field: Any, lookups: Sequence[Lookup]) -> list[Matches]:
        """All objects whose field had the value that is looked up as key."""

    def find_many(self, model: type[Model], field: Any, lookups: Sequence[Lookup]) -> list[Matches]:
        """The objects at the far end of links, which point at them through this foreign key."""

    def own_queries(self) -> AbstractContextManager[None]:
        """Queries inside are auditrepr's, not those of the code that runs."""

    def instead_of(
        self, relations: Relations, otherwise: Subject | None = None
    ) -> AbstractContextManager[None]:
        """The first query inside sees these rows in place of the models' tables."""

    def asking(self, subject: Subject) -> AbstractContextManager[None]:
        """Queries inside are those of others' code, and see the tables as of the moment."""

    def adopt(self, instance: Any, subject: Subject) -> Any:
        """What others' code has made: its relations, too, are as of the moment, at any time."""

    def passes(self, error: Exception) -> bool:
        """May it be another answer, or none, the next time?"""

    def placeholder(self, field: Any, why: str) -> Any:
        """What a column without a value reads as."""


@dataclass(eq=False, slots=True)
class Subject:
    """An object as of a moment: from what is asked for to what is said of it."""

    moment: Moment
    instance: Any = None
    error: BaseException | None = None
    notes: dict[str, None] = field(default_factory=dict)  # in the order in which they came

    def note(self, reason: str) -> None:
        """Say why the representation cannot be called exact."""
        self.notes[reason] = None


@dataclass(frozen=True)
class SetRelation:
    """A relation that leads to several objects."""

    accessor: str
    resolve: Callable[[Peers], list[Matches]]
    models: tuple[Any, ...]  # whose tables it reads
