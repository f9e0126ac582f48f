"""What a source is: its SELECTs, and what its events can be relied on for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from ..exceptions import NotAttachable
from ..vendors.attach_types import LogView


class Order(Enum):
    """What the positions of a source order."""

    WHOLE = "all of its events"
    TABLE = "the events of each table, and events of different tables by their times"


@dataclass(frozen=True)
class Facts:
    """What a log records by its nature, whatever it holds."""

    order: Order
    deletes: bool  # does it record deletions?
    before_images: bool  # does it say what an update changed? If not, the event before does
    whole_rows: bool  # does an event hold all columns of the row?
    texts: bool = False  # does an event say what the object was called?


class Part(NamedTuple):
    """One SELECT of a source, whose positions order its events."""

    name: str  # distinguishes it from the source's other parts, also when an import continues
    select: str
    by_time: bool = False  # do times order its events, and positions only those that share one?


class Source(ABC):
    """Another audit log."""

    name: str  # stands in the context of each imported event
    title: str = ""  # what its makers call it, if that is another name
    facts: Facts
    says_keys = False  # must each event of an audited table have an object ID?
    trial = False  # is it only tried, in a session that must find nothing of that afterwards?
    unattachable = "it is not one table of all events"  # why it cannot be read in the log's place

    @abstractmethod
    def parts(self, using: str, tables: Collection[str] | None = None) -> list[Part]:
        """Return the SELECTs that give the source's events, from this database.

        :param tables: the tables whose events are wanted, and perhaps others; None: all.
        :raises SourceUnavailable: if it is not there.
        """

    def tables(self, using: str) -> list[tuple[str, str]]:
        """Return which tables an attachable source has events of, by schema and name."""
        return []

    def view(self, using: str, known: Any = None) -> LogView:
        """Return the source as something that can be read in the log's place.

        :param known: that of the view as it was; None: there is none yet.
        :raises NotAttachable: if it cannot.
        :raises SourceUnavailable: if it is not there.
        """
        raise NotAttachable(source=self.name, reason=self.unattachable)

    def left_out(self, using: str, tables: Collection[str] | None = None) -> dict[str, int]:
        """Return how many events the source has that are in none of its SELECTs, by what they are.

        :param tables: as of :meth:`parts`.
        """
        return {}
