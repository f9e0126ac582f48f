"""What is asked of a batch, and what it answers."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Model

from .events import Subject
from .history import Found


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
