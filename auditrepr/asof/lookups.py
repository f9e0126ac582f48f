"""The types that the modules of this package exchange: lookups, subjects, the reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from django.db.models import Model

from ..vendors import Vendor
from ..vendors.types import Event, Found, Moment, Row
from .attributes import Hidden
from .imported_texts import ImportedText
from .matches import Matches
from .substitution import Relations

if TYPE_CHECKING:
    from .related.peers import Peers
    from .related.repeated_peers import RepeatedPeers


class Lookup(NamedTuple):
    """A row that a subject needs as of its moment: from a relation to the reader of the log."""

    subject: Subject
    key: Any  # the primary key, or the value of the field that it is found by; or Unknown
    doubts: tuple[str, ...] = ()  # why the key may be another one


class Point(NamedTuple):
    """A moment where an event is expected: an object as of it, from a page to the builder."""

    moment: Moment
    id: int = 0
    action: str = ""
    table_name: str = ""


Origin = Event | Point


class Reference(NamedTuple):
    """The value of a foreign key at an event: from a page to the builder of its text."""

    event: Origin
    field: Any  # or Itself
    value: Any  # as Python has it


class Itself:
    """Leads to an object of the model by its primary key, as a foreign key would."""

    def __init__(self, model: type[Model]) -> None:
        self.related_model = model
        self.foreign_related_fields = (model._meta.pk,)


class Ask(NamedTuple):
    """How current code finds an object: from a relation to the code that reads it."""

    query: Callable[[Any], Any]  # of the instance that the relation is of


class AsOfReader(Protocol):
    """Reads related objects, each as of its subject's moment, for many subjects at once."""

    using: str
    vendor: Vendor

    def find(self, model: type[Model], lookups: Sequence[Lookup]) -> list[Found]:
        """Return the objects with these primary keys."""

    def find_present(self, model: type[Model], lookups: Sequence[Lookup]) -> list[Found]:
        """Return the objects with these primary keys, except those deleted by then."""

    def find_by(self, model: type[Model], field: Any, lookups: Sequence[Lookup]) -> list[Matches]:
        """Return all objects whose field had the value that is looked up as key."""

    def find_many(self, model: type[Model], field: Any, lookups: Sequence[Lookup]) -> list[Matches]:
        """Return the objects that links refer to through this foreign key."""

    def own_queries(self) -> AbstractContextManager[None]:
        """Send queries inside as auditrepr's own, not as those of the code that runs."""

    def instead_of(
        self, relations: Relations, otherwise: Subject | None = None
    ) -> AbstractContextManager[None]:
        """Run the first query inside on these rows in place of the models' tables.

        :param otherwise: the subject whose moment the tables are read as of, if the query uses
            another table.
        """

    def asking(self, subject: Subject) -> AbstractContextManager[None]:
        """Run queries inside as those of the project's code, on the tables as of the moment."""

    def adopt(self, instance: Any, subject: Subject) -> Any:
        """Return the instance that the project's code has made, with relations as of the moment."""

    def own_row(self, model: type[Model], row: Row) -> Row:
        """Return the row with copies of all values that code can change."""

    def repeated(self, peers: Peers) -> RepeatedPeers:
        """Return the peers for further instances of the rows of these."""

    def made_again(self, peers: Peers, subject: Subject, row: Row) -> Model | Exception:
        """Return another instance of a row, as one of these peers, or the error that was raised."""

    def passes(self, error: Exception) -> bool:
        """Return whether the error is transient, so that the next attempt may differ."""

    def placeholder(self, field: Any, why: str) -> Any:
        """Return the stand-in for a column without a value."""

    def left_to_django(self, subject: Subject) -> None:
        """Take note that Django is about to read current rows, unless that is seen anyway."""


@dataclass(eq=False, slots=True)
class Subject(Hidden):
    """An object as of a moment: its instance or error, and why it is mixed."""

    moment: Moment
    instance: Any = None
    error: BaseException | None = None
    notes: dict[str, None] = field(default_factory=dict)  # in the order in which they came
    found_none: bool = False  # a relation has answered None
    has_asked: bool = False  # its code has read a related set, or sent a query
    is_whole: bool = True  # false if the event does not hold all columns of its own row
    imported: ImportedText | None = None

    def note(self, reason: str) -> None:
        """Add a reason why the representation is mixed."""
        self.notes[reason] = None


@dataclass(frozen=True)
class ObjectRelation:
    """A relation that leads to one object."""

    resolve: Callable[[Peers], Sequence[Found]]
    models: tuple[Any, ...] = ()  # that of the object; none if each object may be of another one
    source: Any = None  # the foreign key of the instance itself, if that decides


@dataclass(frozen=True)
class SetRelation:
    """A relation that leads to several objects."""

    accessor: str
    resolve: Callable[[Peers], list[Matches]]
    models: tuple[Any, ...]  # the models whose tables it reads
