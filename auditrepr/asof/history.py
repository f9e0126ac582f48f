"""Rows of any audited table as of a moment: finds where each state is, and reads it there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from django.db import Error
from django.db.models import Field, Model, QuerySet

from ..lineage import Renames
from ..tracking import tracked_tables
from ..utils.model_meta import compares_loosely, concrete
from ..utils.table_names import log_name
from ..utils.time_limit import TimeLimit
from ..vendors import Vendor
from ..vendors.types import Found, Moment, Row
from .conversion import Conversion, Watched, unwatched
from .rows import LiveRow, read_images, read_live
from .states.columns import Columns
from .states.shared_keys import SharedKeys
from .states.states import States, StateSource

#: Tables whose current rows are valid for any moment: a content type stands for its natural key.
TIMELESS = frozenset({"django_content_type"})

TYPE_GONE = "its content type no longer exists"

LOOSE = "{} has its own rules for comparing text"

#: Unpacked size of the rows of a batch, in bytes; in Python, they take several times as much.
MOST_BYTES = 16_000_000

_Read = Row | Exception | None


class History:
    """The past of rows, for one batch, from one view of the database.

    :param too_much: called before rows are read that are too large together; it raises. With None,
        such rows are read.
    :param watched: see :class:`Conversion`.
    """

    def __init__(
        self,
        vendor: Vendor,
        limit: TimeLimit,
        too_much: Callable[[], None] | None = None,
        watched: Callable[[], AbstractContextManager[Watched]] = unwatched,
    ) -> None:
        self.vendor = vendor
        self.limit = limit
        self.conversion = Conversion(vendor, limit, watched)
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
            states = self.states_of(model, list(pairs), referred=True)
        now = {key for state, (_, key) in zip(states, wanted, strict=True) if state.live}
        live = self.live(model, model._meta.pk, now)
        if isinstance(live, Error):
            live = dict.fromkeys(texts, LiveRow(None, live))
        moments = [moment for moment, _ in wanted]
        if table in TIMELESS:
            states = [
                StateSource(live=True, doubt="" if key in live else TYPE_GONE) for key in texts
            ]
        found = self.found(model, list(zip(moments, states, texts, strict=True)), live)
        doubts = self.doubts_of_text(model, model._meta.pk)
        return [one._replace(doubts=one.doubts + doubts) for one in found] if doubts else found

    def states_of(
        self, model: type[Model], wanted: Sequence[tuple[Moment, str]], *, referred: bool = False
    ) -> list[StateSource]:
        """Return the places of the states of rows with these keys, each as of its moment.

        :param referred: whether the rows must have been there, because others refer to them.
        """
        table = log_name(model._meta.db_table)
        states = self.states.find(table, wanted, referred=referred)
        if not wanted or table not in self.states.completeness.keyless:
            return states
        return self.shared_keys.checked(model, table, wanted, states)

    def doubts_of_text(self, model: type[Model], field: Any) -> tuple[str, ...]:
        """Return why rows may be missing if different texts are equal to the database.

        The log finds rows by the text of a value only.
        """
        if not compares_loosely(field, self.vendor.connection):
            return ()
        return (LOOSE.format(f"{log_name(model._meta.db_table)}.{field.column}"),)

    def live(
        self, model: type[Model], field: Field[Any, Any], values: Collection[Any]
    ) -> dict[str, LiveRow] | Error:
        """Return the current rows, see :func:`read_live`, or the error of reading the table.

        :raises django.db.Error: if the error is transient.
        """
        if not values:
            return {}
        excluded = self.excluded.get(log_name(model._meta.db_table), frozenset())
        try:
            return read_live(self.conversion, model, field, values, excluded, self._live_fit)
        except Error as error:
            if self.limit.ends_work(error) or self.vendor.passes(error):
                raise
            return error

    def found(
        self,
        model: type[Model],
        states: Sequence[tuple[Moment, StateSource, str]],
        live: Mapping[str, LiveRow],
    ) -> list[Found]:
        """Return the rows at these places.

        :param live: the current rows, by the text of their key.
        """
        images = list({state.image for _, state, _ in states if state.image})
        self._fit({image.event_id for image in images})
        held = read_images(self.conversion, model, images) if images else {}
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
