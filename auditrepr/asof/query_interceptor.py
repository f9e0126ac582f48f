"""Queries that the code of a row sends, from its own thread and from others."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import Error, InternalError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..utils.sql import may_write
from ..utils.time_limit import TimeLimit
from ..vendors import Vendor
from .instances import TODAY, Guard
from .lookups import Subject
from .past_tables import PastTables
from .placeholders import UNKNOWN
from .substitution import NotAsOf, Relations, substituted, unknown_columns

_asks: ContextVar[tuple[int, Callable[[], None]] | None] = ContextVar("asks", default=None)


@contextmanager
def watching(asks: Callable[[], None]) -> Iterator[None]:
    """Have this called before each query that is sent from another thread, on behalf of this."""
    token = _asks.set((threading.get_ident(), asks))
    try:
        yield
    finally:
        _asks.reset(token)


def connect(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """A receiver of ``connection_created``: from now on this connection tells who asks."""
    if _tell not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _tell)


def _tell(execute: Callable[..., Any], *statement: Any) -> Any:
    """An execute_wrapper."""
    waiting = _asks.get()
    if waiting is not None:
        thread, asks = waiting
        if thread != threading.get_ident():
            asks()
    return execute(*statement)


#: Statements that Django sends for a transaction of its own.
NO_READING = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")


class Watch(ABC):
    """Knows whose code runs, and sees every query before it is sent.

    :param limit: the time that this code has; it stands still during auditrepr's own queries.
    :param guard: knows whose instance is being made.
    """

    def __init__(self, vendor: Vendor, limit: TimeLimit, guard: Guard) -> None:
        self.vendor = vendor
        self.limit = limit
        self.guard = guard
        self.current: Subject | None = None  # whose representation is asked for now
        self.own_error: Error | None = None  # of a query of ours, while __str__ runs
        self._instead: tuple[Relations, Subject | None] | None = None

    def watch(
        self,
        execute: Callable[..., Any],
        sql: str,
        parameters: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        """An execute_wrapper: a query while ``__str__`` runs reads what is there today.

        :raises InternalError: if it would write to another database than the one that is read,
            whose transaction itself refuses that.
        """
        theirs = self.current is not None or self.guard.making is not None
        elsewhere = context["connection"].alias != self.vendor.connection.alias
        if theirs and elsewhere and may_write(sql):
            raise InternalError("a representation is for reading: nothing can be written")
        if (made := self.guard.making) is not None:
            if not sql.startswith(NO_READING):
                self.guard.asks(made)
        elif self._instead is not None:
            relations, subject = self._instead
            self._instead = None  # it is for one query; others in between are not about the set
            sql, parameters = self._as_of(relations, subject, sql, parameters, elsewhere)
        elif self.current is not None and not sql.startswith(NO_READING):
            unseen = elsewhere or many
            sql, parameters = self._from_past_tables(self.current, sql, parameters, unseen)
        return execute(sql, parameters, many, context)

    def asked_elsewhere(self) -> None:
        """A query is about to be sent from another thread, which sees what is there today."""
        if (made := self.guard.making) is not None:
            self.guard.asks(made)
        elif self.current is not None:  # pragma: no branch - else it was for a row that is over
            self.current.note(TODAY)

    @contextmanager
    def instead_of(self, relations: Relations, otherwise: Subject | None = None) -> Iterator[None]:
        """The first query inside sees these rows in place of the models' tables.

        :param otherwise: who reads today's rows where the query asks for another table.
        :raises NotAsOf: for such a query, if it is nobody.
        """
        outer, self._instead = self._instead, (relations, otherwise)
        try:
            yield
        finally:
            self._instead = outer

    @contextmanager
    def own_queries(self) -> Iterator[None]:
        """Queries inside are auditrepr's, not those of the ``__str__`` that runs."""
        outer, self._instead = self._instead, None
        current, self.current = self.current, None
        try:
            with self.limit.paused():
                yield
        except Error as error:
            self.own_error = error
            raise
        finally:
            self._instead, self.current = outer, current

    def _from_past_tables(
        self, subject: Subject, sql: str, parameters: Any, unseen: bool
    ) -> tuple[str, Any]:
        """The query on whole tables as of the moment; today's, where these cannot be told."""
        with self.own_queries():
            try:
                if unseen:
                    raise NotAsOf
                tables = self.past_tables()
                sql, parameters, doubts = tables.rewritten(sql, parameters, subject.event)
            except NotAsOf:
                doubts = (TODAY,)
        for doubt in doubts:
            subject.note(doubt)
        return sql, parameters

    @abstractmethod
    def past_tables(self) -> PastTables:
        """The tables as of the moments of all that is built together."""

    def _as_of(
        self,
        relations: Relations,
        subject: Subject | None,
        sql: str,
        parameters: Any,
        elsewhere: bool,
    ) -> tuple[str, Any]:
        """The query on the rows of the moment; today's, where these cannot stand in for them."""
        with self.own_queries():
            try:
                unknown = unknown_columns(self.vendor, relations, sql)
                if elsewhere or (unknown and subject is None):
                    raise NotAsOf
                sql, parameters = substituted(self.vendor, relations, sql, parameters)
                _note_unknown(subject, unknown)
            except NotAsOf:
                if subject is None:
                    raise
                subject.note(TODAY)
        return sql, parameters


def _note_unknown(subject: Subject | None, columns: Sequence[str]) -> None:
    if subject is not None:
        for column in columns:
            subject.note(UNKNOWN.format(column))
