"""What a vendor is asked for, and what it answers in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from django.db.models import Model, Q

from ..models import AuditLog
from ..utils.model_meta import own_fields

NOT_RECORDED = "not recorded"  # left out on purpose, or added to the table later
TOO_BIG = "too big to be recorded"


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


class Found(NamedTuple):
    """A row as of a moment; none if there was none."""

    row: Row | Exception | None
    doubts: tuple[str, ...] = ()
    image: Image | None = None  # where the log holds it; else it is today's
    gone: bool = False  # the row is its last state, from before its end


class Step(NamedTuple):
    """What happened to a column of a row that is older."""

    old: str
    new: str | None  # None: it went, and another one has taken its name since
    replacing: bool = False  # even where the row has both


class Name(NamedTuple):
    """A name that a table has or had; a limit is given where other tables have had it, too."""

    name: str
    since: datetime | None = None
    until: datetime | None = None

    def includes(self, at: datetime) -> bool:
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)

    def events(self, prefix: str = "") -> Q:
        """What is logged under it.

        :param prefix: the way to the log, for a query on another table.
        """
        bounds = {"occurred_at__gte": self.since, "occurred_at__lt": self.until}
        limits = {f"{prefix}{name}": limit for name, limit in bounds.items() if limit is not None}
        return Q(**{f"{prefix}table_name": self.name}, **limits)


def renamed(steps: Iterable[Step], row: Mapping[str, Any]) -> dict[str, Any]:
    """The row by today's names of its columns."""
    row = dict(row)
    for old, new, replacing in steps:
        # A row that has the new name already was written in the same migration, after this step.
        if old in row and (new is None or replacing or new not in row):
            value = row.pop(old)
            if new is not None:
                row[new] = value
    return row


class Row(NamedTuple):
    """The model's own table only: a parent's columns are rows of the parent's table."""

    values: dict[str, Any]  # by the field's attname
    missing: Mapping[str, str] = {}  # columns whose value is not known, and why

    def without(self, model: type[Model], columns: Collection[str]) -> Row:
        """The row from before it had these columns."""
        names = {f.attname for f in own_fields(model) if f.column in columns}
        values = {name: value for name, value in self.values.items() if name not in names}
        return Row(values, dict.fromkeys(columns, NOT_RECORDED) | dict(self.missing))


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
    whole: bool = True  # are all of them there?

    @property
    def fires(self) -> bool:
        """Does every change of the table reach the log?"""
        return self.whole and self.enabled

    def replace(self, recorded: str) -> bool:
        """Did somebody put them in the place of those that had this identity?

        In a database that was restored elsewhere, all are others.
        """
        where, _, these = self.identity.partition(":")
        there, _, those = recorded.partition(":")
        return where == there and these != those


class Survey(NamedTuple):
    """All that tells whether a database records what it should; one query."""

    schema: str  # that the log is in, or would be
    shapes: dict[str, TableShape]  # of the tables that were asked for, by the log's names
    installed: dict[str, Installed]
    append_only: bool
    applied: frozenset[tuple[str, str]] | None  # app labels and names of migrations, if asked for


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
