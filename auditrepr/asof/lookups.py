"""What is asked of a batch, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Model

from ..vendors.types import Found

if TYPE_CHECKING:
    from ..vendors.types import Event
    from .peers import Peers


class Wish(NamedTuple):
    """A row that some subject needs, as of its event."""

    subject: Subject
    key: Any  # the primary key, as Python has it; or Unknown
    doubts: tuple[str, ...] = ()  # why it may be another one


class Answer(NamedTuple):
    """An object as of an event, or the error that it takes to build it; None if none was."""

    value: Model | Exception | None
    doubts: tuple[str, ...] = ()


class Answers(NamedTuple):
    """The objects of a set as of an event, and why some may be missing."""

    objects: list[Answer]
    doubts: tuple[str, ...]
    rows: list[Found]

    def single(self) -> Answer:
        """The one object of a set that can have no more."""
        if not self.objects:
            return Answer(None, self.doubts)
        value, doubts = self.objects[0]
        return Answer(value, doubts + self.doubts)


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


class SetAnswer(NamedTuple):
    """The objects of one related set, and the rows that they were made from."""

    objects: list[Any]
    doubts: tuple[str, ...]
    rows: Mapping[type[Model], list[Found]]


@dataclass(frozen=True)
class SetRelation:
    """A relation that leads to several objects."""

    accessor: str
    resolve: Callable[[Peers], list[SetAnswer]]
    models: tuple[Any, ...]  # whose tables it reads
