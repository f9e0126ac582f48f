"""Events -> representations: builds ``str(instance)`` for many events together."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain

from ..asof.batch import Batch
from ..asof.building import StartOver, TooMuch
from ..asof.instances import KnownFailures
from ..asof.lookups import Origin, Reference, Subject
from ..utils.time_limit import TimeLimit
from ..vendors.types import Event
from .one_view import outcomes_of
from .outcome import Failure, Outcome
from .room import Room

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
        with closing(outcomes_of(events, subjects, batch, self.careful)) as built:
            for outcome in built:
                self.outcomes.append(outcome)
                if enough():
                    return True
        self.careful = self.careful or len(self.outcomes) < end
        return False
