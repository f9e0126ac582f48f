"""Events -> representations: builds ``str(instance)`` for many events together."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import chain

from django.db import Error, connections, transaction

from ..asof.batch import Batch
from ..asof.building import Building, StartOver, TooMuch, Transaction
from ..asof.imported_texts import ImportedText
from ..asof.instances import KnownFailures
from ..asof.lookups import Origin, Reference, Subject
from ..asof.query_interceptor import watching
from ..exceptions import NothingToRebuild
from ..isolation import hooks, isolated
from ..models import AuditLog, Fidelity
from ..sources import title
from ..utils.text import storable
from ..utils.time_limit import TimeLimit
from ..vendors.types import Event
from .finality import is_final
from .outcome import NOTHING, Failure, Outcome
from .room import Room
from .texts import same_words_for_everyone, text_of

__all__ = ["Event", "Failure", "Outcome", "Reference", "build", "build_related", "build_together"]


def never() -> bool:
    return False


#: Returns the objects to be represented, for the events from one index up to another.
Remaining = Callable[[Batch, int, int], Iterator[Subject]]


def build(
    events: Sequence[Event],
    using: str,
    enough: Callable[[], bool] = never,
    *,
    limit: TimeLimit | None = None,
) -> list[Outcome]:
    """Build the representations of these events, in their order. Nothing is stored.

    As many are built together as fit into memory.

    :param using: the database that holds the log and the audited tables.
    :param enough: called after each outcome; if true, the build ends early, with at least one.
    :param limit: how long the build may take, and whether the caller owns the process; by default
        it does not, and ROW_SECONDS limits the queries of a row.
    :returns: the outcomes of all events, unless `enough` or the time limit ended the build.
    """
    limit = limit or TimeLimit.from_settings()

    def remaining(batch: Batch, begin: int, end: int) -> Iterator[Subject]:
        return batch.subjects(events[begin:end])

    return _Build(events, remaining, using, limit, Room(using, len(events))).until(enough)


def build_related(
    references: Sequence[Reference], using: str, *, limit: TimeLimit | None = None
) -> list[Outcome]:
    """Build the representations of the objects that events refer to, as of those events, in order.

    An object of which the log has nothing is a failure.

    :param limit: see :func:`build`.
    """
    limit = limit or TimeLimit.from_settings()
    events = [reference.event for reference in references]

    def remaining(batch: Batch, begin: int, end: int) -> Iterator[Subject]:
        return batch.related(references[begin:end])

    # The events themselves are not read.
    room = Room(using, len(events), weighs=False)
    return _Build(events, remaining, using, limit, room).until(never)


def build_together(
    events: Sequence[Event],
    references: Sequence[Reference],
    using: str,
    *,
    limit: TimeLimit | None = None,
) -> tuple[list[Outcome], list[Outcome]]:
    """Return the results of :func:`build` and :func:`build_related`, from one view of the data."""
    limit = limit or TimeLimit.from_settings()
    count = len(events)
    together = [*events, *(reference.event for reference in references)]

    def remaining(batch: Batch, begin: int, end: int) -> Iterator[Subject]:
        ours = batch.subjects(events[begin:end])
        theirs = batch.related(references[max(0, begin - count) : max(0, end - count)])
        return chain(ours, theirs)

    if not together:
        return [], []
    room = Room(using, len(together), weighs=bool(events))
    outcomes = _Build(together, remaining, using, limit, room).until(never)
    return outcomes[:count], outcomes[count:]


class _Build:
    """One call of :func:`build`: the outcomes so far, and the errors that shape the next batch.

    :param remaining: returns the events' objects.
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
        """Build as many together as memory allows, until all are built or `enough` returns true."""
        ended = False
        with self.limit.ending_quietly(), self.limit.enforced():
            while not ended and (left := self.events[len(self.outcomes) :]):
                part = left[: self.room.fitting(left)]
                # An error in the database, or a time limit, ends PostgreSQL's transaction, and with
                # it the snapshot that is read. The rest is read again, with a savepoint for each.
                try:
                    ended = self._build(part, enough)
                    self.room.grow()
                except TooMuch:
                    self.room.shrink(len(part))
                except StartOver:
                    self.careful = True
                if len(part) < len(left):
                    # Only this frees objects in cycles; the next batch needs the memory.
                    gc.collect(1)
        return self.outcomes

    def _build(self, events: Sequence[Origin], enough: Callable[[], bool]) -> bool:
        """Build these while the transaction lasts; return whether `enough` returned true."""
        begin = len(self.outcomes)
        end = begin + len(events)
        batch = Batch(self.using, self.limit, self.known_failures, alone=len(events) == 1)
        subjects = partial(self.remaining, batch, begin, end)
        # Close the read-only transaction at once: the caller may write next.
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
    """Return the objects; if memory does not suffice for a single one, that is its failure."""
    try:
        return subjects()
    except (Error, MemoryError) as error:
        if building.lacks_room(error):
            building.too_much(error)
        if isinstance(error, Error):
            raise
        return iter([Subject(event.moment, error=error) for event in events])


def _outcome(event: Origin, subject: Subject, batch: Batch, careful: bool) -> Outcome | None:
    """Return the outcome of this event, or None if it is to be tried again, with a savepoint."""
    if event.action == AuditLog.Action.TRUNCATE:
        return _failed(event, NothingToRebuild(pk=event.id, table=event.table_name), batch)
    if subject.imported is not None and not subject.is_whole:
        return _imported(event, subject.imported, batch.settings.MAX_LENGTH)
    if subject.error is not None:
        return _failed(event, subject.error, batch, subject)
    building = batch.building
    building.run(subject)
    try:
        with batch.limit.row(), transaction.atomic(batch.using) if careful else NOTHING:
            text = text_of(subject, batch)
            building.check()
    except BaseException as raised:  # __str__ may raise anything, SystemExit included
        error = building.failure(raised, careful=careful)
        return None if error is None else _failed(event, error, batch, subject)
    finally:
        building.rest()
    return _represented(event, subject, text, batch.settings.MAX_LENGTH)


def _represented(event: Origin, subject: Subject, text: str, length: int) -> Outcome:
    text, altered = storable(text, length)
    if altered:
        subject.note(altered)
    fidelity = Fidelity.MIXED if subject.notes else Fidelity.EXACT
    return Outcome(event.id, text, fidelity, "\n".join(subject.notes))


def _imported(event: Origin, imported: ImportedText, length: int) -> Outcome:
    """Return the text of another log as a representation: more than the event itself can say."""
    text, altered = storable(imported.text, length)
    reasons = [f"as {title(imported.source)} stored it", altered]
    return Outcome(event.id, text, Fidelity.MIXED, "\n".join(filter(None, reasons)))


def _failed(
    event: Origin, error: BaseException, batch: Batch, subject: Subject | None = None
) -> Outcome:
    if subject is not None and subject.imported is not None:
        return _imported(event, subject.imported, batch.settings.MAX_LENGTH)

    def final() -> bool:
        return subject is not None and is_final(error, subject)

    return Outcome(event.id, failure=Failure.of(error, batch.limit, final))


@contextmanager
def _discarding(batch: Batch) -> Iterator[None]:
    """Close the connection at the end if an interrupted query has left it unusable."""
    try:
        yield
    finally:
        batch.vendor.discard()


@contextmanager
def _watching(batch: Batch) -> Iterator[None]:
    """Intercept every query that the code of a row sends."""
    with ExitStack() as stack:
        stack.enter_context(watching(batch.building.intercept_in_thread))
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(batch.building.intercept))
        yield
