"""What goes on in a build: whose code runs, what becomes of its queries, and what is still whole.

One :class:`Building` for each view of the database. Its phases, from the outside to the inside::

    Idle -> Running -> Reading -> Making
                    -> Answering, until its query comes

Whoever enters a phase leaves it again: what was before goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Any, NoReturn

from django.db import Error, InternalError

from ..isolation import of_nobody
from ..utils.sql import may_write
from ..utils.time_limit import TimeLimit, TimeLimitExceeded
from ..vendors import Vendor
from .lookups import Subject
from .past_tables import PastTables
from .placeholders import UNKNOWN
from .substitution import NotAsOf, Relations, substituted, unknown_columns

TODAY = "partly read from current rows"

#: Statements that Django sends for a transaction of its own.
NO_READING = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")


class StartOver(BaseException):
    """The transaction is lost: its rows are read once more, without what has lost it."""


class TooMuch(StartOver):
    """What the rows need does not fit into memory: fewer of them are read together."""


class QueryRefused(BaseException):
    """A query for an attribute without a value."""


class Transaction(Enum):
    """What has become of the one that everything is read in."""

    WHOLE = "it goes on"
    BROKEN = "it ends after this row"
    LOST = "it ended before this row was built"


class Idle:
    """Nobody's code runs: a query is sent as it is."""

    __slots__ = ()
    #: Is it the code of a row that runs?
    theirs = False

    def query(self, building: Building, sql: str, parameters: Any, unseen: bool) -> Any:
        """Sees a query before it is sent: gives what is sent, and its parameters.

        :param unseen: it goes to another database than the one that is read, or is no query.
        """
        return sql, parameters

    def query_in_thread(self) -> None:
        """A query is about to be sent by another thread, on behalf of this one."""


class Reading(Idle):
    """auditrepr's own queries, also while a row's code waits for them."""

    __slots__ = ()


class Running(Idle):
    """A row's code says its text: its queries read the tables as of the row's moment."""

    __slots__ = ("subject",)
    theirs = True

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def query(self, building: Building, sql: str, parameters: Any, unseen: bool) -> Any:
        if sql.startswith(NO_READING):
            return sql, parameters
        self.subject.has_asked = True
        return building.as_of(self.subject, sql, parameters, unseen)

    def query_in_thread(self) -> None:
        self.subject.note(TODAY)


class Making(Running):
    """A model's code makes an instance.

    :param incomplete: it has attributes without a value, for which Django would go to the table.
    """

    __slots__ = ("asked", "incomplete")

    def __init__(self, subject: Subject, *, incomplete: bool = False) -> None:
        super().__init__(subject)
        self.incomplete = incomplete
        self.asked = False  # it has sent a query

    def query(self, building: Building, sql: str, parameters: Any, unseen: bool) -> Any:
        self._ask()
        return super().query(building, sql, parameters, unseen)

    def query_in_thread(self) -> None:
        self._ask()
        super().query_in_thread()

    def _ask(self) -> None:
        self.asked = True
        if self.incomplete:
            raise QueryRefused


class Answering(Idle):
    """The next query sees these rows in place of the models' tables.

    :param before: the phase that goes on after it: others in between are not about the rows.
    :param otherwise: who reads whole tables where the query asks for another one.
    """

    __slots__ = ("before", "otherwise", "relations")

    def __init__(self, before: Idle, relations: Relations, otherwise: Subject | None) -> None:
        self.before = before
        self.relations = relations
        self.otherwise = otherwise

    @property
    def theirs(self) -> bool:  # type: ignore[override]
        return self.before.theirs

    def query_in_thread(self) -> None:
        self.before.query_in_thread()

    def query(self, building: Building, sql: str, parameters: Any, unseen: bool) -> Any:
        """:raises NotAsOf: if it asks for another table, and nobody reads whole ones."""
        building.phase = self.before
        with building.reading():
            try:
                return self._as_of(building.vendor, sql, parameters, unseen)
            except NotAsOf:
                if self.otherwise is None:
                    raise
        return building.as_of(self.otherwise, sql, parameters, unseen)

    def _as_of(self, vendor: Vendor, sql: str, parameters: Any, unseen: bool) -> Any:
        unknown = unknown_columns(vendor, self.relations, sql)
        if unseen or (unknown and self.otherwise is None):
            raise NotAsOf
        answered = substituted(vendor, self.relations, sql, parameters)
        for column in unknown:
            self.otherwise.note(UNKNOWN.format(column))  # type: ignore[union-attr]
        return answered


IDLE, READING = Idle(), Reading()


class Building:
    """The phase of a build, and what of it is lost.

    :param limit: the time that a row's code has; it stands still during auditrepr's own queries.
    :param past_tables: the tables as of the moments of all that is built together.
    :param alone: one row is built, so that nothing is gained by building fewer together.
    """

    def __init__(
        self,
        vendor: Vendor,
        limit: TimeLimit,
        past_tables: Callable[[], PastTables],
        *,
        alone: bool = True,
    ) -> None:
        self.vendor = vendor
        self.limit = limit
        self.past_tables = past_tables
        self.alone = alone
        self.phase: Idle = IDLE
        self.transaction = Transaction.WHOLE
        self._start_over: StartOver | None = None
        self._own_error: BaseException | None = None  # of what is ours, while a row's code runs

    # --- transitions ---------------------------------------------------------------------------

    def run(self, subject: Subject) -> None:
        """From here to :meth:`rest`, a row's code runs."""
        self.phase = Running(subject)
        self._own_error = None

    def rest(self) -> None:
        self.phase = IDLE

    @contextmanager
    def during(self, phase: Idle) -> Iterator[None]:
        before, self.phase = self.phase, phase
        try:
            yield
        finally:
            self.phase = before

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Queries inside are auditrepr's, not those of the code that runs."""
        try:
            with self.during(READING), self.limit.paused(), of_nobody():
                yield
        except BaseException as error:
            if isinstance(error, Error | MemoryError) or self.limit.ends_work(error):
                self._own_error = error
            raise

    @contextmanager
    def answering(self, relations: Relations, otherwise: Subject | None = None) -> Iterator[None]:
        """The first query inside is answered with these rows; see :class:`Answering`."""
        with self.during(Answering(self.phase, relations, otherwise)):
            yield

    def lose(self, start_over: StartOver) -> None:
        """Whatever the code that runs makes of it: nothing that is built now counts."""
        self.transaction, self._start_over = Transaction.LOST, start_over

    def too_much(self, cause: BaseException | None = None) -> NoReturn:
        """:raises TooMuch: and makes whatever is built now not count."""
        start_over = TooMuch()
        self.lose(start_over)
        raise start_over from cause

    def lacks_room(self, error: BaseException) -> bool:
        """Is it for want of memory, which fewer rows would need less of?"""
        return not self.alone and (
            isinstance(error, MemoryError)
            # Of the server, or of the driver, which has no code for it.
            or (isinstance(error, Error) and "out of memory" in str(error))
        )

    # --- what a row's code has come to -----------------------------------------------------------

    def check(self) -> None:
        """:raises BaseException: what the row's code has made something up in place of."""
        for error in (self._start_over, self._own_error):
            if error is not None:
                raise error

    def failure(self, raised: BaseException, *, careful: bool) -> BaseException | None:
        """The error that is the row's failure; none if the row is to be tried once more.

        :param careful: it ran in a savepoint of its own.
        :raises BaseException: what is no row's, but ends the work, or the transaction.
        """
        if self._start_over is not None:
            raise self._start_over from None
        for error in (raised, self._own_error):
            if error is not None and self.limit.ends_work(error):
                raise error
        error = self._own_error or raised
        if self.lacks_room(error):
            self.too_much(error)
        if isinstance(error, Error) and not careful:
            self.transaction = Transaction.BROKEN
            # A connection that was lost is no row's fault.
            return None if self.vendor.passes(error) else error
        if isinstance(error, TimeLimitExceeded):
            self.transaction = Transaction.BROKEN
        return error

    # --- queries ---------------------------------------------------------------------------------

    def intercept(
        self,
        execute: Callable[..., Any],
        sql: str,
        parameters: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        """An execute_wrapper: the phase says what becomes of a query.

        :raises InternalError: if a row's code would write to another database than the one that is
            read, whose transaction itself refuses that.
        """
        elsewhere = context["connection"].alias != self.vendor.connection.alias
        if elsewhere and self.phase.theirs and may_write(sql):
            raise InternalError("code that builds a representation must not write to the database")
        sql, parameters = self.phase.query(self, sql, parameters, elsewhere or many)
        return execute(sql, parameters, many, context)

    def as_of(self, subject: Subject, sql: str, parameters: Any, unseen: bool) -> tuple[str, Any]:
        """The query on whole tables as of the subject's moment; today's where that cannot be."""
        doubts: tuple[str, ...] = (TODAY,)
        with suppress(NotAsOf), self.reading():
            if not unseen:
                tables = self.past_tables()
                sql, parameters, doubts = tables.rewritten(sql, parameters, subject.moment)
        for doubt in doubts:
            subject.note(doubt)
        return sql, parameters

    def intercept_in_thread(self) -> None:
        """A query is about to be sent from another thread, which sees what is there today."""
        self.phase.query_in_thread()
