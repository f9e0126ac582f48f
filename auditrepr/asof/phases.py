"""The phases of a build: whose code runs, and how its queries are answered.

From outermost to innermost::

    Idle -> Running -> Reading -> Making
                               -> Converting
                    -> Answering, until its query comes

A phase that ends is followed by the phase before it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from ..vendors import Vendor
from .lookups import Subject
from .placeholders import unknown
from .substitution import NotAsOf, Relations, never_known, substituted, unknown_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .queries.excluded_columns import Excluded

TODAY = "partly read from current rows"

#: Statements that Django sends to control transactions.
NO_READING = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ", "BEGIN")


class Build(Protocol):
    """What a phase asks of the build that it belongs to."""

    vendor: Vendor
    phase: Idle

    def reading(self) -> AbstractContextManager[None]: ...

    def as_of(
        self, subject: Subject, sql: str, parameters: Any, unseen: bool
    ) -> tuple[str, Any]: ...

    def read_columns(self, subject: Subject, sql: str, excluded: Excluded) -> list[str]: ...

    def calls_reader(self, sql: str) -> bool: ...


class QueryRefused(BaseException):
    """Raised when model code sends a query to which there is no answer yet."""


class Idle:
    """The phase in which no model code runs: queries are sent unchanged."""

    __slots__ = ()
    #: Whether the code of a row runs.
    theirs = False

    def query(self, build: Build, sql: str, parameters: Any, unseen: bool) -> Any:
        """Return the statement to send instead of this one, and its parameters.

        :param unseen: the statement goes to another database than the one that is read, or is not
            a query.
        """
        return sql, parameters

    def query_apart(self) -> None:
        """Take note of a query in another thread or connection on behalf of this one."""


class Reading(Idle):
    """The phase of auditrepr's own queries, also while a row's code waits for them."""

    __slots__ = ()


class Running(Idle):
    """The phase in which a row's code runs: its queries read the tables as of the row's moment."""

    __slots__ = ("subject",)
    theirs = True

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def query(self, build: Build, sql: str, parameters: Any, unseen: bool) -> Any:
        if sql.startswith(NO_READING):
            return sql, parameters
        self.subject.has_asked = True
        return build.as_of(self.subject, sql, parameters, unseen)

    def query_apart(self) -> None:
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

    def query(self, build: Build, sql: str, parameters: Any, unseen: bool) -> Any:
        self._ask()
        return super().query(build, sql, parameters, unseen)

    def query_apart(self) -> None:
        self._ask()
        super().query_apart()

    def _ask(self) -> None:
        self.asked = True
        if self.incomplete:
            raise QueryRefused


class Converting(Idle):
    """The phase in which fields convert the values of rows that several subjects may see."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = False  # the code would have sent a query

    def query(self, build: Build, sql: str, parameters: Any, unseen: bool) -> Any:
        self.query_apart()

    def query_apart(self) -> None:
        self.asked = True
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

    def query_apart(self) -> None:
        self.before.query_apart()

    def query(self, build: Build, sql: str, parameters: Any, unseen: bool) -> Any:
        """Return the statement that reads the rows; see :meth:`Idle.query`.

        :raises NotAsOf: if the query uses another table, and `otherwise` is None.
        """
        build.phase = self.before
        with build.reading():
            try:
                return self._as_of(build, sql, parameters, unseen)
            except NotAsOf:
                if self.otherwise is None:
                    raise
        return build.as_of(self.otherwise, sql, parameters, unseen)

    def _as_of(self, build: Build, sql: str, parameters: Any, unseen: bool) -> Any:
        lacking = unknown_columns(build.vendor, self.relations, sql)
        if unseen or (lacking and self.otherwise is None) or build.calls_reader(sql):
            raise NotAsOf
        answered = substituted(build.vendor, self.relations, sql, parameters)
        if lacking and self.otherwise is not None:
            self._note(build, self.otherwise, sql, lacking)
        return answered

    def _note(
        self, build: Build, subject: Subject, sql: str, lacking: Sequence[tuple[str, str]]
    ) -> None:
        never = never_known(self.relations)
        read = build.read_columns(subject, sql, never)
        unread = {column for columns in never.values() for column in columns}.difference(read)
        for column, why in lacking:
            if column not in unread:
                subject.note(unknown(column, why))


IDLE, READING = Idle(), Reading()
