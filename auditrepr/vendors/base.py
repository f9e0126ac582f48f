"""What auditrepr asks of a database. The vendors have the same attributes in the same order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


class Kind(Enum):
    """What a name in the database stands for."""

    TABLE = "table"
    PARTITIONED = "partitioned table"
    VIEW = "view"
    FOREIGN = "foreign table"


@dataclass(frozen=True)
class Column:
    """A column as the database has it, not as the model says it should be."""

    name: str
    type: str


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


class Vendor(ABC):
    """One database. What ends in ``_sql`` or ``fingerprint`` is pure: the caller executes it."""

    def __init__(self, using: str) -> None:
        self.using = using

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.using]

    # Must the triggers be out of the way while the schema changes?
    triggers_block_schema_changes: bool

    # --- capture -------------------------------------------------------------------------------

    @abstractmethod
    def shapes(self, names: Collection[str]) -> dict[str, TableShape]:
        """The named tables that exist, as they are now, by the names that the log has for them."""

    @abstractmethod
    def installed(self) -> dict[str, Installed]:
        """The tables that carry auditrepr's triggers, by the log's names; one catalogue query."""

    @abstractmethod
    def support_sql(self) -> list[str]:
        """Creates, or replaces, what the triggers of all tables share."""

    @abstractmethod
    def fingerprint(self, capture: Capture) -> str:
        """A hash of all the SQL that the table's capture consists of."""

    @abstractmethod
    def install_sql(self, capture: Capture) -> list[str]:
        """Creates the table's triggers, in place of those that are there."""

    @abstractmethod
    def remove_sql(self, name: str) -> list[str]:
        """Drops the table's triggers; harmless where there are none."""

    @abstractmethod
    def remove_support_sql(self) -> list[str]:
        """Drops what the triggers of all tables shared; the last trace."""

    # --- rebuild -------------------------------------------------------------------------------

    # --- pending -------------------------------------------------------------------------------

    # --- store and lease -----------------------------------------------------------------------
