"""The capture facet: triggers, their context, and the position of the log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ...utils.sql import Statement
from ..capture_types import Capture, Installed, Survey, Swallower, TableShape
from ..types import Position
from .facet import Facet


class CaptureFacet(Facet, ABC):
    """Records changes. What ends in ``_sql`` returns statements, which the caller executes."""

    # Whether the triggers must be dropped while the schema changes.
    triggers_block_schema_changes: bool

    # Whether Django's flush deletes row by row, so that the triggers record every row.
    flushes_table_by_table: bool

    # What runs have seen of the partitions of the table that a query of Coverage is about.
    sighted_sql = "NULL"

    # --- tables and their triggers -------------------------------------------------------------

    @abstractmethod
    def log_schema(self) -> str:
        """Return the schema where this connection's log is, or would be; empty without schemas."""

    @abstractmethod
    def shapes(self, names: Collection[str]) -> dict[str, TableShape]:
        """Return the named tables that exist, as they are now, by their names in the log."""

    @abstractmethod
    def installed(self) -> dict[str, Installed]:
        """Return the tables with auditrepr's triggers, by their names in the log; one query."""

    @abstractmethod
    def survey(self, names: Collection[str], *, migrations: bool, installed: bool = True) -> Survey:
        """Return what `shapes`, `installed` and `append_only` return, in one query.

        :param migrations: find the applied migrations, too.
        :param installed: find the triggers; otherwise there seem to be none.
        :raises django.db.Error: with `migrations`, if there is no table of them.
        """

    @abstractmethod
    def catalog_version(self, names: Collection[str]) -> object:
        """Return what differs after any change of what makes these tables covered, or not.

        That is what `survey` finds of them, except types, and the recorded coverage. The
        caller's own transaction must not have changed any of it.
        """

    @abstractmethod
    def support_sql(self) -> list[str]:
        """Return the SQL that creates or replaces what the triggers of all tables share."""

    @abstractmethod
    def fingerprints(self, *captures: Capture, schema: str | None = None) -> list[str]:
        """Return a hash for each capture, of all the SQL that it consists of.

        It is the one that :meth:`installed` gives once :meth:`install_sql` was executed. The
        number of queries does not depend on the number of captures.

        :param schema: where the log is, if a survey has found it: then nothing is queried.
        """

    @abstractmethod
    def install_sql(self, *captures: Capture) -> list[str]:
        """Return what creates these tables' triggers, replacing those that are there."""

    def guard_sql(self, *captures: Capture) -> list[str]:
        """Return what guards the partitions of these tables that have been made since."""
        return []

    @abstractmethod
    def seal_sql(self) -> list[str]:
        """Return the SQL to run after creating triggers; it distinguishes them from later ones."""

    @abstractmethod
    def remove_sql(self, *names: str) -> list[str]:
        """Return what drops these tables' triggers; harmless if there are none."""

    @abstractmethod
    def remove_support_sql(self) -> list[str]:
        """Return the SQL that drops what the triggers of all tables shared; the last trace."""

    # --- the log -------------------------------------------------------------------------------

    @abstractmethod
    def append_only_sql(self) -> list[str]:
        """Return the SQL that makes the log reject updates, deletes and TRUNCATE by anybody."""

    @abstractmethod
    def append_only(self) -> bool:
        """Return whether the append-only triggers are installed, enabled and up to date."""

    @abstractmethod
    def swallowing(self) -> tuple[Swallower, ...]:
        """Return what on the log's own table keeps events from it, whatever writes them."""

    @abstractmethod
    def may_prune(self) -> bool:
        """Return whether this connection has the rights to delete events."""

    @abstractmethod
    def pruning(self) -> AbstractContextManager[None]:
        """Allow the log's owner to delete events during the block, inside a transaction."""

    @abstractmethod
    def may_erase(self) -> bool:
        """Return whether this connection has the rights to change events."""

    @abstractmethod
    def erasing(self) -> AbstractContextManager[None]:
        """Allow the log's owner to change events during the block, inside a transaction."""

    @abstractmethod
    def log_identity(self) -> tuple[str | None, bool]:
        """Return what distinguishes this log from all others, and whether it is a replica's copy.

        None if the database holds no log.
        """

    @abstractmethod
    def position(self) -> Position:
        """Return the current position of the log."""

    @abstractmethod
    def sequence_cache(self) -> int:
        """Return how many of the log's IDs a session takes at once; more than 1 breaks order."""

    # --- context -------------------------------------------------------------------------------

    @abstractmethod
    def prepare(self, connection: BaseDatabaseWrapper) -> None:
        """Make ready a connection that has just been opened; asks the server nothing."""

    @abstractmethod
    def tell(self, said: str, statement: Statement) -> Any:
        """Run a statement that may write, and return what it returns.

        Events that it causes have this context; what runs afterwards has not.

        :param said: the context, as JSON.
        """
