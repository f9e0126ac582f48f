"""Types for capture: the tables of a database, and the triggers that they have or should have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What a name in the database refers to."""

    TABLE = "table"
    PARTITIONED = "partitioned table"
    VIEW = "view"
    FOREIGN = "foreign table"
    VIRTUAL = "virtual table"


@dataclass(frozen=True)
class Column:
    """A column as the database has it, not as the model declares it."""

    name: str
    type: str
    stored: bool = True  # False: computed whenever it is read


@dataclass(frozen=True)
class TableShape:
    """A table as the database has it now."""

    kind: Kind
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...]


#: How many fingerprints of tables a process keeps: as many as the tables of one site, or several.
FINGERPRINTS = 8192


@dataclass(frozen=True)
class Capture:
    """Everything that the triggers of one table are made from."""

    name: str  # as in AuditLog.table_name
    db_table: str  # as Django writes it
    shape: TableShape
    key_columns: tuple[str, ...]
    excluded: frozenset[str]

    @property
    def keeps_keys_unique(self) -> bool:
        """Return whether the table's primary key is what the log takes for the key of its rows."""
        own = self.shape.key_columns
        return bool(own) and set(own) <= set(self.key_columns)


class Partition(NamedTuple):
    """A table below an audited one, as the catalog shows it."""

    name: str
    parent: str  # the key of what it is attached to
    link: str  # another one each time that it is attached
    triggers: str  # which triggers of ours it has; others if they were replaced
    recorded: bool  # do triggers see its rows change? Not those of a foreign table
    guarded: bool  # is a TRUNCATE of it recorded that names it?
    original: bool  # has it the file with which it was made? It was never emptied, then
    born: bool  # was it made as a partition, which is empty? Its own rows came through triggers
    empty: bool  # has it never had a row of its own?

    @property
    def identity(self) -> str:
        """Return what changes if it is attached again, or its triggers are replaced."""
        return f"{self.link} {self.triggers}"


@dataclass(frozen=True)
class Installed:
    """The triggers that one table has now."""

    name: str  # the table as the log names it
    fingerprint: str  # of the SQL that created them
    enabled: bool
    excluded: frozenset[str]
    columns: frozenset[str] | None = None  # the recorded columns; None: all but the excluded
    identity: str = ""  # the place, a colon, and what distinguishes them from replacements
    whole: bool = True  # whether all triggers exist
    partitions: Mapping[str, Partition] = field(default_factory=dict)

    @property
    def fires(self) -> bool:
        """Return whether every change of the table is recorded."""
        return self.whole and self.enabled

    def replace(self, recorded: str) -> bool:
        """Return whether these triggers were re-created since `recorded` was noted.

        False in a database that was restored elsewhere, where all identities differ.
        """
        return self.is_where(recorded) and self.identity != recorded.partition("\n")[0]

    def is_where(self, recorded: str) -> bool:
        """Return whether these triggers are in the database in which `recorded` was noted."""
        return self.identity.partition(":")[0] == recorded.partition(":")[0]


class Swallower(NamedTuple):
    """What keeps events from the log although triggers write them."""

    cause: str  # a rule, a trigger or a table, by its name
    remedy: str  # the statement that ends it


class Survey(NamedTuple):
    """The state of a database's capture, read in one query."""

    schema: str  # where the log is, or would be
    shapes: dict[str, TableShape]  # the requested tables, by their names in the log
    installed: dict[str, Installed]
    append_only: bool
    applied: frozenset[tuple[str, str]] | None  # app labels and names of migrations, if requested
    swallowing: tuple[Swallower, ...] = ()
