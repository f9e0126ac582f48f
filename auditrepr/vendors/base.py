"""The interface of a database; the vendors have the same methods in the same order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Func, Model
from django.db.models.sql import Query

from .types import (
    Capture,
    Image,
    Installed,
    Position,
    Reach,
    SearchIndex,
    TableShape,
    Window,
    Writers,
)

if TYPE_CHECKING:
    from ..utils.time_limit import TimeLimit
    from .types import Found, Moment, Name


#: Takes the keys whose current rows are left out, as the log writes them, and the images that take
#: their place; returns the expression and its parameters, or None if the database cannot make one.
PastTableSQL = Callable[[Sequence[str], Sequence[Image]], tuple[str, list[Any]] | None]


class Vendor(ABC):
    """One database. ``*_sql`` methods and ``fingerprint`` are pure: the caller executes the SQL."""

    def __init__(self, using: str) -> None:
        self.using = using

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.using]

    # Whether the triggers must be removed during a schema change.
    triggers_block_schema_changes: bool

    # Whether Django's flush deletes from each table, so that the triggers record every row.
    flushes_table_by_table: bool

    # --- capture -------------------------------------------------------------------------------

    @abstractmethod
    def shapes(self, names: Collection[str]) -> dict[str, TableShape]:
        """Return the named tables that exist, as they are now, by their names in the log."""

    @abstractmethod
    def installed(self) -> dict[str, Installed]:
        """Return the tables with auditrepr's triggers, by their names in the log; one query."""

    @abstractmethod
    def support_sql(self) -> list[str]:
        """Return the SQL that creates or replaces what the triggers of all tables share."""

    @abstractmethod
    def fingerprint(self, capture: Capture) -> str:
        """Return a hash of all the SQL that the table's capture consists of."""

    @abstractmethod
    def install_sql(self, capture: Capture) -> list[str]:
        """Return the SQL that creates the table's triggers, in place of existing ones."""

    @abstractmethod
    def seal_sql(self) -> list[str]:
        """Return the SQL to run after creating triggers; it tells them from all later ones."""

    @abstractmethod
    def remove_sql(self, name: str) -> list[str]:
        """Return the SQL that drops the table's triggers, if there are any."""

    @abstractmethod
    def remove_support_sql(self) -> list[str]:
        """Return the SQL that drops what the triggers of all tables shared; the last trace."""

    @abstractmethod
    def append_only_sql(self) -> list[str]:
        """Return the SQL that makes the log reject updates, deletes and TRUNCATE by anybody."""

    @abstractmethod
    def append_only(self) -> bool:
        """Return whether the append-only triggers are installed, enabled and up to date."""

    @abstractmethod
    def may_prune(self) -> bool:
        """Return whether this connection has the rights to delete events."""

    @abstractmethod
    def pruning(self) -> AbstractContextManager[None]:
        """Allow the log's owner to delete events during the block, inside a transaction."""

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
    def tell(
        self,
        said: str,
        execute: Callable[..., Any],
        sql: Any,
        parameters: Any,
        many: bool,
        about: dict[str, Any],
    ) -> Any:
        """Run a statement that may write, and pass this context to the triggers during it.

        :param said: the context, as JSON. The other parameters are those of an execute_wrapper.
        """

    # --- rebuild -------------------------------------------------------------------------------

    @abstractmethod
    def reading(self, limit: TimeLimit) -> AbstractContextManager[None]:
        """Read from one snapshot during the block, in which nothing can be written.

        Inside the caller's own transaction only its isolation level applies.

        :param limit: ends a query that runs for too long. Who reads has to
            :meth:`show_life` whenever so much time has passed, or is taken for stopped.
        """

    @abstractmethod
    def show_life(self) -> None:
        """Tell the server that :meth:`reading` continues, if it would end an idle client."""

    @abstractmethod
    def discard(self) -> None:
        """Close the connection if the transaction that :meth:`reading` began is broken."""

    @abstractmethod
    def image_rows(
        self, model: type[Model], images: Sequence[Image]
    ) -> list[tuple[Image, Mapping[str, str], Sequence[Any]]]:
        """Return the rows that these images hold, with the types of the table's columns.

        Each existing image comes with the columns whose value the log does not have, and why, and
        with the values of the model's own concrete fields, in their order, as the database driver
        returns them.

        :raises django.db.Error: if one of the images does not fit the table.
        """

    def converted(
        self, fields: Sequence[Field[Any, Any]], rows: Iterable[Sequence[Any]]
    ) -> Iterable[Sequence[Any]]:
        """Return what a Django query makes of the driver's values, including ``from_db_value``."""
        compiler = Query(fields[0].model).get_compiler(self.using)
        columns = [field.get_col(fields[0].model._meta.db_table) for field in fields]
        converters = compiler.get_converters(columns)
        if converters:
            converted: Iterator[list[Any]] = compiler.apply_converters(rows, converters)
            return converted
        return rows

    # Whether the log shows which rows one statement changed.
    knows_statements: bool

    # Whether the order of a table without one changes when a row is updated.
    rewriting_moves_rows: bool

    # Whether quoted names that differ only in case are different names.
    names_have_case: bool

    @abstractmethod
    def changes(self, table: str, moments: Sequence[Moment], most: int) -> list[Any]:
        """Return this table's events that one of the moments may not have seen.

        They come in the order of their IDs, each with the fields of ``neighbours.Neighbour`` as the
        driver returns them; one more than ``most`` if there are more.
        """

    @abstractmethod
    def past_table(self, model: type[Model], images: Sequence[Image]) -> PastTableSQL:
        """Return a function that makes common table expressions that hide the model's own table.

        Whatever has to be queried for that is queried once and now.

        :param images: all that the function may be called with.
        """

    @abstractmethod
    def statement_reaches_beyond(self) -> bool:
        """Return whether third-party triggers or foreign keys may change more for one statement."""

    @abstractmethod
    def overtaken(self, deletes: Collection[int]) -> set[int]:
        """Those of a row that somebody else changed after the statement had first seen it."""

    @abstractmethod
    def changed_again(self, events: Collection[int]) -> set[int]:
        """Return the IDs of events whose row the same statement may have changed again.

        For a delete: before it.
        """

    @abstractmethod
    def out_of_order(self, events: Collection[int]) -> set[int]:
        """Return the IDs of events whose neighbors do not match, or match in either order.

        The neighbors are the events of the same row next to an event. A trigger that changes a row
        again is done before the change that fired it is recorded.
        """

    @abstractmethod
    def restored(self, ids: Collection[int]) -> set[int]:
        """Return the IDs of events that came from another cluster, with its transaction IDs."""

    @abstractmethod
    def newest_transaction(self) -> int | None:
        """Return the transaction ID at or above which events in the log were restored."""

    @abstractmethod
    def around(
        self, table: Name, wanted: Sequence[tuple[Moment, str]]
    ) -> list[tuple[int | None, ...]]:
        """The ids of the events around each moment: see :class:`auditrepr.asof.neighbours.Neighbours`.

        One query for all.
        """

    @abstractmethod
    def is_among(self, ids: Collection[int]) -> tuple[str, list[str]]:
        """Return a condition that an event has one of these IDs, and its parameters."""

    @abstractmethod
    def relation(self, model: type[Model], rows: Sequence[Found]) -> tuple[str, list[Any]] | None:
        """Return the head of a common table expression that holds these rows of the model's table.

        It starts with the columns' names; the last one, ``auditrepr_n``, numbers the rows from 0.
        None if no expression compares as the table's own columns do.
        """

    @abstractmethod
    def mentions(
        self, table: str, column: str, texts: Sequence[str], moments: Sequence[Moment], most: int
    ) -> tuple[Collection[tuple[str, str]], bool]:
        """Return which rows had one of these values in the column, before or after a later event.

        Later events are those that at least one of the moments has not seen. The result is pairs of
        value and key, both as in the log, and whether all later events were read.

        :param most: maximum number of events to read.
        """

    @abstractmethod
    def key_texts(self, field: Field[Any, Any], values: Sequence[Any]) -> list[str]:
        """Return the values of ``AuditLog.object_id`` for these values of a primary key."""

    # --- pending -------------------------------------------------------------------------------

    @abstractmethod
    def reach(self) -> Reach:
        """Return the highest IDs of the log; call :meth:`writers` only afterwards."""

    @abstractmethod
    def writers(self) -> Writers:
        """Return the transactions that may hold IDs of events that are not visible yet.

        A transaction that took its ID before the call is among them, or has ended.
        """

    # --- store and lease -----------------------------------------------------------------------

    @abstractmethod
    def store(self, rows: Sequence[tuple[int, str, str, str]]) -> int:
        """Insert representations: event ID, text, fidelity, reason; return how many were new.

        Existing ones are skipped. After an error nothing is stored, and the transaction continues.
        """

    @abstractmethod
    def replace(self, rows: Sequence[tuple[int, str, str, str]]) -> int:
        """Update representations, likewise; those that no longer exist are skipped."""

    @abstractmethod
    def refuses_value(self, error: Error) -> bool:
        """Return whether the error concerns one stored value: other rows can be stored."""

    @abstractmethod
    def passes(self, error: Error) -> bool:
        """Return whether the error is transient: a retry on a new connection may succeed."""

    @abstractmethod
    def end_if_idle(self, seconds: float) -> None:
        """Make the server end this transaction if its client is idle for that long, if it can."""

    @abstractmethod
    def clock(self, seconds: float = 0) -> Func:
        """Return the database's current time, not the transaction's, plus these seconds."""

    # --- search --------------------------------------------------------------------------------

    @abstractmethod
    def search_index(self) -> SearchIndex | None:
        """Return the index for searching representations, if it exists and is valid."""

    @abstractmethod
    def best_search_index(self) -> SearchIndex:
        """Return the best index that this database can have, with its extensions."""

    @abstractmethod
    def search_sql(self, index: SearchIndex) -> list[str]:
        """Return the SQL that creates the index; there must be none yet."""

    @abstractmethod
    def remove_search_sql(self) -> list[str]:
        """Return the SQL that drops every index for searching, if there is one."""

    @abstractmethod
    def search(
        self, index: SearchIndex, text: str, window: Window, forward: bool, most: int
    ) -> list[int] | None:
        """Return the events of the window whose representations match, by the index.

        At most `most`, in order, the oldest first if `forward`; if the index has no order, all in
        any order. None if there are more, or if the index cannot be used.
        """
