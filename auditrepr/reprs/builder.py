"""Audit rows -> what ``str(instance)`` said: the batch builder that everyone uses."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from django.db import Error, connections, transaction

from ..asof.batch import Batch
from ..asof.building import Building, StartOver, TooMuch, Transaction
from ..asof.instances import KnownFailures
from ..asof.lookups import Origin, Reference, Subject
from ..asof.query_interceptor import watching
from ..exceptions import NothingToRebuild
from ..isolation import hooks, isolated
from ..models import AuditLog, Fidelity
from ..utils.text import storable
from ..utils.time_limit import TimeLimit
from ..vendors.types import Event
from .outcome import NOTHING, Failure, Outcome
from .room import Room
from .texts import same_words_for_everyone, text_of

__all__ = ["Event", "Failure", "Outcome", "Reference", "build", "build_related"]


def never() -> bool:
    return False


#: Gives the objects to be represented, from the n-th on and before another.
Remaining = Callable[[Batch, int, int], Iterator[Subject]]


def build(
    events: Sequence[Event],
    using: str,
    enough: Callable[[], bool] = never,
    *,
    limit: TimeLimit | None = None,
) -> list[Outcome]:
    """The representations of these events, in their order. Nothing is stored.

    As many are built together as fit into memory.

    :param using: the database that holds the log and the audited tables.
    :param enough: asked after each; true ends it early, with at least one.
    :param limit: who owns the process, and how long this may take; by default somebody else, and
        a row's queries may take as long as the setting ``ROW_SECONDS`` says.
    :returns: all of them, unless there was enough, or no time was left.
    """
    limit = limit or TimeLimit.from_settings()

    def remaining(batch: Batch, begin: int, end: int) -> Iterator[Subject]:
        return batch.subjects(events[begin:end])

    return _Build(events, remaining, using, limit, Room(using, len(events))).until(enough)


def build_related(
    references: Sequence[Reference], using: str, *, limit: TimeLimit | None = None
) -> list[Outcome]:
    """The representations of the objects that events refer to, as of those events, in order.

    One that nothing is known of is a failure.

    :param limit: as of :func:`build`.
    """
    limit = limit or TimeLimit.from_settings()
    events = [reference.event for reference in references]

    def remaining(batch: Batch, begin: int, end: int) -> Iterator[Subject]:
        return batch.related(references[begin:end])

    # The events themselves are not read.
    room = Room(using, len(events), weighs=False)
    return _Build(events, remaining, using, limit, room).until(never)


class _Build:
    """One call of :func:`build`: what is built so far, and what was learned on the way.

    :param remaining: gives the events' objects.
    """

    def __init__(
        self,
        events: Sequence[Origin],
        remaining: Remaining,
        using: str,
        limit: TimeLimit,
        room: Room,
    ) -> None:
        self.events = events
        self.remaining = remaining
        self.using = using
        self.limit = limit
        self.room = room
        self.outcomes: list[Outcome] = []
        self.careful = False
        self.known_failures: KnownFailures = {}

    def until(self, enough: Callable[[], bool]) -> list[Outcome]:
        """Build as many together as there is room for, until there are enough, or all."""
        ended = False
        with self.limit.ending_quietly(), self.limit.enforced():
            while not ended and (left := self.events[len(self.outcomes) :]):
                part = left[: self.room.fitting(left)]
                # An error in the database, or a time limit, ends PostgreSQL's transaction, and with
                # it the moment that is read. What is left is read anew, with a savepoint for each.
                try:
                    ended = self._build(part, enough)
                    self.room.grow()
                except TooMuch:
                    self.room.shrink(len(part))
                except StartOver:
                    self.careful = True
                if len(part) < len(left):
                    # Objects that know each other are only freed so, and the next need the room.
                    gc.collect(1)
        return self.outcomes

    def _build(self, events: Sequence[Origin], enough: Callable[[], bool]) -> bool:
        """Build as many of these as one transaction lets; return whether there are enough."""
        begin = len(self.outcomes)
        end = begin + len(events)
        batch = Batch(self.using, self.limit, self.known_failures, alone=len(events) == 1)
        subjects = partial(self.remaining, batch, begin, end)
        # Closed at once where there is enough: what is written next may not be read-only.
        with closing(_build_until_error(events, subjects, batch, self.careful)) as built:
            for outcome in built:
                self.outcomes.append(outcome)
                if enough():
                    return True
        self.careful = self.careful or len(self.outcomes) < end
        return False


def _build_until_error(
    events: Sequence[Origin],
    subjects: Callable[[], Iterator[Subject]],
    batch: Batch,
    careful: bool,
) -> Generator[Outcome, None, None]:
    connection = batch.vendor.connection
    with (
        isolated(batch.building.reading) as isolation,
        same_words_for_everyone() as same_words,
        batch.vendor.reading(batch.limit),
        hooks.forgotten(),
        _watching(batch),
        _discarding(batch),
    ):
        found = _with_room(events, subjects, batch.building)
        for event, subject in zip(events, found, strict=True):
            batch.show_life()
            same_words()
            isolation.begin()
            if outcome := _outcome(event, subject, batch, careful):
                yield outcome
            if (
                batch.building.transaction is not Transaction.WHOLE
                or connection.closed_in_transaction
            ):
                return


def _with_room(
    events: Sequence[Origin], subjects: Callable[[], Iterator[Subject]], building: Building
) -> Iterator[Subject]:
    """The objects, if there is memory for all of them; that of one alone is its own failure."""
    try:
        return subjects()
    except (Error, MemoryError) as error:
        if building.lacks_room(error):
            building.too_much(error)
        if isinstance(error, Error):
            raise
        return iter([Subject(event.moment, error=error) for event in events])


def _outcome(event: Origin, subject: Subject, batch: Batch, careful: bool) -> Outcome | None:
    """What becomes of this row; none, if it is to be tried once more, carefully."""
    if event.action == AuditLog.Action.TRUNCATE:
        return _failed(event, NothingToRebuild(pk=event.id, table=event.table_name), batch)
    if subject.error is not None:
        return _failed(event, subject.error, batch)
    building = batch.building
    building.run(subject)
    try:
        with batch.limit.row(), transaction.atomic(batch.using) if careful else NOTHING:
            text = text_of(subject, batch)
            building.check()
    except BaseException as raised:  # __str__ may raise anything, SystemExit included
        error = building.failure(raised, careful=careful)
        return None if error is None else _failed(event, error, batch)
    finally:
        building.rest()
    return _represented(event, subject, text, batch.settings.MAX_LENGTH)


def _represented(event: Origin, subject: Subject, text: str, length: int) -> Outcome:
    text, altered = storable(text, length)
    if altered:
        subject.note(altered)
    fidelity = Fidelity.MIXED if subject.notes else Fidelity.EXACT
    return Outcome(event.id, text, fidelity, "\n".join(subject.notes))


def _failed(event: Origin, error: BaseException, batch: Batch) -> Outcome:
    return Outcome(event.id, failure=Failure.of(error, batch.limit))


@contextmanager
def _discarding(batch: Batch) -> Iterator[None]:
    """However it ends: what was interrupted may have left a connection that still waits."""
    try:
        yield
    finally:
        batch.vendor.discard()


@contextmanager
def _watching(batch: Batch) -> Iterator[None]:
    """Every query that ``__str__`` sends by itself reads today's rows, and is noted."""
    with ExitStack() as stack:
        stack.enter_context(watching(batch.building.intercept_in_thread))
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(batch.building.intercept))
        yield
