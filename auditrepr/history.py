"""Rows of any audited table as of an event.

The state of a row at a moment is what the latest event that the moment saw has left. Where there
is none, it is what the row's first later event found; and where the log never mentions the row,
it is what the table holds today. The last two, and any state across a gap in capture, are certain
only as far as coverage goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from django.db import Error
from django.db.models import Field, Model

from .capture import covered
from .columns import Columns
from .drift import UNKNOWN
from .events import Event
from .meta import concrete
from .models import AuditLog, Coverage
from .renames import Renames, get_renames
from .rows import Live, Row, read_images, read_live
from .snapshots import sees, sees_all
from .timelimit import TimeLimit
from .tracking import log_name, tracked_tables
from .vendors.base import Image, Vendor

#: Tables whose rows mean the same at all times: a content type stands for its natural key.
TIMELESS = frozenset({"django_content_type"})

#: How many ids one query looks up: databases limit a statement's parameters.
CHUNK = 10_000

#: How many later events of a table are read to find the rows that had a value before.
SCAN = 100_000


class Header(NamedTuple):
    """What tells how an event of a related row stands to the moment."""

    id: int
    action: str
    object_id: str | None
    previous_object_id: str | None
    transaction_id: int | None
    statement_at: datetime | None
    occurred_at: datetime

    def same_statement(self, moment: Event) -> bool:
        """Did one firing of a trigger write both? SQLite cannot tell it from the same moment.

        Only events of one table can be of one firing.
        """
        return (
            self.action == moment.action
            and self.transaction_id == moment.transaction_id
            and self.occurred_at == moment.occurred_at
        )

    def same_message(self, moment: Event) -> bool:
        """Did one message of the client cause both? It may hold one statement or several."""
        return (
            self.statement_at is not None
            and self.statement_at == moment.statement_at
            and self.transaction_id == moment.transaction_id
        )


class Around(NamedTuple):
    """The events around a moment, for one key of one table.

    An update that changes a key is an event of two: of the key it gives, and of the one it takes.
    """

    last: Header | None  # the latest that the moment saw
    last_taking: Header | None
    next: Header | None  # the first with a greater id than the moment's
    next_taking: Header | None
    first: Header | None  # the very first
    first_taking: Header | None


LAST, LAST_TAKING, NEXT, NEXT_TAKING = range(4)  # places in Around


class State(NamedTuple):
    """Where the state of a row at a moment is found, if there was such a row."""

    image: Image | None = None
    live: bool = False
    later: bool = False  # it was found after the moment, with columns that may have come since
    gone: bool = False  # the image is the row's last one, from before its end
    doubt: str = ""

    def doubts(self, row: str) -> tuple[str, ...]:
        """Why what is found there is not certain to be what was there."""
        gone = f"{row} had been deleted" if self.gone else ""
        return tuple(filter(None, (self.doubt, gone)))


_Read = Row | Exception | None


class Found(NamedTuple):
    """A row as of a moment; none if there was none."""

    row: Row | Exception | None
    doubts: tuple[str, ...] = ()
    image: Image | None = None  # where the log holds it; else it is today's
    gone: bool = False  # the row is its last state, from before its end


class Matches(NamedTuple):
    """The rows that had a value at a moment."""

    found: list[Found]
    doubts: list[str]


class History:
    """Answers for one batch, from one view of the database."""

    def __init__(self, vendor: Vendor, limit: TimeLimit) -> None:
        self.vendor = vendor
        self.limit = limit
        self._truncations: dict[str, list[Header]] = {}

    @cached_property
    def coverage(self) -> dict[str, Coverage]:
        return covered(self.vendor.using)

    @cached_property
    def columns(self) -> Columns:
        return Columns(self.coverage, self._sees)

    @cached_property
    def _newest(self) -> int | None:
        return self.vendor.newest_transaction()

    @cached_property
    def renames(self) -> Renames:
        return get_renames(self.vendor.using)

    @cached_property
    def excluded(self) -> dict[str, frozenset[str]]:
        return {table.name: table.excluded for table in tracked_tables(self.vendor.using)}

    def rows(self, model: type[Model], wanted: Sequence[tuple[Event, Any]]) -> list[Found]:
        """The rows of the model's own table with these primary keys, each as of its event."""
        model = concrete(model)
        table = log_name(model._meta.db_table)
        texts = self.vendor.key_texts(model._meta.pk, [key for _, key in wanted])
        if table in TIMELESS:
            states = [State(live=True)] * len(wanted)
        else:
            pairs = zip((event for event, _ in wanted), texts, strict=True)
            states = self.states(table, list(pairs))
        now = {key for state, (_, key) in zip(states, wanted, strict=True) if state.live}
        live = self._live(model, model._meta.pk, now)
        if isinstance(live, Error):
            live = dict.fromkeys(texts, Live(None, live))
        moments = [event for event, _ in wanted]
        return self._found(model, list(zip(moments, states, texts, strict=True)), live)

    def matching(
        self, model: type[Model], field: Any, wanted: Sequence[tuple[Event, Any]]
    ) -> list[Matches]:
        """All rows of the model's own table whose field had the value, each as of its event.

        Who had it then either has it today, or was changed since: an event after the moment
        tells so. Candidates are looked for there, and each is looked at as of the moment.
        """
        model = concrete(model)
        table = log_name(model._meta.db_table)
        if field.column in self.excluded.get(table, ()):
            return [Matches([], [UNKNOWN.format(field.column)]) for _ in wanted]
        values = {value for _, value in wanted}
        texts = dict(zip(values, self.vendor.key_texts(field, list(values)), strict=True))
        live = self._live(model, field, values)
        if isinstance(live, Error):
            return [Matches([Found(live)], []) for _ in wanted]
        candidates: dict[str, set[str]] = defaultdict(set)
        for key, today in live.items():
            candidates[texts[today.value]].add(key)
        moments = [event for event, _ in wanted]
        mentions, complete = self._mentions(table, field.column, list(texts.values()), moments)
        for text, key in mentions:
            candidates[text].add(key)
        pairs = [
            (n, event, key)
            for n, (event, value) in enumerate(wanted)
            for key in sorted(candidates[texts[value]])
        ]
        states = self.states(table, [(event, key) for _, event, key in pairs])
        looked_at = [(e, state, key) for (_, e, key), state in zip(pairs, states, strict=True)]
        found = self._found(model, looked_at, live)
        column = field.column
        matches = [
            Matches([], self._incomplete(model, column, event, complete)) for event, _ in wanted
        ]
        for (n, _, _), state, one in zip(pairs, states, found, strict=True):
            if not state.gone and _has(one.row, field, wanted[n][1]):
                matches[n].found.append(one)
            elif isinstance(one.row, Row) and field.column in one.row.missing:
                matches[n].doubts.append(UNKNOWN.format(field.column))
            else:
                matches[n].doubts.extend(one.doubts if state.doubt else ())
        return matches

    def _mentions(
        self, table: str, column: str, texts: Sequence[str], moments: Sequence[Event]
    ) -> tuple[set[tuple[str, str]], bool]:
        """See :meth:`Vendor.mentions`; by all names that the table and the column have had."""
        lineage = self.renames.lineage(table)
        found: set[tuple[str, str]] = set()
        complete = True
        for name in {name.name for name in lineage.names}:
            for called in lineage.columns(column):
                more, all_read = self.vendor.mentions(name, called, texts, moments, SCAN)
                found.update(more)
                complete = complete and all_read
        return found, complete

    def _incomplete(
        self, model: type[Model], column: str, moment: Event, complete: bool
    ) -> list[str]:
        """Why rows may be missing among those that match by this column."""
        table = log_name(model._meta.db_table)
        came_later = column in self.columns.not_yet(model, moment)
        emptied = any(not self._saw(moment, t) for t in self._truncates(table))
        reasons = (
            self._gap(table, moment, moment.id),
            EMPTIED if emptied else "",
            UNKNOWN.format(column) if came_later else "",
            "" if complete else f"too much has changed in {table} since",
        )
        return [reason for reason in reasons if reason]

    def _live(
        self, model: type[Model], field: Field[Any, Any], values: Collection[Any]
    ) -> dict[str, Live] | Error:
        """Today's rows, see :func:`read_live`; or why the table cannot be read.

        :raises django.db.Error: if that passes.
        """
        if not values:
            return {}
        excluded = self.excluded.get(log_name(model._meta.db_table), frozenset())
        try:
            return read_live(self.vendor, model, field, values, excluded, self.limit)
        except Error as error:
            if self.vendor.passes(error):
                raise
            return error

    def _found(
        self,
        model: type[Model],
        states: Sequence[tuple[Event, State, str]],
        live: Mapping[str, Live],
    ) -> list[Found]:
        images = list({state.image for _, state, _ in states if state.image})
        held = read_images(self.vendor, model, images, self.limit) if images else {}
        table = log_name(model._meta.db_table)

        def read(state: State, key: str) -> _Read:
            if state.image:
                return held.get(state.image)
            return live[key].row if state.live and key in live else None

        return [
            Found(
                self._of_then(model, read(state, key), state, moment),
                state.doubts(f"{table} {key}"),
                state.image,
                state.gone,
            )
            for moment, state, key in states
        ]

    def _of_then(self, model: type[Model], row: _Read, state: State, moment: Event) -> _Read:
        """Without the columns that came after the moment."""
        not_yet = self.columns.not_yet(model, moment) if state.later else ()
        return row.without(model, not_yet) if not_yet and isinstance(row, Row) else row

    def states(self, table: str, wanted: Sequence[tuple[Event, str]]) -> list[State]:
        """Where the states of these rows of one table are found, each as of its event."""
        around = self._around(table, wanted)
        headers = self._headers({pk for ids in around for pk in ids if pk is not None})
        return [
            self._state(table, event, Around(*(headers.get(pk) for pk in ids)))
            for (event, _), ids in zip(wanted, around, strict=True)
        ]

    def _around(
        self, table: str, wanted: Sequence[tuple[Event, str]]
    ) -> list[tuple[int | None, ...]]:
        """See :meth:`Vendor.around`; by all names that the table has had."""
        names = self.renames.lineage(table).names
        by_name = [self.vendor.around(name, wanted) for name in names]
        if len(by_name) == 1:
            return by_name[0]
        return [_nearest(found) for found in zip(*by_name, strict=True)]

    def _headers(self, ids: Iterable[int]) -> dict[int | None, Header]:
        log = AuditLog.objects.using(self.vendor.using)
        found: dict[int | None, Header] = {}
        remaining = iter(ids)
        while chunk := list(islice(remaining, CHUNK)):
            for values in log.filter(pk__in=chunk).values_list(*Header._fields):
                found[values[0]] = Header(*values)
        return found

    def _state(self, table: str, moment: Event, around: Around) -> State:
        before = moment.action == AuditLog.Action.DELETE
        if not before and (later := self._same_statement(table, moment, around)):
            return later
        last = around.last
        doubt = self._doubt_of_order(table, moment, around, before)
        if around.last_taking and _after(around.last_taking, last):
            return State(doubt=doubt or self._gap(table, moment, around.last_taking.id))
        emptied = self._emptied(table, moment, last)
        if last is None:
            return self._before_the_log(table, moment, around, emptied, doubt)
        doubt = doubt or self._gap(table, moment, last.id)
        gone = emptied or last.action == AuditLog.Action.DELETE
        return State(image=self._image(table, last), gone=gone, doubt=doubt)

    def _same_statement(self, table: str, moment: Event, around: Around) -> State | None:
        """The whole statement counts, also what it did after the event."""
        doubt = "" if self.vendor.knows_statements else BESIDE
        if self.renames.table(moment.table_name, moment.occurred_at) != table:
            return None
        together = [
            header if header and header.same_statement(moment) else None for header in around
        ]
        given = around.next if together[NEXT] else around.last if together[LAST] else None
        if together[NEXT] or together[NEXT_TAKING]:
            # A key that it takes from one row and gives to another has the other.
            return State(image=self._image(table, given) if given else None, doubt=doubt)
        return None

    def _image(self, table: str, header: Header, *, before: bool = False) -> Image:
        return self.renames.image(table, header.id, header.occurred_at, before=before)

    def _before_the_log(
        self, table: str, moment: Event, around: Around, emptied: bool, doubt: str
    ) -> State:
        """The moment saw no event of this row: what its first later one found, or today's row."""
        doubt = doubt or self._gap(table, moment, moment.id)
        first, taking = around.first, around.first_taking
        if taking and (first is None or not _after(taking, first)):
            return State(image=self._image(table, taking, before=True), later=True, doubt=doubt)
        if first is None:
            # Today's row, unless its table was emptied: then nothing is known of it.
            unknown = EMPTIED if emptied or self._truncates(table) else ""
            return State(live=True, later=True, doubt=doubt or unknown)
        if first.action == AuditLog.Action.INSERT or first.previous_object_id is not None:
            return State(doubt=doubt)
        return State(image=self._image(table, first, before=True), later=True, doubt=doubt)

    def _gap(self, table: str, moment: Event, since: int) -> str:
        """Why the log may have missed a change after this id; empty if it has not."""
        coverage = self.coverage.get(table)
        if coverage is None:
            return f"{table} is not audited"
        start = coverage.since_event
        if start is None or start >= since or not self._sees(moment, coverage.transaction_id):
            return f"the audit of {table} was interrupted, or began later"
        if coverage.pruned_id >= moment.id or not sees_all(
            moment.snapshot, coverage.pruned_transaction_id
        ):
            return f"older events of {table} were pruned"
        return ""

    def _truncates(self, table: str) -> list[Header]:
        if table not in self._truncations:
            names = self.renames.lineage(table).names
            rows = AuditLog.objects.using(self.vendor.using).filter(
                table_name__in={name.name for name in names},
                object_id=None,
                action=AuditLog.Action.TRUNCATE,
            )
            found = rows.values_list("table_name", *Header._fields)
            self._truncations[table] = [
                header
                for name, header in ((name, Header(*values)) for name, *values in found)
                if self.renames.lineage(table).had(name, header.occurred_at)
            ]
        return self._truncations[table]

    def _emptied(self, table: str, moment: Event, last: Header | None) -> bool:
        """Has a TRUNCATE that the moment saw ended the row since its last event?"""
        since = last.id if last else 0
        return any(t.id > since and self._saw(moment, t) for t in self._truncates(table))

    def _doubt_of_order(self, table: str, moment: Event, around: Around, before: bool) -> str:
        """One message may hold one statement, whose changes are one, or several.

        After a change, what came earlier in the message was seen in either case, and what came
        later is the doubt. Before a delete it is the other way round.
        """
        others = around[LAST : LAST_TAKING + 1] if before else around[NEXT : NEXT_TAKING + 1]
        if any(other and other.same_message(moment) for other in others):
            return UNCLEAR
        if self.vendor.knows_statements:
            return ""
        # SQLite cannot tell one statement from another one in the same millisecond.
        same_time = any(other and other.occurred_at == moment.occurred_at for other in others)
        named = self.renames.table(moment.table_name, moment.occurred_at)
        near = table == named or self.statement_reaches_beyond
        return BESIDE if same_time and near else ""

    @cached_property
    def statement_reaches_beyond(self) -> bool:
        return self.vendor.statement_reaches_beyond()

    def overtaken(self, moments: Sequence[Event]) -> set[int]:
        """Deletes that waited for a change of their row by somebody else, which they then saw."""
        deletes = [event for event in moments if event.action == AuditLog.Action.DELETE]
        return self.vendor.overtaken(deletes) if deletes else set()

    def _sees(self, moment: Event, transaction_id: int | None) -> bool:
        """Does the moment see what the transaction wrote, maybe in another cluster before it?"""
        if sees(moment.snapshot, transaction_id):
            return True
        ours, theirs, newest = moment.transaction_id, transaction_id, self._newest
        return None not in (ours, theirs, newest) and ours < newest <= theirs  # type: ignore[operator]

    def _saw(self, moment: Event, other: Header) -> bool:
        if other.id > moment.id:
            return False
        return (
            other.transaction_id == moment.transaction_id
            or self._sees(moment, other.transaction_id)
            or self.vendor.restored({other.id, moment.id}) == {other.id}
        )


def _nearest(by_name: Iterable[Sequence[int | None]]) -> tuple[int | None, ...]:
    """The events around a moment, out of those under several names."""
    latest, earliest = max, min
    picks = (latest, latest, earliest, earliest, earliest, earliest)
    places = zip(*by_name, strict=True)
    return tuple(
        pick((pk for pk in ids if pk is not None), default=None)
        for pick, ids in zip(picks, places, strict=True)
    )


def _has(row: Row | Exception | None, field: Field[Any, Any], value: Any) -> bool:
    return isinstance(row, Row) and row.values.get(field.attname) == value


BESIDE = "rows of the same table changed at the same time"
OVERTAKEN = "somebody else changed it while its deletion waited"
UNCLEAR = "several changes came in one message: their order is not known"
EMPTIED = "its table was emptied later"


def _after(one: Header, other: Header | None) -> bool:
    """Did a later statement make the one? Where keys are swapped, a single one gives and takes."""
    if other is None:
        return True
    together = one.occurred_at == other.occurred_at and one.transaction_id == other.transaction_id
    return one.id > other.id and not together
