"""Finds the gaps in coverage: tables of which changes are missing from the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from ...capture import coverage
from ...capture.state import State
from ...models import Coverage
from ...vendors import get_vendor


def of(states: Iterable[State], known: Mapping[str, Coverage]) -> Iterator[Coverage]:
    """Yield the gap of each table that has one.

    :param known: the coverage of each table, by name.
    """
    by_name = {state.name: state for state in states}
    for name in sorted(known.keys() | by_name.keys()):
        if found := of_table(known.get(name), by_name.get(name)):
            yield found


def of_table(row: Coverage | None, state: State | None = None) -> Coverage | None:
    """Return the row of a table's coverage if changes to the table are missing from the log.

    :param state: the table's state now; a gap that is not in `row` yet counts, too.
    """
    reason = coverage.restart(state, row) if state and state.capture else None
    if state and reason:
        lost = reason if state.captured else coverage.lost(state)
        return Coverage(table_name=state.name, since_event=None, reason=lost)
    is_gap = row and (row.since_event is None or row.reason != Coverage.Reason.INSTALLED)
    return row if is_gap else None


def recently_recorded(using: str, window: timedelta) -> set[str]:
    """Return the tables whose coverage started or ended within this time."""
    rows = Coverage.objects.using(using).filter(
        recorded_at__gt=get_vendor(using).clock(-window.total_seconds())
    )
    return set(rows.values_list("table_name", flat=True))
