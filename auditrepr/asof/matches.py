"""What is found by a value that a field had at a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import Model

from ..vendors.types import Found


def _none(_: Any) -> None:
    return None


class Matches(NamedTuple):
    """All rows, and later objects, that had a value in a field at a moment."""

    found: Sequence[Found]
    doubts: tuple[str, ...] = ()  # why some may be missing
    rows: Mapping[type[Model], Sequence[Found]] = {}  # the rows that queries of the set read
    #: Returns what a queryset of the model selects, in its order; None if only a query can.
    shown: Callable[[Any], Sequence[Found] | None] = _none
    plain: bool = True  # `found` is what any manager selects, in the order of the model
    in_order: bool = True  # without an ORDER BY, the server's order is known, and is this one

    def single(self) -> Found:
        """Return the only object of a set that has at most one."""
        if not self.found:
            return Found(None, self.doubts)
        return self.found[0]._replace(doubts=self.found[0].doubts + self.doubts)
