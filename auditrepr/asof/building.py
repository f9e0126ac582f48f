"""The state of a build: its phase, and what was lost.

There is one :class:`Building` for each view of the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from functools import partial
from typing import Any, NoReturn

from django.db import Error, InternalError, transaction
from django.db.models import Model

from ..isolation import of_nobody
from ..utils.sql import may_write, unlocked
from ..utils.time_limit import TimeLimit, TimeLimitExceeded
from ..vendors import Vendor
from .lookups import Subject
from .phases import IDLE, NO_READING, READING, TODAY, Answering, Converting, Idle, Running
from .placeholders import unknown
from .queries.excluded_columns import Excluded, left_out
from .queries.past_tables import PastTables
from .substitution import NotAsOf, Relations

NO_WRITING = "code that builds a representation must not write to the database"


class StartOver(BaseException):
    """Raised when the transaction is lost: its rows are read again, without the cause."""


class TooMuch(StartOver):
    """Raised when the rows do not fit into memory: fewer of them are read together."""


class Transaction(Enum):
    """The state of the transaction that everything is read in."""

    WHOLE = "it continues"
    BROKEN = "it ends after this row"
    LOST = "it ended before this row was built"


class Building:
    """The phase of a build, and whether its transaction is lost.

    :param limit: the time limit of a row's code; paused during auditrepr's own queries.
    :param past_tables: returns the tables as of the moments of all rows that are built together.
    :param incomplete: makes an instance of a subject one that lacks columns, from why it does.
    :param alone: only one row is built, so that fewer cannot be built together.
    """

    def __init__(
        self,
        vendor: Vendor,
        limit: TimeLimit,
        past_tables: Callable[[], PastTables],
        incomplete: Callable[[Subject, Model, Mapping[str, str]], None],
        *,
        alone: bool = True,
    ) -> None:
        self.vendor = vendor
        self.limit = limit
        self.past_tables = past_tables
        self.incomplete = incomplete
        self.alone = alone
        self.phase: Idle = IDLE
        self.transaction = Transaction.WHOLE
        self._start_over: StartOver | None = None
        self._own_error: BaseException | None = None  # of auditrepr's code, while a row's code runs
        self._first_error: Error | None = None  # of a query, while a row's code runs
        self._careful = False
        self._depth = 0  # how many blocks of transactions are around a row's code

    # --- transitions ---------------------------------------------------------------------------

    def run(self, subject: Subject, *, careful: bool = False) -> None:
        """Start the phase of a row's code; it lasts until :meth:`rest`.

        :param careful: each of its queries gets a savepoint: code continues after an error that it
            has caught, as outside a transaction.
        """
        self.phase = Running(subject)
        self._own_error = self._first_error = None
        self._careful = careful
        # A careful row has a block of its own around it.
        self._depth = len(self.vendor.connection.savepoint_ids) + careful

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
        self._forget_blocks()
        try:
            with self.during(READING), self.limit.paused(), of_nobody():
                yield
        except BaseException as error:
            if isinstance(error, Error | MemoryError) or self.limit.ends_work(error):
                self._own_error = error
            raise

    @contextmanager
    def converting(self) -> Iterator[Converting]:
        """Let no code inside send a query, and return whether it would have."""
        phase = Converting()
        with self.during(phase), of_nobody():
            yield phase

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

    def is_to_be_repeated(self) -> bool:
        """Return whether an error that the row's code has caught costs what it does next.

        The transaction only waits for its end, also before the code of the next row. The row is to
        be tried again, carefully.
        """
        self._forget_blocks()
        if not self.vendor.has_failed():
            return False
        self.transaction = Transaction.BROKEN
        return not self._careful

    def failure(self, raised: BaseException) -> BaseException | None:
        """Return the error that is the row's failure, or None if the row is to be tried again.

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
        if isinstance(error, TimeLimitExceeded):
            self.transaction = Transaction.BROKEN
            return error
        if isinstance(error, Error) and not self._careful:
            self.transaction = Transaction.BROKEN
            # A lost connection is not the row's failure.
            if self.vendor.passes(error):
                return None
        caught = self._first_error is not None and self._first_error is not error
        return None if caught and self.is_to_be_repeated() else error

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
            raise InternalError(NO_WRITING)
        if self.phase.theirs and not elsewhere:
            # A read-only transaction cannot lock rows, and needs no lock.
            sql = unlocked(self.vendor.statement_text(sql, context["cursor"].cursor))
        sql, parameters = self.phase.query(self, sql, parameters, elsewhere or many)
        self._forget_blocks()
        try:
            with self._apart(sql, elsewhere):
                return execute(sql, parameters, many, context)
        except Error as error:
            self._first_error = self._first_error or error
            raise

    def _apart(self, sql: str, elsewhere: bool) -> AbstractContextManager[None]:
        """Return a block in which an error of a careful row's query costs nothing that follows."""
        theirs = self.phase.theirs and not elsewhere and not sql.startswith(NO_READING)
        return transaction.atomic(self.vendor.using) if self._careful and theirs else nullcontext()

    def _forget_blocks(self) -> None:
        """Let code continue after a block of its own in which an error was raised.

        Without our transaction around it, the end of the block had been that of a transaction.
        """
        connection = self.vendor.connection
        ended = self.phase.theirs and len(connection.savepoint_ids) == self._depth
        if ended and connection.needs_rollback and not self.vendor.has_failed():
            connection.needs_rollback = False

    def as_of(self, subject: Subject, sql: str, parameters: Any, unseen: bool) -> tuple[str, Any]:
        """Return the query on whole tables as of the subject's moment, or on the current ones.

        The current tables are read, and the subject is mixed, if the query cannot be rewritten.
        """
        try:
            with self.reading():
                if unseen:
                    raise NotAsOf
                made = self.past_tables().rewritten(sql, parameters, subject.moment)
        except NotAsOf:
            subject.note(TODAY)
            return sql, parameters
        read = self.read_columns(subject, sql, made.excluded)
        for doubt in (*made.doubts, *map(unknown, read)):
            subject.note(doubt)
        return made.sql, made.parameters

    def calls_reader(self, sql: str) -> bool:
        """Return whether the query calls a function that may read tables, which are current."""
        return self.past_tables().readers.are_called_by(sql)

    def read_columns(self, subject: Subject, sql: str, excluded: Excluded) -> list[str]:
        """Return which of these columns the query reads; its objects lack the others."""
        lacking = left_out(sql, excluded, partial(self.incomplete, subject))
        named = {(model, column) for model, columns in excluded.items() for column in columns}
        return sorted(column for _, column in named - lacking)

    def intercept_apart(self, sql: Any) -> None:
        """Take note of a query in another thread or connection, which reads current rows.

        :raises InternalError: if it would write.
        """
        if self.phase.theirs and may_write(sql):
            raise InternalError(NO_WRITING)
        self.phase.query_apart()
