"""The partitions that runs have seen: one that is gone has taken its rows along.

Coverage knows the partitions that were there when the triggers were last installed or checked. The
job changes no coverage: what it has seen since is kept separately, until coverage restarts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..models import Checkpoint, Coverage

if TYPE_CHECKING:
    from ..vendors.capture_types import Installed
    from .state import State

#: Of each table: the start of its coverage, and the links of its partitions by their keys.
Sightings = dict[str, Mapping[str, Any]]


def of(states: Iterable[State], known: Mapping[str, Coverage]) -> Sightings:
    """Return the partitions of these tables, as far as there is coverage of them."""
    return {
        state.name: {
            "since": _start(known[state.name]),
            "links": {key: one.link for key, one in state.installed.partitions.items()},
        }
        for state in states
        if state.installed and state.installed.partitions and state.name in known
    }


def lost(installed: Installed, row: Coverage) -> bool:
    """Return whether a partition is gone, or was attached again, that a run has seen since."""
    sighted = getattr(row, "sighted", None) or {}  # which `coverage.rows` reads along
    if sighted.get("since") != _start(row):
        return False  # coverage has restarted since
    there = installed.partitions
    return any(
        key not in there or there[key].link != link for key, link in sighted["links"].items()
    )


def note(using: str, seen: Sightings) -> None:
    """Record what a run has seen, in addition to what others have."""
    marks = Checkpoint.objects.using(using).only("partitions").select_for_update()
    mark = marks.filter(pk=1).first()
    if mark is None:
        return
    known = mark.partitions or {}
    noted = known | {name: _together(known.get(name), entry) for name, entry in seen.items()}
    if noted != known:
        marks.filter(pk=1).update(partitions=noted)


def _together(known: Mapping[str, Any] | None, seen: Mapping[str, Any]) -> Mapping[str, Any]:
    if known is None or known["since"] != seen["since"]:
        return seen
    # One that was attached again stays as it was first seen: its rows have left in between.
    return {**seen, "links": {**seen["links"], **known["links"]}}


def _start(row: Coverage) -> list[int | None]:
    return [row.since_event, row.transaction_id]
