"""What databases say of themselves and of a log, in one vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..renames import Step


class Kind(Enum):
    """What a name in the database stands for."""

    TABLE = "table"
    PARTITIONED = "partitioned table"
    VIEW = "view"
    FOREIGN = "foreign table"
    VIRTUAL = "virtual table"


@dataclass(frozen=True)
class Column:
    """A column as the database has it, not as the model says it should be."""

    name: str
    type: str
    stored: bool = True  # False: computed whenever it is read


@dataclass(frozen=True)
class TableShape:
    """A table as the database has it now."""

    kind: Kind
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...]


@dataclass(frozen=True)
class Capture:
    """All that the triggers of one table are made from."""

    name: str  # what stands in AuditLog.table_name
    db_table: str  # as Django writes it
    shape: TableShape
    key_columns: tuple[str, ...]
    excluded: frozenset[str]


@dataclass(frozen=True)
class Installed:
    """The triggers that one table has now."""

    name: str  # the table as the log names it
    fingerprint: str  # of the SQL that they were made from
    enabled: bool
    excluded: frozenset[str]
    columns: frozenset[str] | None = None  # that reach the log; None: all but the excluded
    identity: str = ""  # where they are, a colon, and what those that replace them have not

    def replace(self, recorded: str) -> bool:
        """Did somebody put them in the place of those that had this identity?

        In a database that was restored elsewhere, all are others.
        """
        where, _, these = self.identity.partition(":")
        there, _, those = recorded.partition(":")
        return where == there and these != those


class Image(NamedTuple):
    """A state of a row that an event holds: the one it left, or the one it found.

    What an event is about is its own image with ``before`` false; for a delete that is the last
    state of the row.
    """

    event_id: int
    before: bool = False
    steps: tuple[Step, ...] = ()  # what has happened to the table's columns since


#: What is missing where every column's value is known: nothing.
ALL_KNOWN: dict[str, str] = {}


class Position(NamedTuple):
    """Where a log stands."""

    event: int  # the highest id that it has handed out, whether or not its row is committed
    transaction_id: int | None  # the one that asked; SQLite has none


class Reach(NamedTuple):
    """The highest ids of a log; 0 where there is none."""

    visible: int
    handed_out: int  # no id at or below it is taken from now on, except by naming it
    whole: bool = True  # false where row-level security hides some of it


@dataclass(frozen=True)
class Writers:
    """Transactions that may still bring audit rows to light, with ids that they hold already."""

    names: frozenset[str] = frozenset()
    server: str = ""  # the server's life: in the next one the names begin anew
    renamed: bool = False  # one of them came over from an earlier life, under a new name

    def include_any_of(self, earlier: Writers) -> bool:
        """Can one of those that were there earlier be among these?"""
        same_life = self.server == earlier.server
        return self.renamed or (same_life and not self.names.isdisjoint(earlier.names))


class SearchIndex(NamedTuple):
    """An index that finds representations by what they say."""

    anywhere: bool  # or else only by how they begin
    in_order: bool  # Can it give the nearest matches without reading all the others?


class Window(NamedTuple):
    """A range of events, without its ends; none: it has no end there."""

    after: int | None = None
    before: int | None = None
