"""Audit rows -> what ``str(instance)`` said: the batch builder that everyone uses."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.utils import timezone, translation
from django.utils.functional import Promise

from .conf import get_settings
from .events import Event, Subject
from .exceptions import NothingToRebuild
from .making import Afresh, Culprits
from .models import AuditLog, Fidelity
from .rebuild import Batch, Reference
from .threads import watching
from .timelimit import TimeLimit, TimeLimitExceeded

__all__ = ["Event", "Failure", "Outcome", "Reference", "build", "build_related"]

#: Gives the objects to be represented, from the n-th on.
Remaining = Callable[[Batch, int], Iterator[Subject]]


@dataclass(frozen=True)
class Failure:
    """Why a representation could not be built; every text fits into the database."""

    error_class: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException, limit: TimeLimit | None = None) -> Failure:
        """What is to be said of this error, whose own code may fail or hang as well.

        :param limit: how long that may take, for each of the texts.
        """

        def shown(text: Callable[[], str], length: int, otherwise: str) -> str:
            try:
                with limit.row() if limit else NOTHING:
                    return storable(text(), length)[0]
            except BaseException:  # not even asking an exception for its text is safe
                return otherwise

        return cls(
            error_class=shown(lambda: type(error).__qualname__, CLASS_LENGTH, "?"),
            message=shown(lambda: str(error), MESSAGE_LENGTH, "(its message cannot be shown)"),
            traceback=shown(
                lambda: "".join(traceback.format_exception(error, limit=-TRACEBACK_FRAMES)),
                TRACEBACK_LENGTH,
                "(its traceback cannot be shown)",
            ),
        )


class Outcome(NamedTuple):
    """What became of one audit row: a text, or a failure."""

    id: int
    text: str = ""
    fidelity: Fidelity = Fidelity.EXACT
    reason: str = ""
    failure: Failure | None = None


TRACEBACK_FRAMES = 10
NOTHING = nullcontext()
CLASS_LENGTH = 200  # characters
MESSAGE_LENGTH = 2_000  # characters
TRACEBACK_LENGTH = 20_000  # characters


def build(
    events: Sequence[Event], using: str, enough: Callable[[], bool] = lambda: False
) -> list[Outcome]:
    """The representations of these events, in their order. Nothing is stored.

    :param using: the database that holds the log and the audited tables.
    :param enough: asked after each; true ends it early, with at least one.
    """
    return _build(len(events), lambda batch, n: batch.subjects(events[n:]), using, enough)


def build_related(references: Sequence[Reference], using: str) -> list[Outcome]:
    """The representations of the objects that events refer to, as of those events, in order.

    One that nothing is known of is a failure.
    """
    return _build(len(references), lambda batch, n: batch.related(references[n:]), using)


def _build(
    count: int, remaining: Remaining, using: str, enough: Callable[[], bool] = lambda: False
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    careful = False
    culprits: Culprits = {}
    while len(outcomes) < count:
        # An error in the database, or a time limit, ends PostgreSQL's transaction, and with it the
        # moment that the batch reads. What is left is read anew, with a savepoint for each row.
        with suppress(Afresh):
            batch = Batch(using, culprits)
            # Closed at once where there is enough: what is written next may not be read-only.
            with closing(_build_until_error(len(outcomes), remaining, batch, careful)) as built:
                for outcome in built:
                    outcomes.append(outcome)
                    if enough():
                        return outcomes
        careful = True
    return outcomes


def _build_until_error(
    done: int, remaining: Remaining, batch: Batch, careful: bool
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
        for subject in remaining(batch, done):
            batch.show_life()
            same_words()
            if outcome := _outcome(subject, batch, careful):
                yield outcome
            if batch.broken or connection.closed_in_transaction:
                batch.vendor.discard()
                return


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


def storable(text: str, length: int) -> tuple[str, str]:
    """The text as every database can store it, and what had to be changed, if anything.

    NUL becomes its visible symbol, a lone surrogate its escape; what is longer than `length`
    characters is cut, visibly.
    """
    if len(text) <= length and text.isprintable():
        return text, ""
    changed = []
    clean = text.replace("\0", "\N{SYMBOL FOR NULL}")
    clean = clean.encode("utf-8", "backslashreplace").decode("utf-8")
    if clean != text:
        changed.append("it held characters that cannot be stored")
    if len(clean) > length:
        mark = f"… ({len(clean)} characters)"
        clean = clean[: max(0, length - len(mark))] + mark
        changed.append(f"it was longer than {length} characters")
    return clean, "; ".join(changed)


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
