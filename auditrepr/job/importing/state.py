"""What was imported, and what is left of an import, for monitoring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ...models import BackfillRun, Import, PlannedEvent
from ..locks.process import Process

#: Number of finished imports to show.
LATEST = 5


@dataclass(frozen=True)
class ImportState:
    """An import: finished, under way, or interrupted."""

    sources: tuple[str, ...]
    until: datetime
    events: int  # that were imported
    left: int
    started_at: datetime
    finished_at: datetime | None
    worker: Process | None  # who imports now, if it is known

    @property
    def planned(self) -> int:
        """Return how many events there are in all."""
        return self.events + self.left

    @property
    def command(self) -> str:
        """Return what continues it."""
        return f"manage.py import_audit_log {' '.join(self.sources)}"


def of(using: str, holders: Iterable[Process]) -> tuple[ImportState, ...]:
    """Return the import that is unfinished, and the latest ones that are finished.

    :param holders: those that hold the lock of the database.
    """
    imports = Import.objects.using(using).order_by("-pk")
    unfinished = [_unfinished(one, holders) for one in imports.filter(finished_at=None)]
    finished = imports.exclude(finished_at=None)[:LATEST]
    return (*unfinished, *(_state(one, 0, None) for one in finished))


def _unfinished(one: Import, holders: Iterable[Process]) -> ImportState:
    # Batches take planned events from the end: what is left reaches from the first to the highest.
    planned = PlannedEvent.objects.using(one._state.db).order_by("-pk")
    highest = planned.values_list("pk", flat=True).first()
    left = 0 if highest is None else highest + 1 - one.first_id
    # A process that holds the lock without a run of the job is an import: other commands are short.
    running = BackfillRun.objects.using(one._state.db).filter(ended_at=None)
    workers = [
        holder
        for holder in holders
        if not running.filter(host=holder.host, pid=holder.pid).exists()
    ]
    return _state(one, left, workers[0] if workers else None)


def _state(one: Import, left: int, worker: Process | None) -> ImportState:
    return ImportState(
        sources=tuple(one.sources),
        until=one.until,
        events=one.last_id + 1 - one.first_id - left,
        left=left,
        started_at=one.started_at,
        finished_at=one.finished_at,
        worker=worker,
    )
