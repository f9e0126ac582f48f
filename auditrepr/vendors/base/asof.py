"""The as-of facet: rows as of an event, from what the log holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from django.db.models import Field, Model
from django.db.models.sql import Query

from ..types import Image
from .facet import Facet

if TYPE_CHECKING:
    from ...utils.time_limit import TimeLimit
    from ..types import Event, Found, Name


class AsOfFacet(Facet, ABC):
    """Reads rows as of an event."""

    # Does the log tell which rows one statement changed?
    knows_statements: bool

    @abstractmethod
    def reading(self, limit: TimeLimit) -> AbstractContextManager[None]:
        """Return a context in which all reads see one moment, and nothing can be written.

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
        """Return the rows that these images hold, typed as the table's own.

        That is, each image that exists with the columns whose value the log does not know, and why,
        and the values of the model's own concrete fields, in their order, as the database driver
        gives them.

        :raises django.db.Error: if one of the images does not fit the table.
        """

    def converted(
        self, fields: Sequence[Field[Any, Any]], rows: Iterable[Sequence[Any]]
    ) -> Iterable[Sequence[Any]]:
        """Return what a query by Django makes of the driver's values: ``from_db_value`` and all."""
        compiler = Query(fields[0].model).get_compiler(self.using)
        columns = [field.get_col(fields[0].model._meta.db_table) for field in fields]
        converters = compiler.get_converters(columns)
        if converters:
            converted: Iterator[list[Any]] = compiler.apply_converters(rows, converters)
            return converted
        return rows

    @abstractmethod
    def statement_reaches_beyond(self) -> bool:
        """Return whether one statement may change more: third-party triggers, foreign keys."""

    @abstractmethod
    def overtaken(self, deletes: Sequence[Event]) -> set[int]:
        """Return those whose row another transaction changed after the statement first saw it."""

    @abstractmethod
    def changed_again(self, events: Collection[int]) -> set[int]:
        """Return those whose row the same statement may have changed after it; a delete: before."""

    @abstractmethod
    def out_of_order(self, events: Collection[int]) -> set[int]:
        """Return those next to which events of their row do not fit, or fit both ways.

        A trigger that changes a row once more is done before the change that fired it is logged.
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
        self, table: Name, wanted: Sequence[tuple[Event, str]]
    ) -> list[tuple[int | None, ...]]:
        """Return the IDs of six events around each moment, for one key of one table.

        In this order, each None if there is none: the latest that the moment saw, the first with
        a higher ID than the moment's, and the first of all, which may be None if the moment saw
        the row's latest event. Each of the three twice: an event of this key, then one that took
        this key from its row. A moment is that after its event, or for a delete that before. One
        query for all.
        """

    @abstractmethod
    def is_among(self, ids: Collection[int]) -> tuple[str, list[str]]:
        """Return the condition that an event has one of these IDs, however many, and parameters."""

    @abstractmethod
    def relation(self, model: type[Model], rows: Sequence[Found]) -> tuple[str, list[Any]] | None:
        """Return the head of a common table expression with these rows of the model's table.

        Begins with the columns' names; the last one, ``auditrepr_n``, numbers the rows from 0.
        None if no expression compares as the table's own columns do.
        """

    @abstractmethod
    def mentions(
        self, table: str, column: str, texts: Sequence[str], moments: Sequence[Event], most: int
    ) -> tuple[Collection[tuple[str, str]], bool]:
        """Return which rows had one of these values in the column, before or after a later event.

        Later: what at least one of the moments has not seen. Returns pairs of value and key, both
        as the log writes them, and whether all later events were read.

        :param most: how many events may be read.
        """

    @abstractmethod
    def key_texts(self, field: Field[Any, Any], values: Sequence[Any]) -> list[str]:
        """Return what ``AuditLog.object_id`` holds for these values of a primary key."""
