"""The store facet: what a run asks and writes, and its lock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

from django.db import Error
from django.db.models import Expression, Func

from ..types import Reach, Writers
from .facet import Facet

#: One representation: id of the event, text, fidelity, reason.
Stored = tuple[int, str, str, str]
#: An object that an event is about: id of the event, table and key of the object.
About = tuple[int, str, str]
#: Texts of columns, as ``AuditLog.object_id`` has those of a key; None: null, or too large.
Texts = dict[str, str | None]


class StoreFacet(Facet, ABC):
    """Serves a run of the job."""

    # Whether only one transaction at a time can write to the database.
    one_writer: bool

    @abstractmethod
    def reach(self) -> Reach:
        """Return the highest IDs of the log; call :meth:`writers` only afterwards."""

    @abstractmethod
    def writers(self) -> Writers:
        """Return the transactions that may hold IDs of events that are not visible yet.

        A transaction that took its ID before the call is among them, or has ended.
        """

    @abstractmethod
    def store(self, rows: Sequence[Stored]) -> int:
        """Insert representations, and return how many.

        Those that exist already are passed over. After an error nothing is stored, and the
        caller's transaction can continue.
        """

    @abstractmethod
    def replace(self, rows: Sequence[Stored]) -> int:
        """Update representations likewise, and return how many; missing ones are passed over."""

    @abstractmethod
    def store_related(self, rows: Collection[About]) -> None:
        """Insert what events are about, besides their own objects; what exists is passed over."""

    @abstractmethod
    def recorded_texts(
        self, ids: Collection[int], columns: Sequence[str]
    ) -> list[tuple[int, Texts, Texts]]:
        """Return what these columns of the events held, in one query: IDs, texts, texts before.

        A column that the event's row does not have is absent, and before is only what an update
        changed.
        """

    @abstractmethod
    def recorded_text(self, column: str, source: str) -> Expression:
        """Return an expression for such a text in a query of the log.

        :param source: ``"row_data"``, or ``"changed_from"``.
        """

    @abstractmethod
    def refuses_value(self, error: Error) -> bool:
        """Return whether the error concerns one stored value: other rows can be stored."""

    @abstractmethod
    def lacks_table(self, error: Error) -> bool:
        """Return whether the error concerns a table that does not exist."""

    @abstractmethod
    def refuses_access(self, error: Error) -> bool:
        """Return whether the error concerns a right that this connection lacks."""

    @abstractmethod
    def missing_rights(
        self, read: Sequence[str], written: Sequence[str], added: Sequence[str] = ()
    ) -> tuple[str, str] | None:
        """Return who lacks which rights to read or write these tables, in words, or None.

        :param added: those to which rows are only added.
        """

    @abstractmethod
    def passes(self, error: Error) -> bool:
        """Return whether the error is transient: a retry on a new connection may succeed."""

    @abstractmethod
    def end_if_idle(self, seconds: float) -> None:
        """Make the server end this transaction if its client is idle for that long, if it can."""

    @abstractmethod
    def limited(self, seconds: float) -> AbstractContextManager[None]:
        """Let no query inside take longer than this, if the server can end it.

        For reading only: what is written inside may be undone.
        """

    @abstractmethod
    def hurried(self, settings: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Return the settings of a connection that gives up after this time.

        None if connecting would create the database.
        """

    @abstractmethod
    def clock(self, seconds: float = 0) -> Func:
        """Return the database's current time, not the transaction's, plus these seconds."""

    @abstractmethod
    def identity(self) -> list[str]:
        """Return what distinguishes this database from others, without a query to the server.

        Every process of this host that is configured for the same database gets the same.
        """
