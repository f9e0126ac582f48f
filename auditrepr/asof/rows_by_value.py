"""Rows of any audited table that had a value in a field, each as of a moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import Error
from django.db.models import Field, Model

from ..utils.model_meta import can_hold, concrete
from ..utils.table_names import log_name
from ..vendors.types import NOTHING_SEEN, Found, Moment, Row
from .conversion import READ_WITH_QUERIES
from .history import History
from .matches import Matches
from .placeholders import UNKNOWN, unknown
from .rows import LiveRow
from .states.states import StateSource
from .states.truncations import EMPTIED

#: How many later events of a table are read to find the rows that had a value before.
SCAN = 100_000


class RowsByValue:
    """Finds rows by a value: those that may have had it, and which of them did.

    :param history: knows each of them as of its moment.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.vendor = history.vendor

    def find(
        self, model: type[Model], field: Any, wanted: Sequence[tuple[Moment, Any]]
    ) -> list[Matches]:
        """Return all rows of the model's own table whose field had the value, as of each moment.

        A row that had the value at the moment either has it now, or an event after the moment
        changed it. Candidates come from both, and each is checked as of the moment.
        """
        model = concrete(model)
        table = log_name(model._meta.db_table)
        if field.column in self.history.excluded.get(table, ()):
            return [Matches([], (UNKNOWN.format(field.column),)) for _ in wanted]
        values = {value for _, value in wanted if can_hold(field, value, self.vendor.connection)}
        texts = dict(zip(values, self.vendor.key_texts(field, list(values)), strict=True))
        live = self.history.live(model, field, values)
        if isinstance(live, Error):
            return [Matches([Found(live)]) for _ in wanted]
        moments = [moment for moment, _ in wanted]
        candidates, complete = self._candidates(table, field.column, texts, live, moments)
        keys = [sorted(candidates[texts[v]] if v in texts else ()) for _, v in wanted]
        doubts = self.history.doubts_of_text(model, field)
        had: list[list[Found]] = [[] for _ in wanted]
        why = [
            [*doubts, *self._incomplete(model, field.column, moment, complete)]
            for moment in moments
        ]
        for n, state, one in self._as_of(model, moments, keys, live):
            if not state.gone and _may_have(one.row, field, wanted[n][1]):
                had[n].append(one)
            else:
                why[n] += _doubts_of(state, one, field)
        return [Matches(found, tuple(doubts)) for found, doubts in zip(had, why, strict=True)]

    def _as_of(
        self,
        model: type[Model],
        moments: Sequence[Moment],
        keys: Sequence[Iterable[str]],
        live: Mapping[str, LiveRow],
    ) -> list[tuple[int, StateSource, Found]]:
        """Return the rows with the keys of each moment: its number, their states, and the rows."""
        triples = [
            (n, moment, key)
            for n, (moment, some) in enumerate(zip(moments, keys, strict=True))
            for key in some
        ]
        pairs = [(moment, key) for _, moment, key in triples]
        states = self.history.states_of(model, pairs)
        found = self.history.found(
            model,
            [(moment, state, key) for (moment, key), state in zip(pairs, states, strict=True)],
            live,
        )
        numbers = [n for n, _, _ in triples]
        return list(zip(numbers, states, found, strict=True))

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
        if any(map(partial(self.history.states.truncations.came_after, table), moments)):
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
        lineage = self.history.renames.lineage(table)
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
        came_later = column in self.history.columns.not_yet(model, moment)
        reasons = (
            self.history.states.completeness.gap(table, moment, moment.upto),
            EMPTIED if self.history.states.truncations.lost(table, moment) else "",
            UNKNOWN.format(column) if came_later else "",
            "" if complete else f"{table} has too many later changes to search",
        )
        return [reason for reason in reasons if reason]


def _may_have(row: Row | Exception | None, field: Field[Any, Any], value: Any) -> bool:
    """Return whether the row has the value, or cannot be read and so might have it."""
    if isinstance(row, Row):
        return bool(row.values.get(field.attname) == value)
    return row is not None


def _doubts_of(state: StateSource, one: Found, field: Any) -> Sequence[str]:
    """Return why a row that seems not to have had the value may have had it."""
    if isinstance(one.row, Row) and field.column in one.row.missing:
        return [unknown(field.column, one.row.missing[field.column])]
    if isinstance(one.row, Row) and field.attname in one.row.unread:
        return [READ_WITH_QUERIES.format(field.column)]
    return one.doubts if state.doubt else ()
