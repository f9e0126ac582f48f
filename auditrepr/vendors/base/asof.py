"""The as-of facet: rows as of an event, from what the log holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from django.db.models import BigIntegerField, F, Field, Func, Model, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.db.models.sql import Query

from ..types import Image, RawRow
from .facet import Facet

if TYPE_CHECKING:
    from ...utils.time_limit import TimeLimit
    from ..types import Found, Moment, Name


#: Takes the keys whose current rows are left out, as the log writes them (None: all of them), and
#: the images that take their place, by key; returns the expression and its parameters, or None if
#: the database cannot make one.
PastTableSQL = Callable[[Sequence[str] | None, Mapping[str, Image]], tuple[str, list[Any]] | None]


class AsOfFacet(Facet, ABC):
    """Reads rows as of an event."""

    # Whether quoted names that differ only in case are different names.
    names_have_case: bool

    @abstractmethod
    def keeps_order_of_keys(self, model: type[Model]) -> bool:
        """Return whether a query without an order returns rows by their keys.

        If not, a row comes after those that were inserted before it, until it is updated.
        """

    @abstractmethod
    def changes(self, table: str, moments: Sequence[Moment], most: int) -> list[Any]:
        """Return this table's events that one of the moments may not have seen.

        They come in the order of their IDs, each with the fields of ``neighbors.Neighbor`` as the
        driver returns them; one more than ``most`` if there are more.
        """

    @abstractmethod
    def past_table(
        self, model: type[Model], images: Sequence[Image], columns: Sequence[str]
    ) -> PastTableSQL:
        """Return a function that makes common table expressions that hide the model's own table.

        The queries that this needs are sent once, by this call.

        :param images: all that the function may be called with.
        :param columns: of the table, in its order: a ``*`` gives those of the model in this order.
        """

    def needs_cast(self, old: str, new: str) -> bool:
        """Return whether a migration's cast gave a column other values than the log is read as.

        :param old: the type of the column before, and `new` after it, as Django names them.
        """
        return False

    @abstractmethod
    def reading(self, limit: TimeLimit) -> AbstractContextManager[None]:
        """Read from one snapshot during the block, in which nothing can be written.

        Inside the caller's own transaction only its isolation level applies.

        :param limit: ends a query that runs for too long. Call :meth:`show_life` at least as
            often, or the server may end the connection.
        """

    @abstractmethod
    def show_life(self) -> None:
        """Show the server that :meth:`reading` continues, if it would end an idle client."""

    def statement_text(self, statement: Any, cursor: Any) -> str:
        """Return as text what code has given a cursor as a statement.

        A driver may take more than texts; such a database has to answer.
        """
        text: str = statement
        return text

    @abstractmethod
    def discard(self) -> None:
        """Close the connection if the transaction that :meth:`reading` began is broken."""

    @abstractmethod
    def fitting(self, ids: Sequence[int], most: int, known: dict[int, int]) -> int:
        """Return how many events, from the first on, have images that unpack to `most` bytes.

        At least one. Call it before the images are read: what is small on disk is not read.

        :param known: sizes found by earlier calls; pass it again for the events after these.
        """

    @abstractmethod
    def weight_sql(self) -> str:
        """Return how many bytes a column unpacks to, as SQL with ``%(expressions)s`` for it."""

    def live_weight(self, rows: QuerySet[Any], fields: Sequence[Field[Any, Any]]) -> int:
        """Return how many bytes these columns of the rows unpack to, in total."""
        template, number = self.weight_sql(), BigIntegerField()
        weights = [
            Coalesce(Func(F(f.attname), template=template, output_field=number), 0) for f in fields
        ]
        if not weights:
            return 0
        total = rows.aggregate(auditrepr_weight=Sum(reduce(add, weights)))["auditrepr_weight"]
        return int(total or 0)

    @abstractmethod
    def image_rows(self, model: type[Model], images: Sequence[Image]) -> list[RawRow]:
        """Return the rows that these images hold, with the types of the table's columns.

        Those of existing images, with the columns whose value the log does not have.

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

    # Whether an error in a query ends the transaction.
    errors_end_transactions: bool

    @abstractmethod
    def has_failed(self) -> bool:
        """Return whether an error has ended the transaction, which can only be rolled back."""

    @abstractmethod
    def plain_reader(self, field: Field[Any, Any]) -> Callable[[Any], Any] | None:
        """Return a function that reads a value of this field from the log's JSON, without a query.

        It returns what the driver would return; None if only the database can. A value that only
        the database can read raises ValueError.
        """

    @abstractmethod
    def newest_seen(self, wanted: Sequence[tuple[Name, str, Moment]]) -> list[int | None]:
        """Return the newest event that each moment has seen of the row with this key.

        The rows may be of different tables. One query for all.
        """

    def loss(self, field: Field[Any, Any]) -> tuple[str, Callable[[Any], bool]] | None:
        """Return why the log may hold another value of this field than the table, and of which.

        The reason has ``{}`` for the column; the function returns whether a value is one of those.
        None if the log holds every value of the field as it is.
        """
        return None

    @abstractmethod
    def statement_reaches_beyond(self) -> bool:
        """Return whether third-party triggers or foreign keys may change more for one statement.

        What writes no audited table may count as well, if the database does not show it.
        """

    @abstractmethod
    def overtaken(self, deletes: Collection[int]) -> set[int]:
        """Return the deletes of rows that another transaction changed while they waited."""

    @abstractmethod
    def together(self, events: Collection[int]) -> set[int]:
        """Return the IDs of events next to which one statement may have changed the row, too.

        Only these can be among those that the next two methods return.
        """

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

    def restored(self, ids: Collection[int]) -> set[int]:
        """Return those that came out of another cluster, with its transaction IDs.

        Only asked where events have a snapshot; such a database has to answer.
        """
        raise NotImplementedError

    def newest_transaction(self) -> int | None:
        """Return the transaction ID from which on events were restored from another cluster.

        Only asked where events have a snapshot; such a database has to answer.
        """
        raise NotImplementedError

    @abstractmethod
    def around(
        self, table: Name, wanted: Sequence[tuple[Moment, str]]
    ) -> list[tuple[int | None, ...]]:
        """Return the IDs of the events around each moment: see :class:`.neighbors.Neighbors`.

        One query for all moments.
        """

    @abstractmethod
    def is_among(self, ids: Collection[int]) -> tuple[str, list[str]]:
        """Return a condition that an event has one of these IDs, and its parameters."""

    @abstractmethod
    def relation(self, model: type[Model], rows: Sequence[Found]) -> tuple[str, list[Any]] | None:
        """Return the head of a common table expression that holds these rows of the model's table.

        It starts with the columns' names; the last one, ``auditrepr_n``, numbers the rows from 0.
        None if no expression compares as the table's own columns do, or a statement cannot take
        that many rows.
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

    @abstractmethod
    def functions_that_read(self) -> frozenset[str]:
        """Return the names of the functions that may read tables which a statement does not name.

        They come as the database has them, without schemas.
        """
