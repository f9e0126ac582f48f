"""Finds where the state of a row at a moment is recorded.

It is the new state in the latest event that the moment saw; without such an event, the old state
in the row's first later event; without any event, the current row. The last two need coverage, and
so does any state with a gap in capture behind it: without coverage, the state is doubtful.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property, partial
from typing import NamedTuple

from ...lineage import Renames, get_renames
from ...models import AuditLog
from ...vendors import Vendor
from ...vendors.types import Image, Moment
from .completeness import Completeness
from .neighbors import Neighbor, Neighbors, look_up
from .truncations import EMPTIED, Truncations
from .visibility import Visibility

BESIDE = "rows of the same table changed at the same time"
OVERTAKEN = "another transaction changed the row while its deletion waited"
UNCLEAR = "one client message made several changes in unknown order"


class StateSource(NamedTuple):
    """The place of a row's state at a moment: an image, the current row, or none."""

    image: Image | None = None
    live: bool = False
    later: bool = False  # recorded after the moment, maybe with columns added since
    gone: bool = False  # the row was deleted; the image is its last state
    doubt: str = ""
    inserted: int | None = None  # the last event of the row that the moment saw, if it inserted it


class States:
    """The states of rows, for one batch, from one view of the database."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.visibility = Visibility(vendor)
        self.completeness = Completeness(vendor, self.visibility)

    @cached_property
    def renames(self) -> Renames:
        return get_renames(self.vendor.using)

    @cached_property
    def truncations(self) -> Truncations:
        return Truncations(self.vendor, self.renames, self.visibility, self.completeness)

    def find(
        self, table: str, wanted: Sequence[tuple[Moment, str]], *, referred: bool = False
    ) -> list[StateSource]:
        """Return the places of the states of these rows of one table, each as of its moment.

        :param referred: whether the rows must have been there, because others refer to them.
        """
        self.visibility.expect(moment.upto for moment, _ in wanted)
        moments = [moment for moment, _ in wanted]
        found = look_up(self.vendor, self.renames, table, wanted)
        around = list(map(partial(self._covered, table), moments, found))
        states = list(map(partial(self._state, table), moments, around, self._unfit(around)))
        if not referred:
            return states
        return list(map(partial(self._tied, table), moments, around, states))

    def _tied(
        self, table: str, moment: Moment, around: Neighbors, state: StateSource
    ) -> StateSource:
        """Return the state that a row got at the moment itself, if only times order the events.

        A source may say of a transaction when it began, and not that it first inserted the parent.
        """
        first = around.first
        inserted = first is not None and first.action == AuditLog.Action.INSERT
        if state.image or state.live or around.last or not (first and inserted):
            return state
        same_time = first.occurred_at == moment.occurred_at
        if not same_time or not state.doubt or not self.completeness.is_merged(table, moment):
            return state
        return state._replace(image=self._image(table, first), later=True)

    def _covered(self, table: str, moment: Moment, around: Neighbors) -> Neighbors:
        """Return these without what is from before coverage, if it covers the moment.

        From there on each change of the row is in the log, and what was before may not be.
        """
        since = self.completeness.since(table)
        if since is None or all(one.id > since for one in around.seen):
            return around
        # What it was before is all that is known of a row that came through to be truncated.
        if self.completeness.gap(table, moment, moment.upto) or self.truncations.lost(
            table, moment, around.first
        ):
            return around
        return around.since(since)

    def _unfit(self, around: Sequence[Neighbors]) -> list[str]:
        """Return why the neighbors of each moment may have happened in another order."""
        bases = list(map(_rests_on, around))
        unfit = self.out_of_order(set().union(*bases))
        return [UNCLEAR if basis & unfit else "" for basis in bases]

    def out_of_order(self, events: Collection[int]) -> set[int]:
        """Return the IDs of those that may have happened in another order than that of the log."""
        if not events or not self.statement_reaches_beyond:
            return set()
        together = self.vendor.together(events)
        return self.vendor.out_of_order(together) if together else set()

    def _state(self, table: str, moment: Moment, around: Neighbors, doubt: str) -> StateSource:
        if not moment.before and (later := self._same_statement(table, moment, around)):
            return later._replace(doubt=doubt or later.doubt)
        last = around.last
        doubt = doubt or self.doubt_of_order(table, moment, around)
        if around.last_taking and _after(around.last_taking, last):
            return StateSource(
                doubt=doubt or self.completeness.gap(table, moment, around.last_taking.id)
            )
        emptied = self.truncations.ended(table, moment, last)
        if last is None:
            return self._before_the_log(table, moment, around, emptied, doubt)
        doubt = doubt or self.completeness.gap(table, moment, last.id)
        gone = emptied or last.action == AuditLog.Action.DELETE
        return StateSource(self._image(table, last), False, False, gone, doubt, last.inserted)

    def _same_statement(self, table: str, moment: Moment, around: Neighbors) -> StateSource | None:
        """Return the state that the rest of the moment's statement gave the row, or None.

        A moment is after its whole statement, including the changes after the event.
        """
        doubt = BESIDE if moment.statement_at is None else ""
        if not self.is_of(moment, table):
            return None
        if not any(header.same_statement(moment) for header in around.later):
            return None
        # If the statement moves a key from one row to another, the key belongs to the other row.
        given = next(
            (h for h in (around.next, around.last) if h and h.same_statement(moment)), None
        )
        if given is None:
            return StateSource(doubt=doubt)
        return StateSource(self._image(table, given), doubt=doubt, inserted=given.inserted)

    def is_of(self, moment: Moment, table: str) -> bool:
        """Return whether the moment is that of an event of this table."""
        at = moment.occurred_at
        return at is not None and self.renames.table(moment.table_name, at) == table

    def _image(self, table: str, header: Neighbor, *, before: bool = False) -> Image:
        return self.renames.image(table, header.id, header.occurred_at, before=before)

    def _before_the_log(
        self, table: str, moment: Moment, around: Neighbors, emptied: bool, doubt: str
    ) -> StateSource:
        """Return the state of a row of which the moment saw no event.

        It is the old state in its first later event, or the current row.
        """
        doubt = doubt or self.completeness.gap(table, moment, moment.upto)
        first, taking = around.first, around.first_taking
        if taking and (first is None or not _after(taking, first)):
            return StateSource(
                image=self._image(table, taking, before=True), later=True, doubt=doubt
            )
        lost = self.truncations.lost(table, moment, first)
        if first is None:
            # The current row; unknown if the table was truncated.
            unknown = EMPTIED if lost or emptied else ""
            return StateSource(live=True, later=True, doubt=doubt or unknown)
        if first.action == AuditLog.Action.INSERT or first.previous_object_id is not None:
            return StateSource(doubt=doubt or (EMPTIED if lost else ""))
        return StateSource(image=self._image(table, first, before=True), later=True, doubt=doubt)

    def doubt_of_order(self, table: str, moment: Moment, around: Neighbors) -> str:
        """Return why the moment may lie elsewhere among the row's events; empty if it is certain.

        One client message may hold one statement, whose changes happen at once, or several. After a
        change, earlier changes of the message were seen in either case, and later ones are in
        doubt. Before a deletion, it is the other way round.
        """
        others = around.seen if moment.before else around.later
        if any(other.same_message(moment) for other in others):
            return UNCLEAR
        if moment.statement_at is not None:
            return ""
        # Nothing distinguishes statements in the same millisecond.
        same_time = any(other.occurred_at == moment.occurred_at for other in others)
        near = same_time and (self.is_of(moment, table) or self.statement_reaches_beyond)
        return BESIDE if near else ""

    @cached_property
    def statement_reaches_beyond(self) -> bool:
        return self.vendor.statement_reaches_beyond()

    def overtaken(self, moments: Sequence[Moment]) -> set[int]:
        """Return deletions that waited for, and saw, another transaction's change of their row."""
        deletes = [moment.upto for moment in moments if moment.before]
        return self.vendor.overtaken(deletes) if deletes else set()

    def changed_again(self, moments: Sequence[Moment]) -> set[int]:
        """Return the IDs of events that may record an intermediate state of a statement."""
        if not moments or not self.statement_reaches_beyond:
            return set()
        together = self.vendor.together([moment.upto for moment in moments])
        if not together:
            return set()
        return self.vendor.changed_again(together) | self.vendor.out_of_order(together)


def _rests_on(around: Neighbors) -> set[int]:
    """Return the IDs of the events from which the state of the row at the moment is derived."""
    return {one.id for one in around.seen or around.earliest}


def _after(one: Neighbor, other: Neighbor | None) -> bool:
    """Return whether a later statement caused `one` than `other`.

    A statement that swaps keys gives and takes the same key: then neither is later.
    """
    if other is None:
        return True
    together = one.occurred_at == other.occurred_at and one.transaction_id == other.transaction_id
    return one.id > other.id and not together
