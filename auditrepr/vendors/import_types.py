"""What vendors are asked about the sources of imports, and the types of their answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple


@dataclass(frozen=True)
class Selection:
    """A SELECT of a source, and which of its events are meant.

    :param has: the optional columns that it has.
    :param by_time: whether times order its events, and positions only those that share one.
    :param until: only events from before this time.
    :param tables: only events of these tables; None: of all.
    :param excluded: columns that never come into the log, by table.
    """

    select: str
    has: Collection[str]
    until: datetime
    tables: Sequence[str] | None = None
    excluded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by_time: bool = False


class UnfitType(NamedTuple):
    """A column of a SELECT that is of a wrong type."""

    column: str
    type: str
    expected: str


class Cell(NamedTuple):
    """A value of a document that a SELECT makes."""

    name: str
    sql: str
    known: str = ""  # a condition; if it is not met, the document has no such value
    is_json: bool = False


class Form(Enum):
    """What Django's serializers write for the fields of one kind, and can be read exactly."""

    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"
    DECIMAL = "decimal"
    FLOAT = "float"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    UUID = "uuid"
    JSON = "json"


class Serialized(NamedTuple):
    """A value in a document that one of Django's serializers has made, and its column."""

    name: str
    path: tuple[str, ...]
    form: Form
    places: int | None = None  # of a decimal number
    known: str = ""  # a further condition, as that of a cell
    said: str = "NULL"  # SQL for the text of the value if it is said elsewhere, too


class Planned(NamedTuple):
    """Planned events of one SELECT, with IDs in ``(after, upto]``."""

    part: int  # the number of the SELECT
    after: int
    upto: int
    lowest: int  # their first position
    highest: int


class Known(NamedTuple):
    """A table as it is today: its recorded columns, and since when it is covered."""

    columns: Sequence[str]
    covered_since: datetime | None


class FoundTable(NamedTuple):
    """A table in a SELECT."""

    name: str
    events: int
    whole: int  # events whose rows have all columns of today's table
    missed: int  # events that come too late to be meant, and too early to be covered
    later: int  # all events that come too late to be meant
    future: int  # events that are dated in the future
    keyless: int  # events without an object ID
    first: datetime | None
    last: datetime | None

    def joined(self, other: FoundTable) -> FoundTable:
        """Return this with more events of the same table."""
        firsts, lasts = (self.first, other.first), (self.last, other.last)
        return FoundTable(
            self.name,
            self.events + other.events,
            self.whole + other.whole,
            self.missed + other.missed,
            self.later + other.later,
            self.future + other.future,
            self.keyless + other.keyless,
            min((at for at in firsts if at), default=None),
            max((at for at in lasts if at), default=None),
        )


class Unfit(NamedTuple):
    """How many events of a SELECT are not as the contract wants them, by what is wrong."""

    shared: int  # another event has the same position
    position: int
    table: int
    action: int
    key: int
    object: int
    row: int
    time: int
    changed: int
    context: int
