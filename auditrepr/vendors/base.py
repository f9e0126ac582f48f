"""What auditrepr asks of a database. The vendors have the same attributes in the same order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
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
    Survey,
    TableShape,
    Window,
    Writers,
)

if TYPE_CHECKING:
    from ..utils.time_limit import TimeLimit
    from .types import Event, Found, Name


class Vendor(ABC):
    """One database. What ends in ``_sql`` or ``fingerprint`` is pure: the caller executes it."""

    def __init__(self, using: str) -> None:
        self.using = using

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.using]

    # Must the triggers be out of the way while the schema changes?
    triggers_block_schema_changes: bool

    # Does Django's flush empty one table after the other, so that the triggers log every row?
    flushes_table_by_table: bool

    # --- capture -------------------------------------------------------------------------------

    @cached_property
    @abstractmethod
    def log_schema(self) -> str:
        """The schema that the log is in, or would be created in; empty if there are no schemas."""

    @abstractmethod
    def shapes(self, names: Collection[str]) -> dict[str, TableShape]:
        """The named tables that exist, as they are now, by the names that the log has for them."""

    @abstractmethod
    def installed(self) -> dict[str, Installed]:
        """The tables that carry auditrepr's triggers, by the log's names; one catalogue query."""

    @abstractmethod
    def survey(self, names: Collection[str], *, migrations: bool) -> Survey:
        """What `shapes`, `installed` and `append_only` tell, and which migrations are applied.

        :raises django.db.Error: with `migrations`, where there is no table of them.
        """

    @abstractmethod
    def limited(self, seconds: float) -> AbstractContextManager[None]:
        """Queries inside take no longer than this, where the server can end them."""

    @abstractmethod
    def hurried(self, settings: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """The settings of a connection that is given up soon; None where none is to be made."""

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
    def seal_sql(self) -> list[str]:
        """Follows whatever created triggers: tells them from all that come later."""

    @abstractmethod
    def remove_sql(self, name: str) -> list[str]:
        """Drops the table's triggers; harmless where there are none."""

    @abstractmethod
    def remove_support_sql(self) -> list[str]:
        """Drops what the triggers of all tables shared; the last trace."""

    @abstractmethod
    def append_only_sql(self) -> list[str]:
        """Makes the log refuse updates, deletes and TRUNCATE, those of its owner included."""

    @abstractmethod
    def append_only(self) -> bool:
        """Does it, just as `append_only_sql` would make it?"""

    @abstractmethod
    def may_prune(self) -> bool:
        """Do the rights of this connection suffice to delete events?"""

    @abstractmethod
    def pruning(self) -> AbstractContextManager[None]:
        """Inside, and inside a transaction, deletes by the log's owner are not refused."""

    @abstractmethod
    def position(self) -> Position:
        """Where the log stands now."""

    @abstractmethod
    def sequence_cache(self) -> int:
        """How many of the log's ids a session takes at once; more than 1 breaks their order."""

    # --- context -------------------------------------------------------------------------------

    @abstractmethod
    def listen(self, connection: BaseDatabaseWrapper) -> None:
        """Prepare a connection that has just been opened; sends nothing."""

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
        """Run a statement that may write, and let the triggers know this context meanwhile.

        :param said: the context, as JSON. What follows it is what an execute_wrapper gets.
        """

    # --- rebuild -------------------------------------------------------------------------------

    @abstractmethod
    def reading(self, limit: TimeLimit) -> AbstractContextManager[None]:
        """Everything read inside is of one moment, and nothing can be written.

        Inside the caller's own transaction its isolation is all there is.

        :param limit: ends a query of others that runs for too long. Who reads has to
            :meth:`show_life` whenever so much time has passed, or is taken for stopped.
        """

    @abstractmethod
    def show_life(self) -> None:
        """Let the server know that :meth:`reading` goes on, where it would end who is silent."""

    @abstractmethod
    def discard(self) -> None:
        """Give up the connection where the transaction that :meth:`reading` began is broken."""

    @abstractmethod
    def image_rows(
        self, model: type[Model], images: Sequence[Image]
    ) -> list[tuple[Image, Mapping[str, str], Sequence[Any]]]:
        """The rows that these images hold, typed as the table's own.

        Gives each image that exists with the columns whose value the log does not know, and why,
        and the values of the model's own concrete fields, in their order, as the database driver
        gives them.

        :raises django.db.Error: if one of the images does not fit the table.
        """

    def converted(
        self, fields: Sequence[Field[Any, Any]], rows: Iterable[Sequence[Any]]
    ) -> Iterable[Sequence[Any]]:
        """What a query by Django makes of the driver's values: ``from_db_value`` and all."""
        compiler = Query(fields[0].model).get_compiler(self.using)
        columns = [field.get_col(fields[0].model._meta.db_table) for field in fields]
        converters = compiler.get_converters(columns)
        if converters:
            converted: Iterator[list[Any]] = compiler.apply_converters(rows, converters)
            return converted
        return rows

    # Does the log tell which rows one statement changed?
    knows_statements: bool

    @abstractmethod
    def statement_reaches_beyond(self) -> bool:
        """May the database change more for one statement, by triggers of others or foreign keys?"""

    @abstractmethod
    def overtaken(self, deletes: Sequence[Event]) -> set[int]:
        """Those of a row that somebody else changed after the statement had first seen it."""

    @abstractmethod
    def changed_again(self, events: Collection[int]) -> set[int]:
        """Those whose row the same statement may have changed once more, or for a delete before."""

    @abstractmethod
    def out_of_order(self, events: Collection[int]) -> set[int]:
        """Those next to which the log has events of their row that do not fit, or fit both ways.

        A trigger that changes a row once more is done before the change that fired it is logged.
        """

    @abstractmethod
    def restored(self, ids: Collection[int]) -> set[int]:
        """Those of these events that came out of another cluster, with its transaction ids."""

    @abstractmethod
    def newest_transaction(self) -> int | None:
        """What is in the log and has this transaction id, or a higher one, was restored."""

    @abstractmethod
    def around(
        self, table: Name, wanted: Sequence[tuple[Event, str]]
    ) -> list[tuple[int | None, ...]]:
        """The ids of the events around each moment: see :class:`auditrepr.states.Around`.

        A moment is that after its event, or for a delete that before; one query for all.
        """

    @abstractmethod
    def is_among(self, ids: Collection[int]) -> tuple[str, list[str]]:
        """The condition that an event has one of these ids, however many, and its parameters."""

    @abstractmethod
    def relation(self, model: type[Model], rows: Sequence[Found]) -> tuple[str, list[Any]] | None:
        """The head of a common table expression that holds these rows of the model's table.

        Begins with the columns' names; the last one, ``auditrepr_n``, numbers the rows from 0.
        None if no expression compares as the table's own columns do.
        """

    @abstractmethod
    def mentions(
        self, table: str, column: str, texts: Sequence[str], moments: Sequence[Event], most: int
    ) -> tuple[Collection[tuple[str, str]], bool]:
        """Which rows had one of these values in the column, before or after a later event.

        Later: what at least one of the moments has not seen. Gives pairs of value and key, both as
        the log writes them, and whether all later events were read.

        :param most: how many events may be read.
        """

    @abstractmethod
    def key_texts(self, field: Field[Any, Any], values: Sequence[Any]) -> list[str]:
        """What ``AuditLog.object_id`` holds for these values of a primary key."""

    # --- pending -------------------------------------------------------------------------------

    @abstractmethod
    def reach(self) -> Reach:
        """How far the log's ids go. Look at the writers only after it."""

    @abstractmethod
    def writers(self) -> Writers:
        """The transactions that may hold ids of the log whose rows nobody sees yet.

        One that took its id before this asks is among them, or has ended.
        """

    # --- store and lease -----------------------------------------------------------------------

    @abstractmethod
    def store(self, rows: Sequence[tuple[int, str, str, str]]) -> int:
        """Insert representations: id of the audit row, text, fidelity, reason.

        Passes over what is there already; gives the number of those that were not. After an error
        nothing of it is stored, and the transaction goes on.
        """

    @abstractmethod
    def replace(self, rows: Sequence[tuple[int, str, str, str]]) -> int:
        """Update representations, likewise; passes over what is not there any more."""

    @abstractmethod
    def refuses_value(self, error: Error) -> bool:
        """Is it about a value that was to be stored, so that others may well be stored?"""

    @abstractmethod
    def passes(self, error: Error) -> bool:
        """May the same succeed in a while, on a new connection?"""

    @abstractmethod
    def end_if_idle(self, seconds: float) -> None:
        """Let the server end this transaction if its client is silent for so long, if it can."""

    @abstractmethod
    def clock(self, seconds: float = 0) -> Func:
        """The database's own time, not the transaction's, so many seconds from now."""

    # --- search --------------------------------------------------------------------------------

    @abstractmethod
    def search_index(self) -> SearchIndex | None:
        """The index for searching representations, if one is there and in order."""

    @abstractmethod
    def best_search_index(self) -> SearchIndex:
        """The best one that this database can have, with what is installed in it."""

    @abstractmethod
    def search_sql(self, index: SearchIndex) -> list[str]:
        """Creates the index; there must be none yet."""

    @abstractmethod
    def remove_search_sql(self) -> list[str]:
        """Drops whatever index there is; harmless where there is none."""

    @abstractmethod
    def search(
        self, index: SearchIndex, text: str, window: Window, forward: bool, most: int
    ) -> list[int] | None:
        """The events of the window whose representations say this, by the index.

        In order, the oldest first if it looks forward, and no more than so many; where the index
        has no order: all in any order. None if there are more, or if the index is of no use.
        """
