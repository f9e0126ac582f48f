"""The events of one table since the earliest moment of a batch, and which a moment saw."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from operator import attrgetter

from ...vendors.snapshots import parse
from ...vendors.types import Moment
from .neighbors import Neighbor, Neighbors
from .states import BESIDE, States

_id = attrgetter("id")


#: See :meth:`Changes.unseen`.
Unseen = tuple[int, tuple[Neighbor, ...], frozenset[int]]


class Changes:
    """The events of one table by ID; for each moment, which of them it saw and which it did not.

    The time that this takes depends on the events near the moment, not on the number of events.
    """

    def __init__(self, states: States, table: str, events: Iterable[Neighbor]) -> None:
        self.states = states
        self.table = table
        self.events = sorted(events, key=_id)
        states.visibility.expect(event.id for event in self.events)
        self._reached = list(accumulate((e.transaction_id or 0 for e in self.events), max))
        self._at_once = defaultdict(list)
        self._of_message = defaultdict(list)
        for event in self.events:
            self._at_once[event.occurred_at].append(event)
            self._of_message[event.transaction_id, event.statement_at].append(event)

    def unseen(self, moment: Moment) -> Unseen:
        """Return which events the moment has not seen; equal answers are about the same rows.

        :returns: the index after the last event up to the moment; the unseen events before that
            index; the IDs of the seen events from that index on.
        """
        start = bisect_right(self.events, moment.upto, key=_id)
        statement = self._of_statement(moment)
        ours = {one.id for one in statement}
        if moment.before:
            early = {e.id: e for e in statement if e.id <= moment.upto}
            later: frozenset[int] = frozenset()
        else:
            early = {}
            later = frozenset(pk for pk in ours if pk > moment.upto)
        for event in self._under_way(moment, start):
            if (moment.before or event.id not in ours) and not self.states.visibility.saw(
                moment, event
            ):
                early[event.id] = event
        return start, tuple(sorted(early.values())), later

    def since(
        self, start: int, early: Sequence[Neighbor], seen: frozenset[int]
    ) -> Iterator[Neighbor]:
        """Yield the events that :meth:`unseen` describes, in the order of their IDs."""
        return chain(early, (e for e in self.events[start:] if e.id not in seen))

    def before(
        self, start: int, early: Sequence[Neighbor], seen: frozenset[int]
    ) -> Iterator[Neighbor]:
        """Yield all other events, in the order of their IDs."""
        unseen = {event.id for event in early}
        earlier = (event for event in self.events[:start] if event.id not in unseen)
        return chain(earlier, (event for event in self.events[start:] if event.id in seen))

    def doubts(self, moment: Moment) -> list[str]:
        """Return why some of the events may belong to the other side of the moment."""
        statement = {event.id for event in self._of_statement(moment)}
        near = (event for event in self._near(moment) if event.id not in statement)
        doubts = [self._doubt(moment, event) for event in near]
        if moment.statement_at is None and statement - {moment.upto}:
            doubts.append(BESIDE)
        return [doubt for doubt in doubts if doubt]

    def _doubt(self, moment: Moment, event: Neighbor) -> str:
        saw = event.id < moment.upto if moment.before else event.id <= moment.upto
        around = (event, None, None) if saw else (None, event, event)
        last, later, first = around
        return self.states.doubt_of_order(
            self.table, moment, Neighbors(last, None, later, None, first, None)
        )

    def _near(self, moment: Moment) -> Iterator[Neighbor]:
        if moment.occurred_at is not None:
            yield from self._at_once.get(moment.occurred_at, ())
        if moment.statement_at is not None:
            yield from self._of_message.get((moment.transaction_id, moment.statement_at), ())

    def _of_statement(self, moment: Moment) -> list[Neighbor]:
        """Return the events of this table that are, or may be, of the moment's statement."""
        if moment.occurred_at is None or not self.states.is_of(moment, self.table):
            return []
        together = self._at_once.get(moment.occurred_at, ())
        return [event for event in together if event.same_statement(moment)]

    def _under_way(self, moment: Moment, start: int) -> Iterator[Neighbor]:
        """Yield earlier events whose transactions may still have been open at the moment."""
        if moment.snapshot is None:
            return
        oldest = parse(moment.snapshot).xmin
        while start and self._reached[start - 1] >= oldest:
            start -= 1
            yield self.events[start]
