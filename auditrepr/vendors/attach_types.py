"""What vendors are asked about a log that is attached to another one, and the types of answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: What stands in the expressions of a view for the functions of :class:`Keys`.
TABLE, KEY = "{table}", "{key}"


class Span(NamedTuple):
    """What the primary key of a table was called during some time."""

    since: str | None  # times as ISO 8601; None: unbounded
    until: str | None
    columns: Sequence[Sequence[str]]  # of each column of the key, the names that it may have
    numbers: Sequence[bool] = ()  # which of them are numbers that the log holds as texts
    times: Sequence[bool] = ()  # which of them are times, in whatever zone the log has them


@dataclass(frozen=True)
class Keys:
    """What the view calls the tables of the other log, and where it finds their keys.

    Tables of the schemas in ``bare`` are called by their names alone, others with their schemas.
    The key is in the column ``id``. All that is otherwise stands in ``names`` and ``spans``, by
    schema and table.
    """

    bare: Sequence[str]
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    spans: Mapping[str, Mapping[str, Sequence[Span]]] = field(default_factory=dict)

    def usual_name(self, schema: str, table: str) -> str:
        """Return what a table is called of which nothing else is said."""
        return table if schema in self.bare else f"{schema}.{table}"


@dataclass(frozen=True)
class LogView:
    """A row of another log's table as an event: SQL for the columns of our log.

    :param rows: what follows ``FROM``; expressions have ``event.`` before the columns.
    :param columns: expressions by the name of our column; those that are not there are null.
    :param condition: which of them are events; empty: all, if they have a time that can be read.
    :param functions: statements that create what the expressions call.
    :param excluded: columns that are left out of rows, by table.
    :param known: JSON that the source gets again when the view is made again: what it has read from
        the log's events, so that they are read once.
    :param key_types: the types of keys that the expressions can read; None: all.
    """

    rows: str
    columns: Mapping[str, str]
    functions: Sequence[str] = ()
    condition: str = ""
    excluded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    key_types: Collection[str] | None = None
    known: Any = None


class Attachment(NamedTuple):
    """To what the log is attached."""

    source: str
    version: int  # of the functions that the view calls
    keys: Keys
    digest: str  # of the SQL that the view was made from
    known: Any = None  # see LogView
    in_place: bool = True  # false: a migration was interrupted, and the view is missing


class ViewFacts(NamedTuple):
    """What the view turned out to read."""

    tables: Sequence[str]  # the tables, as SQL has their names; one, if it is as it should be
    kind: str  # of the table: as in the catalog
    key: str | None  # the column of its primary key, if that is one column
    id: str  # the expression of the ID, over the table
    sequence: str | None
    cache: int
    rising: bool  # whether each ID that the sequence gives is higher than those before
    hidden: bool  # whether row-level security hides rows
    unindexable: str = ""  # why an index cannot find events of an object
    indexes: Sequence[str] = ()  # statements that create the indexes that are needed and missing
