"""Audit rows -> what ``str(instance)`` said: the batch builder that everyone uses."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from contextvars import Context, copy_context
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.utils import timezone, translation
from django.utils.functional import Promise

from ..asof.batch import Batch, Reference
from ..asof.history import MOST_BYTES
from ..asof.instances import Afresh, Culprits, TooMuch
from ..asof.lookups import Subject
from ..asof.query_interceptor import watching
from ..conf import get_settings
from ..exceptions import NothingToRebuild
from ..models import AuditLog, Fidelity
from ..utils.text import storable
from ..utils.time_limit import TimeLimitExceeded
from ..vendors import get_vendor
from ..vendors.types import Event
from .outcome import NOTHING, Failure, Outcome

__all__ = ["Event", "Failure", "Outcome", "Reference", "build", "build_related"]

#: Gives the objects to be represented, from the n-th on and before another.
Remaining = Callable[[Batch, int, int], Iterator[Subject]]


def build(
    events: Sequence[Event], using: str, enough: Callable[[], bool] = lambda: False
) -> list[Outcome]:
    """The representations of these events, in their order. Nothing is stored.

    As many are built together as fit into memory.

    :param using: the database that holds the log and the audited tables.
    :param enough: asked after each; true ends it early, with at least one.
    """
    known: dict[int, int] = {}

    def fitting(begin: int, end: int) -> int:
        ids = [event.id for event in events[begin:end]]
        return get_vendor(using).fitting(ids, MOST_BYTES, known)

    def remaining(batch: Batch, begin: int, end: int) -> Iterator[Subject]:
        return batch.subjects(events[begin:end])

    return _build(len(events), remaining, using, enough, fitting)


def build_related(references: Sequence[Reference], using: str) -> list[Outcome]:
    """The representations of the objects that events refer to, as of those events, in order.

    One that nothing is known of is a failure.
    """
    return _build(
        len(references),
        lambda batch, begin, end: batch.related(references[begin:end]),
        using,
        lambda: False,
        lambda begin, end: end - begin,
    )


def _build(
    count: int,
    remaining: Remaining,
    using: str,
    enough: Callable[[], bool],
    fitting: Callable[[int, int], int],
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    careful = False
    culprits: Culprits = {}
    width = count
    while (done := len(outcomes)) < count:
        end = min(done + width, count)
        end = done + fitting(done, end)
        # An error in the database, or a time limit, ends PostgreSQL's transaction, and with it the
        # moment that the batch reads. What is left is read anew, with a savepoint for each row.
        try:
            batch = Batch(using, culprits, alone=end - done == 1)
            built = _build_until_error(partial(remaining, batch, done, end), batch, careful)
            # Closed at once where there is enough: what is written next may not be read-only.
            with closing(built):
                for outcome in built:
                    outcomes.append(outcome)
                    if enough():
                        return outcomes
            careful = careful or len(outcomes) < end
            width = min(2 * width, count)
        except TooMuch:
            width = max(1, (end - done) // 2)
        except Afresh:
            careful = True
        if end < count:
            # Objects that know each other are only freed so, and the next ones need the room.
            del batch, built
            gc.collect(1)
    return outcomes


def _build_until_error(
    remaining: Callable[[], Iterator[Subject]], batch: Batch, careful: bool
) -> Generator[Outcome, None, None]:
    connection = batch.vendor.connection
    with (
        _same_words_for_everyone() as same_words,
        batch.limit.listening(),
        batch.vendor.reading(batch.limit),
        _forgetting_hooks(connection),
        _watching(batch),
        _without_collecting(),
    ):
        for subject in _with_room(remaining, batch):
            batch.show_life()
            same_words()
            if outcome := _outcome(subject, batch, careful):
                yield outcome
            if batch.broken or connection.closed_in_transaction:
                batch.vendor.discard()
                return


def _with_room(remaining: Callable[[], Iterator[Subject]], batch: Batch) -> Iterator[Subject]:
    """The objects, if there is memory for all of them."""
    try:
        return remaining()
    except (MemoryError, Error) as error:
        if batch.alone or not TooMuch.is_meant_by(error):
            raise
        batch.vendor.discard()
        raise TooMuch from error


def _outcome(subject: Subject, batch: Batch, careful: bool) -> Outcome | None:
    """What becomes of this row; none, if it is to be tried once more, carefully."""
    if subject.event.action == AuditLog.Action.TRUNCATE:
        pk, table = subject.event.id, subject.event.table_name
        return _failed(subject, NothingToRebuild(pk=pk, table=table), batch)
    if subject.error is not None:
        return _failed(subject, subject.error, batch)
    batch.current, batch.own_error = subject, None
    try:
        with batch.limit.row(), transaction.atomic(batch.using) if careful else NOTHING:
            text = _text(subject.instance, batch)
            if batch.own_error is not None:  # __str__ made something up in place of the answer
                raise batch.own_error
    except BaseException as raised:  # __str__ may raise anything, SystemExit included
        if batch.lost:
            batch.vendor.discard()
            raise batch.lost from None
        error = batch.own_error or raised
        if TooMuch.is_meant_by(error) and not batch.alone:
            batch.vendor.discard()
            raise TooMuch from None
        batch.broken = isinstance(error, TimeLimitExceeded)
        if isinstance(error, Error) and not careful:
            batch.broken = True
            if batch.vendor.passes(error):
                return None  # a connection that was lost is no row's fault
        return _failed(subject, error, batch)
    finally:
        batch.current = None
    if batch.lost:  # __str__ made something up in place of it
        batch.vendor.discard()
        raise batch.lost
    return _represented(subject, text, batch.settings.MAX_LENGTH)


def _represented(subject: Subject, text: str, length: int) -> Outcome:
    text, altered = storable(text, length)
    if altered:
        subject.note(altered)
    fidelity = Fidelity.MIXED if subject.notes else Fidelity.EXACT
    return Outcome(subject.event.id, text, fidelity, "\n".join(subject.notes))


def _failed(subject: Subject, error: BaseException, batch: Batch) -> Outcome:
    return Outcome(subject.event.id, failure=Failure.of(error, batch.limit))


def _text(instance: Any, batch: Batch) -> str:
    chosen = batch.chosen_repr(type(instance)) if isinstance(instance, Model) else None
    if chosen is None:
        text: Any = type(instance).__str__(instance)  # type: ignore[call-arg]  # not str(): it may be lazy
    else:
        text = getattr(instance, chosen)() if isinstance(chosen, str) else chosen(instance)
    if isinstance(text, Promise):
        return str(text)
    if not isinstance(text, str):
        raise TypeError(f"__str__ returned non-string (type {type(text).__name__})")
    return str.__str__(text)


@contextmanager
def _same_words_for_everyone() -> Iterator[Callable[[], None]]:
    """Language and time zone of the settings, not of whoever started the job.

    Gives what sees to it that one row's code has not changed them for the next.
    """
    chosen = get_settings()
    zone = ZoneInfo(chosen.TIME_ZONE) if chosen.TIME_ZONE else timezone.get_default_timezone()
    with (
        translation.override(chosen.LANGUAGE or settings.LANGUAGE_CODE),
        timezone.override(zone),
    ):
        language = translation.get_language() or settings.LANGUAGE_CODE
        at_first: Context | None = None

        def same_words() -> None:
            # Django keeps both in the context: to compare that takes a tenth of asking for them.
            nonlocal at_first
            if at_first is None:
                at_first = copy_context()
            elif copy_context() != at_first:
                translation.activate(language)
                timezone.activate(zone)

        yield same_words


@contextmanager
def _forgetting_hooks(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """What a row's code wants done on commit would be done once nothing refuses it any more."""
    before = list(connection.run_on_commit)
    try:
        yield
    finally:
        connection.run_on_commit = before


@contextmanager
def _without_collecting() -> Iterator[None]:
    """What a batch makes, it needs to its end: looking for garbage on the way finds none."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _watching(batch: Batch) -> Iterator[None]:
    """Every query that ``__str__`` sends by itself reads today's rows, and is noted."""
    with ExitStack() as stack:
        stack.enter_context(watching(batch.asked_elsewhere))
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(batch.watch))
        yield
