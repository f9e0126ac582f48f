"""What a rebuild would change now; nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...conf import Asked, get_settings
from ...reprs import Outcome, build
from ...utils.time_limit import JobTimeLimit
from ...vendors import get_vendor
from ...vendors.types import Event
from .. import preflight
from ..runs.limits import BatchSize
from ..windows import start_of
from .selection import Selection, StoredBatch, take, values_of


class Change(NamedTuple):
    """An event whose rebuilt representation differs from the stored one, or failed."""

    event: Event
    stored: tuple[str, str, str] | None  # none: the event is final
    outcome: Outcome


@dataclass(frozen=True)
class RebuildPreview:
    """What a run would change in its first batch."""

    looked_at: int
    changes: list[Change]


def preview(using: str, selection: Selection, *, batch_size: Asked | None = None) -> RebuildPreview:
    """Return what a run would change in its first batch, without writing."""
    preflight.check(using)
    top = get_vendor(using).reach().visible
    size = BatchSize(batch_size or get_settings().BATCH_SIZE).rows
    held = StoredBatch([], {}, start_of(using, top))
    while held.reaches < top and not held.events:
        held = take(using, selection, held.reaches, top, size)
    limit = JobTimeLimit.from_settings()
    outcomes = build(held.events, using, limit=limit) if held.events else []
    found = [
        Change(event, held.stored.get(event.id), outcome)
        for event, outcome in zip(held.events, outcomes, strict=True)
    ]
    return RebuildPreview(len(found), [change for change in found if _is_one(change)])


def _is_one(change: Change) -> bool:
    """Return whether anything would change; a final event that still fails stays one."""
    if change.stored is None:
        return change.outcome.failure is None
    return values_of(change.outcome) != change.stored
