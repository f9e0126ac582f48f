"""The state of a build: whose code runs, how its queries are answered, and what was lost.

There is one :class:`Building` for each view of the database. Its phases, from outside to inside::

    Idle -> Running -> Reading -> Making
                    -> Answering, until its query comes

A phase that ends is followed by the phase before it.
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

#: Statements that Django sends to control transactions.
NO_READING = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")


class StartOver(BaseException):
    """Raised when the transaction is lost: its rows are read again, without the cause."""


class TooMuch(StartOver):
    """Raised when the rows do not fit into memory: fewer of them are read together."""


class QueryRefused(BaseException):
    """Raised when model code queries for an attribute without a value."""


class Transaction(Enum):
    """The state of the transaction that everything is read in."""

    WHOLE = "it goes on"
    BROKEN = "it ends after this row"
    LOST = "it ended before this row was built"


class Idle:
    """The phase in which no model code runs: queries are sent unchanged."""

    __slots__ = ()
    #: Whether the code of a row runs.
    theirs = False

    def query(self, building: Building, sql: str, parameters: Any, unseen: bool) -> Any:
        """Return the statement to send instead of this one, and its parameters.

        :param unseen: the statement goes to another database than the one that is read, or is not
            a query.
        """
        return sql, parameters

    def query_in_thread(self) -> None:
        """Take note that another thread is about to send a query on behalf of this one."""


class Reading(Idle):
    """The phase of auditrepr's own queries, also while a row's code waits for them."""

    __slots__ = ()


class Running(Idle):
    """The phase in which a row's code runs: its queries read the tables as of the row's moment."""

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
    """The phase in which a model's code makes an instance.

    :param incomplete: some attributes have no value: Django would read them from the table.
    """

    __slots__ = ("asked", "incomplete")

    def __init__(self, subject: Subject, *, incomplete: bool = False) -> None:
        super().__init__(subject)
        self.incomplete = incomplete
        self.asked = False  # the code has sent a query

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
    """The phase in which the next query sees these rows in place of the models' tables.

    :param before: the phase that continues after this query.
    :param otherwise: the subject that reads whole tables if the query uses another table.
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
        """Return the statement that reads the rows; see :meth:`Idle.query`.

        :raises NotAsOf: if the query uses another table, and `otherwise` is None.
        """
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
    """The phase of a build, and whether its transaction is lost.

    :param limit: the time limit of a row's code; paused during auditrepr's own queries.
    :param past_tables: returns the tables as of the moments of all rows that are built together.
    :param alone: only one row is built, so that fewer cannot be built together.
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
        self._own_error: BaseException | None = None  # of auditrepr's code, while a row's code runs

    # --- transitions ---------------------------------------------------------------------------

    def run(self, subject: Subject) -> None:
        """Start the phase of a row's code; it lasts until :meth:`rest`."""
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
        """Send queries inside as auditrepr's own, not as those of the code that runs."""
        try:
            with self.during(READING), self.limit.paused(), of_nobody():
                yield
        except BaseException as error:
            if isinstance(error, Error | MemoryError) or self.limit.ends_work(error):
                self._own_error = error
            raise

    @contextmanager
    def answering(self, relations: Relations, otherwise: Subject | None = None) -> Iterator[None]:
        """Answer the first query inside with these rows; see :class:`Answering`."""
        with self.during(Answering(self.phase, relations, otherwise)):
            yield

    def lose(self, start_over: StartOver) -> None:
        """Discard what is being built, whether or not the running code lets `start_over` pass."""
        self.transaction, self._start_over = Transaction.LOST, start_over

    def too_much(self, cause: BaseException | None = None) -> NoReturn:
        """Discard what is being built, so that fewer rows are built together.

        :raises TooMuch: always.
        """
        start_over = TooMuch()
        self.lose(start_over)
        raise start_over from cause

    def lacks_room(self, error: BaseException) -> bool:
        """Return whether memory ran out, and building fewer rows together may help."""
        return not self.alone and (
            isinstance(error, MemoryError)
            # The server's error, or the driver's, which has no error code.
            or (isinstance(error, Error) and "out of memory" in str(error))
        )

    # --- results of a row's code -----------------------------------------------------------------

    def check(self) -> None:
        """Check that the row's code has not hidden an error of auditrepr.

        :raises BaseException: the hidden error.
        """
        for error in (self._start_over, self._own_error):
            if error is not None:
                raise error

    def failure(self, raised: BaseException, *, careful: bool) -> BaseException | None:
        """Return the error that is the row's failure, or None if the row is to be tried again.

        :param careful: the row's code ran in its own savepoint.
        :raises BaseException: if the error is not the row's, but ends the work or the transaction.
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
            # A lost connection is not the row's failure.
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
        """Send a query as the phase decides; an execute_wrapper.

        :raises InternalError: if a row's code would write to another database than the one that is
            read; there, the read-only transaction rejects it.
        """
        elsewhere = context["connection"].alias != self.vendor.connection.alias
        if elsewhere and self.phase.theirs and may_write(sql):
            raise InternalError("code that builds a representation must not write to the database")
        sql, parameters = self.phase.query(self, sql, parameters, elsewhere or many)
        return execute(sql, parameters, many, context)

    def as_of(self, subject: Subject, sql: str, parameters: Any, unseen: bool) -> tuple[str, Any]:
        """Return the query on whole tables as of the subject's moment, or on the current ones.

        The current tables are read, and the subject is mixed, if the query cannot be rewritten.
        """
        doubts: tuple[str, ...] = (TODAY,)
        with suppress(NotAsOf), self.reading():
            if not unseen:
                tables = self.past_tables()
                sql, parameters, doubts = tables.rewritten(sql, parameters, subject.moment)
        for doubt in doubts:
            subject.note(doubt)
        return sql, parameters

    def intercept_in_thread(self) -> None:
        """Take note that another thread is about to send a query, which reads current rows."""
        self.phase.query_in_thread()
