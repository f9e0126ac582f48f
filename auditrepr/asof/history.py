"""Rows of any audited table as of a moment: finds where each state is, and reads it there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from django.db import Error
from django.db.models import Field, Model, QuerySet

from ..lineage import Renames
from ..tracking import tracked_tables
from ..utils.model_meta import can_hold, compares_loosely, concrete
from ..utils.table_names import log_name
from ..utils.time_limit import TimeLimit
from ..vendors import Vendor
from ..vendors.types import NOTHING_SEEN, Found, Moment, Row
from .columns import Columns
from .matches import Matches
from .placeholders import UNKNOWN, unknown
from .rows import LiveRow, read_images, read_live
from .shared_keys import SharedKeys
from .states import EMPTIED, States, StateSource

#: Tables whose current rows are valid for any moment: a content type stands for its natural key.
TIMELESS = frozenset({"django_content_type"})

TYPE_GONE = "its content type no longer exists"

LOOSE = "{} has its own rules for comparing text"

#: How many later events of a table are read to find the rows that had a value before.
SCAN = 100_000

#: Unpacked size of the rows of a batch, in bytes; in Python, they take several times as much.
MOST_BYTES = 16_000_000

_Read = Row | Exception | None


class History:
    """The past of rows, for one batch, from one view of the database.

    :param too_much: called before rows are read that are too large together; it raises. With None,
        such rows are read.
    """

    def __init__(
        self, vendor: Vendor, limit: TimeLimit, too_much: Callable[[], None] | None = None
    ) -> None:
        self.vendor = vendor
        self.limit = limit
        self.too_much = too_much
        self.states = States(vendor)

    @cached_property
    def shared_keys(self) -> SharedKeys:
        return SharedKeys(self.states)

    @cached_property
    def columns(self) -> Columns:
        return Columns(self.states.completeness.coverage, self.states.visibility.sees)

    @property
    def renames(self) -> Renames:
        return self.states.renames

    @cached_property
    def excluded(self) -> dict[str, frozenset[str]]:
        return {table.name: table.excluded for table in tracked_tables(self.vendor.using)}

    def rows(self, model: type[Model], wanted: Sequence[tuple[Moment, Any]]) -> list[Found]:
        """Return the rows of the model's own table with these primary keys, as of each moment."""
        model = concrete(model)
        table = log_name(model._meta.db_table)
        texts = self.vendor.key_texts(model._meta.pk, [key for _, key in wanted])
        if table in TIMELESS:
            states = [StateSource(live=True)] * len(wanted)
        else:
            pairs = zip((moment for moment, _ in wanted), texts, strict=True)
            states = self._states(model, table, list(pairs), referred=True)
        now = {key for state, (_, key) in zip(states, wanted, strict=True) if state.live}
        live = self._live(model, model._meta.pk, now)
        if isinstance(live, Error):
            live = dict.fromkeys(texts, LiveRow(None, live))
        moments = [moment for moment, _ in wanted]
        if table in TIMELESS:
            states = [
                StateSource(live=True, doubt="" if key in live else TYPE_GONE) for key in texts
            ]
        found = self._found(model, list(zip(moments, states, texts, strict=True)), live)
        doubts = self._doubts_of_text(model, model._meta.pk)
        return [one._replace(doubts=one.doubts + doubts) for one in found] if doubts else found

    def _states(
        self,
        model: type[Model],
        table: str,
        wanted: Sequence[tuple[Moment, str]],
        *,
        referred: bool = False,
    ) -> list[StateSource]:
        states = self.states.find(table, wanted, referred=referred)
        if not wanted or table not in self.states.completeness.keyless:
            return states
        return self.shared_keys.checked(model, table, wanted, states)

    def matching(
        self, model: type[Model], field: Any, wanted: Sequence[tuple[Moment, Any]]
    ) -> list[Matches]:
        """Return all rows of the model's own table whose field had the value, as of each moment.

        A row that had the value at the moment either has it now, or an event after the moment
        changed it. Candidates come from both, and each is checked as of the moment.
        """
        model = concrete(model)
        table = log_name(model._meta.db_table)
        if field.column in self.excluded.get(table, ()):
            return [Matches([], (UNKNOWN.format(field.column),)) for _ in wanted]
        values = {value for _, value in wanted if can_hold(field, value, self.vendor.connection)}
        texts = dict(zip(values, self.vendor.key_texts(field, list(values)), strict=True))
        live = self._live(model, field, values)
        if isinstance(live, Error):
            return [Matches([Found(live)]) for _ in wanted]
        moments = [moment for moment, _ in wanted]
        candidates, complete = self._candidates(table, field.column, texts, live, moments)
        pairs = [
            (n, moment, key)
            for n, (moment, value) in enumerate(wanted)
            for key in sorted(candidates[texts[value]] if value in texts else ())
        ]
        states = self._states(model, table, [(moment, key) for _, moment, key in pairs])
        looked_at = [
            (then, state, key) for (_, then, key), state in zip(pairs, states, strict=True)
        ]
        found = self._found(model, looked_at, live)
        column = field.column
        doubts = self._doubts_of_text(model, field)
        had: list[list[Found]] = [[] for _ in wanted]
        why = [[*doubts, *self._incomplete(model, column, then, complete)] for then in moments]
        for (n, _, _), state, one in zip(pairs, states, found, strict=True):
            if not state.gone and _may_have(one.row, field, wanted[n][1]):
                had[n].append(one)
            elif isinstance(one.row, Row) and field.column in one.row.missing:
                why[n].append(unknown(field.column, one.row.missing[field.column]))
            else:
                why[n].extend(one.doubts if state.doubt else ())
        return [Matches(found, tuple(doubts)) for found, doubts in zip(had, why, strict=True)]

    def _doubts_of_text(self, model: type[Model], field: Any) -> tuple[str, ...]:
        """Return why rows may be missing if different texts are equal to the database.

        The log finds rows by the text of a value only.
        """
        if not compares_loosely(field, self.vendor.connection):
            return ()
        return (LOOSE.format(f"{log_name(model._meta.db_table)}.{field.column}"),)

    def _candidates(
        self,
        table: str,
        column: str,
        texts: Mapping[Any, str],
        live: Mapping[str, LiveRow],
        moments: Sequence[Moment],
    ) -> tuple[Mapping[str, set[str]], bool]:
        """Return the keys of the rows that may have had each value, and whether these are all.

        The keys are listed by the text of the value.
        """
        candidates: dict[str, set[str]] = defaultdict(set)
        for key, today in live.items():
            if today.value in texts:  # a value that is equal only to the database is none of these
                candidates[texts[today.value]].add(key)
        known = list(texts.values())
        mentions, complete = self._mentions(table, column, known, moments)
        if any(map(partial(self.states.emptied_after, table), moments)):
            # A TRUNCATE removes rows without an event of their own: search all of the table's.
            more, all_read = self._mentions(table, column, known, [NOTHING_SEEN])
            mentions, complete = mentions | more, complete and all_read
        for text, key in mentions:
            candidates[text].add(key)
        return candidates, complete

    def _mentions(
        self, table: str, column: str, texts: Sequence[str], moments: Sequence[Moment]
    ) -> tuple[set[tuple[str, str]], bool]:
        """Return :meth:`Vendor.mentions` for all names that the table and the column have had."""
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
        self, model: type[Model], column: str, moment: Moment, complete: bool
    ) -> list[str]:
        """Return why rows that match by this column may be missing."""
        table = log_name(model._meta.db_table)
        came_later = column in self.columns.not_yet(model, moment)
        reasons = (
            self.states.completeness.gap(table, moment, moment.upto),
            EMPTIED if self.states.lost(table, moment) else "",
            UNKNOWN.format(column) if came_later else "",
            "" if complete else f"{table} has too many later changes to search",
        )
        return [reason for reason in reasons if reason]

    def _live(
        self, model: type[Model], field: Field[Any, Any], values: Collection[Any]
    ) -> dict[str, LiveRow] | Error:
        """Return the current rows, see :func:`read_live`, or the error of reading the table.

        :raises django.db.Error: if the error is transient.
        """
        if not values:
            return {}
        excluded = self.excluded.get(log_name(model._meta.db_table), frozenset())
        try:
            return read_live(
                self.vendor, model, field, values, excluded, self.limit, self._live_fit
            )
        except Error as error:
            if self.limit.ends_work(error) or self.vendor.passes(error):
                raise
            return error

    def _found(
        self,
        model: type[Model],
        states: Sequence[tuple[Moment, StateSource, str]],
        live: Mapping[str, LiveRow],
    ) -> list[Found]:
        images = list({state.image for _, state, _ in states if state.image})
        self._fit({image.event_id for image in images})
        held = read_images(self.vendor, model, images, self.limit) if images else {}
        table = log_name(model._meta.db_table)

        def read(state: StateSource, key: str) -> _Read:
            if state.image:
                return held.get(state.image)
            return live[key].row if state.live and key in live else None

        return [
            Found(
                self._of_then(model, read(state, key), state, moment),
                (state.doubt,) if state.doubt else (),
                state.image,
                f"{table} {key} had been deleted" if state.gone else "",
                inserted=state.inserted,
            )
            for moment, state, key in states
        ]

    def _fit(self, ids: Collection[int]) -> None:
        if not self.too_much or len(ids) < 2:
            return
        if self.vendor.fitting(sorted(ids), MOST_BYTES, {}) < len(ids):
            self.too_much()

    def _live_fit(self, rows: QuerySet[Any], fields: Sequence[Field[Any, Any]]) -> None:
        if self.too_much and fields and self.vendor.live_weight(rows, fields) > MOST_BYTES:
            self.too_much()

    def _of_then(self, model: type[Model], row: _Read, state: StateSource, moment: Moment) -> _Read:
        """Return the row without the columns that were added after the moment."""
        not_yet = self.columns.not_yet(model, moment) if state.later else ()
        return row.without(model, not_yet) if not_yet and isinstance(row, Row) else row


def _may_have(row: Row | Exception | None, field: Field[Any, Any], value: Any) -> bool:
    """Return whether the row has the value, or cannot be read and so might have it."""
    if isinstance(row, Row):
        return bool(row.values.get(field.attname) == value)
    return row is not None
