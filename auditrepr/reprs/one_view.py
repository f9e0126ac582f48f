"""The outcomes of events that are built from one view of the database, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from django.db import Error, connections

from ..asof.batch import Batch
from ..asof.building import Building, Transaction
from ..asof.imported_texts import ImportedText
from ..asof.lookups import Origin, Subject
from ..asof.query_interceptor import watching
from ..asof.routing import reading_from
from ..exceptions import NothingToRebuild
from ..isolation import hooks, isolated
from ..models import AuditLog, Fidelity
from ..sources import title
from ..utils.text import storable
from ..utils.transactions import unnoticed
from .finality import is_final
from .outcome import NOTHING, Failure, Outcome
from .texts import same_words_for_everyone, text_of


def outcomes_of(
    events: Sequence[Origin],
    subjects: Callable[[], Iterator[Subject]],
    batch: Batch,
    careful: bool,
) -> Generator[Outcome, None, None]:
    """Yield the outcomes of these events, until all are built or an error has ended the view.

    :param subjects: returns the events' objects, inside the view.
    :param careful: whether each gets a savepoint, because an error has ended a view before.
    """
    connection = batch.vendor.connection
    with (
        isolated(batch.building.reading) as isolation,
        same_words_for_everyone() as same_words,
        reading_from(batch.using),
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
    building.run(subject, careful=careful)
    try:
        with batch.limit.row(), unnoticed(batch.using) if careful else NOTHING:
            text = text_of(subject, batch)
            building.check()
            if building.is_to_be_repeated():
                return None
    except BaseException as raised:  # __str__ may raise anything, SystemExit included
        error = building.failure(raised)
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
        stack.enter_context(watching(batch.building.intercept_apart))
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(batch.building.intercept))
        yield
