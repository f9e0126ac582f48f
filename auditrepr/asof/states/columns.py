"""Determines which columns a table had at a moment.

A row without an event up to a moment is read in a later state: the current row, or its next event.
That state includes columns that were added in between, with the values that a migration or another
client wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.db.models import Model

from ...capture.coverage import Arrival, arrivals
from ...models import Coverage
from ...utils.model_meta import own_fields
from ...utils.table_names import log_name
from ...vendors.types import Moment

NONE: frozenset[str] = frozenset()


class Columns:
    """The columns of each table as of a moment, from those that its coverage has recorded."""

    def __init__(
        self, coverage: Mapping[str, Coverage], sees: Callable[[Moment, int | None], bool]
    ) -> None:
        self._coverage = coverage
        self._sees = sees
        self._late: dict[type[Model], dict[str, Arrival | None]] = {}

    def not_yet(self, model: type[Model], moment: Moment) -> frozenset[str]:
        """Return the columns that may have been added to the model's own table since the moment."""
        late = self._late_ones(model)
        if not late:
            return NONE
        return frozenset(
            column for column, arrival in late.items() if not self._was_there(arrival, moment)
        )

    def _late_ones(self, model: type[Model]) -> dict[str, Arrival | None]:
        """Return the columns that were added after coverage started; None: not seen so far."""
        if model not in self._late:
            row = self._coverage.get(log_name(model._meta.db_table))
            self._late[model] = _late_ones(model, row) if row else {}
        return self._late[model]

    def _was_there(self, arrival: Arrival | None, moment: Moment) -> bool:
        return (
            arrival is not None
            and arrival.event < moment.upto
            and self._sees(moment, arrival.transaction_id)
        )


def _late_ones(model: type[Model], row: Coverage) -> dict[str, Arrival | None]:
    came = arrivals(row)
    # Not the key, because rows are found by it.
    columns = [field.column for field in own_fields(model) if not field.primary_key]
    return {c: came.get(c) for c in columns if c in came or c not in row.columns}
