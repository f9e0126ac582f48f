"""Rows of automatic many-to-many tables: an object gets another one, or loses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

GAINED, LOST = "+", "-"


class Change(NamedTuple):
    """One pair of objects, and whether they were put together or separated."""

    sign: str
    row: Any  # the table's instance as of the event: its foreign keys lead to both objects


class PairChanges(NamedTuple):
    """What an event did to a many-to-many field, in place of an instance of its table.

    An update separates the pair that the row held before.
    """

    field: Any
    changes: Sequence[Change]


def pair_changes(field: Any, action: str, row: Any, before: Any = None) -> PairChanges:
    """Return what the event with this action and these instances did.

    :param before: of an update: the instance of what the row was.
    """
    match action:
        case "U":
            return PairChanges(field, [Change(LOST, before), Change(GAINED, row)])
        case "D":
            return PairChanges(field, [Change(LOST, row)])
        case _:
            return PairChanges(field, [Change(GAINED, row)])
