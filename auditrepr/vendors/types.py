"""What vendors are asked about the log, and the types of their answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Model, Q

from ..utils.model_meta import own_fields

NOT_RECORDED = "not recorded"  # excluded, or added to the table later
TOO_BIG = "too large to record"
NOT_IMPORTED = "not in the imported event"  # whose row is not known at all
ERASED = "erased on "  # and the day


def digest_of_erased(day: str) -> dict[str, dict[str, str]]:
    """Return what the log holds in place of a value that was erased on this day.

    It is a digest of nothing: what reads the log knows those of values that were too large.
    """
    return {"$digest": {"erased": day}}


def erased_on(value: Any) -> str | None:
    """Return the day on which a value of the log was erased; None if it was not."""
    digest = value.get("$digest") if isinstance(value, dict) else None
    day = digest.get("erased") if isinstance(digest, dict) else None
    return day if isinstance(day, str) else None


def why_missing(value: Any) -> str:
    """Return why a column has only this digest."""
    day = erased_on(value)
    return TOO_BIG if day is None else ERASED + day


#: No imported event has a higher ID: triggers assign IDs from 1 on.
LAST_IMPORTED = 0


class Moment(NamedTuple):
    """What of the log had been seen by then: from an event, or a time, to the queries of the log.

    All up to an event, as far as the snapshot saw it. What stands below the line is of the
    statement that the moment follows, or comes before; a moment that is only a time has none.
    """

    upto: int  # the id of the event
    before: bool = False  # right before the event, not right after it
    snapshot: str | None = None  # None: everything up to there was seen
    transaction_id: int | None = None
    # ---
    table_name: str = ""
    action: str = ""
    statement_at: datetime | None = None
    occurred_at: datetime | None = None


#: Below every event ID, whatever IDs the log begins with: the whole log comes after it.
BEGINNING = -(2**63)
NOTHING_SEEN = Moment(BEGINNING)


def id_before(event_id: int) -> int:
    """Return the ID below this one, or the beginning, below which databases have no numbers."""
    return max(event_id - 1, BEGINNING)


class Event(NamedTuple):
    """An audit row, from the log to the builder; the row's data stays in the database."""

    id: int
    table_name: str
    object_id: str | None
    action: str
    transaction_id: int | None
    snapshot: str | None
    statement_at: datetime | None
    occurred_at: datetime

    @classmethod
    def of(cls, row: Any) -> Event:
        """Return the event that an object with these attributes is, such as a row of the log."""
        return cls(*(getattr(row, name) for name in cls._fields))

    @property
    def moment(self) -> Moment:
        """Right after it, as its transaction saw it; for a delete right before."""
        return Moment(
            self.id,
            self.action == "D",
            self.snapshot,
            self.transaction_id,
            self.table_name,
            self.action,
            self.statement_at,
            self.occurred_at,
        )


class Found(NamedTuple):
    """What there was at a moment: from the log as a row, to a relation as an object, too."""

    row: Row | Exception | None  # None: there was no row
    doubts: tuple[str, ...] = ()
    image: Image | None = None  # where the row is in the log; None: it is the current row
    gone: str = ""  # not empty: the row was deleted, this is its last state, and why
    value: Any = None  # the object made of the row, or the error that making it raised
    inserted: int | None = None  # the event that gave the row its place in the table, if known
    inherited: tuple[int | None, ...] = ()  # likewise of the rows that its model inherits from


class Step(NamedTuple):
    """A change of a column since an older row was recorded: of its name, or of its type."""

    old: str
    new: str | None  # None: removed, and another one has its name now
    replacing: bool = False  # even if the row has both names
    types: tuple[str, str] | None = None  # before and after; both names are the same then


class Name(NamedTuple):
    """A current or former name of a table; a limit is given if other tables have had it, too."""

    name: str
    since: datetime | None = None
    until: datetime | None = None

    def includes(self, at: datetime) -> bool:
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)

    def events(self, prefix: str = "") -> Q:
        """Return the condition for the events recorded under this name.

        :param prefix: the path to the log, for a query on another table.
        """
        bounds = {"occurred_at__gte": self.since, "occurred_at__lt": self.until}
        limits = {f"{prefix}{name}": limit for name, limit in bounds.items() if limit is not None}
        return Q(**{f"{prefix}table_name": self.name}, **limits)


def renamed(steps: Iterable[Step], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row by the current names of its columns."""
    row = dict(row)
    for old, new, replacing, _ in steps:
        # A row that has the new name already was written in the same migration, after this step.
        if old in row and (new is None or replacing or new not in row):
            value = row.pop(old)
            if new is not None:
                row[new] = value
    return row


class Row(NamedTuple):
    """A row's values, from the database to the instance that is made of them.

    Of the model's own table only: a parent's columns are rows of the parent's table.
    """

    values: dict[str, Any]  # by the field's attname
    missing: Mapping[str, str] = {}  # why columns have no known value
    lossy: tuple[str, ...] = ()  # why a value may differ from that of the table
    unread: Mapping[str, Any] = {}  # by attname, what fields read with queries: no value has it yet

    def without(self, model: type[Model], columns: Collection[str]) -> Row:
        """Return the row as it was before it had these columns."""
        names = {f.attname for f in own_fields(model) if f.column in columns}
        values = {name: value for name, value in self.values.items() if name not in names}
        unread = {name: value for name, value in self.unread.items() if name not in names}
        missing = dict.fromkeys(columns, NOT_RECORDED) | dict(self.missing)
        return Row(values, missing, self.lossy, unread)


class Image(NamedTuple):
    """A state of a row that an event holds, from where it is found to where it is read.

    It is the state that the event left, or the one that it found.

    The state of an event itself is the image with ``before`` false; for a delete that is the last
    state of the row.
    """

    event_id: int
    before: bool = False
    steps: tuple[Step, ...] = ()  # later changes of the table's columns


class RawRow(NamedTuple):
    """A row that an image holds, as the driver returns it."""

    image: Image
    missing: Mapping[str, str]  # why columns have no known value
    values: Sequence[Any]  # of the model's own concrete fields, in their order
    unlike: Sequence[str] = ()  # columns whose imported values are of another kind than the table's


#: The missing columns if every value is known: none.
ALL_KNOWN: dict[str, str] = {}


class Position(NamedTuple):
    """The position of a log."""

    event: int  # the highest ID handed out, whether or not its event is committed
    transaction_id: int | None  # the caller's; SQLite has none


class Reach(NamedTuple):
    """The highest IDs of a log; 0 if there is none."""

    visible: int
    handed_out: int  # no ID up to this one will be handed out again
    whole: bool = True  # false if row-level security hides some of it
    snapshot: str | None = None  # what is visible; None: of one writer at a time all is


@dataclass(frozen=True)
class Writers:
    """Open transactions that may still commit events, with IDs that they hold already."""

    names: frozenset[str] = frozenset()
    server: str = ""  # the server's start: after a restart, the names start over
    renamed: bool = False  # one of them got a new name after a crash recovery

    def include_any_of(self, earlier: Writers) -> bool:
        """Return whether one of the earlier writers may be among these."""
        same_life = self.server == earlier.server
        return self.renamed or (same_life and not self.names.isdisjoint(earlier.names))


class SearchIndex(NamedTuple):
    """An index for searching the text of representations."""

    anywhere: bool  # False: only at the beginning of the text
    in_order: bool  # whether it returns the nearest matches without reading the others


class Window(NamedTuple):
    """A range of events, without its ends; None: unbounded on that side."""

    after: int | None = None
    before: int | None = None
