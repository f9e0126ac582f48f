"""The record of a run: what it has done so far, that it still works, and how it ended."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from django.db import Error, transaction
from django.db.models import F, QuerySet, Subquery
from django.utils import timezone

from ...conf import get_settings
from ...models import BackfillRun, StopReason
from ...vendors import get_vendor
from ..locks.process import Process
from . import failed_run

if TYPE_CHECKING:
    from .result import Result

#: The fields that a run updates in its record when it ends.
REMEMBERED = ("ended_at", "rows", "failures", "batches", "stop_reason", "error", "building")
#: Seconds between two signs of life of a run that stores no batch.
SIGN = 20.0


class Record:
    """The record of one run; a run with nothing to do is counted on that of an earlier one."""

    def __init__(self, using: str, command: str) -> None:
        self.using = using
        self._clock = get_vendor(using).clock
        self._seen = 0.0
        self._run = BackfillRun(
            command=command,
            started_at=timezone.now(),
            host=socket.gethostname(),
            pid=os.getpid(),
            holder=asdict(Process.current()),
        )

    @property
    def pk(self) -> int | None:
        """Return its key once the run has begun."""
        return self._run.pk

    def begin(self, building: int = 0) -> None:
        """Record the run, and the size of its first batch."""
        self._run.building = building
        self._run.seen_at = self._clock()
        self._run.save(using=self.using)
        self._seen = time.monotonic()

    def note(self, **progress: int) -> None:
        """Note what the run has done so far, and that it works: it may be killed at any time."""
        if self.pk is not None:
            # Only RUNS_KEPT runs are kept: this record may be gone.
            records = BackfillRun.objects.using(self.using).filter(pk=self.pk)
            records.update(**progress, seen_at=self._clock())
            self._seen = time.monotonic()

    def show_life(self) -> None:
        """Note now and then that the run works, also where it stores no batch."""
        if self.pk is not None and time.monotonic() - self._seen > SIGN:
            with suppress(Error), transaction.atomic(self.using):
                self.note()

    def end(self, result: Result) -> None:
        """Record how the run ended."""
        if self.pk is None and result.idle and not result.error:
            locked = result.stop_reason is StopReason.LOCKED
            self.count_skipped() if locked else self._count_idle(result.stop_reason)
            return
        run = self._run
        run.ended_at = timezone.now()
        run.rows, run.failures = result.rows, result.failures
        run.batches, run.stop_reason = result.batches, result.stop_reason
        run.error = result.error
        run.building = 0
        # Runs that were skipped in the meantime have counted themselves on this row.
        run.save(using=self.using, update_fields=REMEMBERED if run.pk else None)
        _prune(self.using)

    def count_skipped(self) -> None:
        """Count the run on the latest one: usually the one that holds the lock."""
        runs = BackfillRun.objects.using(self.using)
        latest = Subquery(runs.order_by("-pk").values("pk")[:1])
        self._count("skipped_runs", runs.filter(pk=latest), StopReason.LOCKED)

    def _count_idle(self, reason: StopReason) -> None:
        """Count the run on the last one if that ended well; else its record says that all is."""
        before = failed_run.ended_well(self.using, self._run.command)
        self._count("idle_runs", before, reason)

    def _count(self, counter: str, on: QuerySet[BackfillRun], reason: StopReason) -> None:
        if not on.update(**{counter: F(counter) + 1}):
            self._run.ended_at, self._run.stop_reason = timezone.now(), reason
            setattr(self._run, counter, 1)
            self._run.save(using=self.using)
            _prune(self.using)


def _prune(using: str) -> None:
    runs = BackfillRun.objects.using(using)
    kept = get_settings().RUNS_KEPT
    oldest = runs.order_by("-pk").values_list("pk", flat=True)[kept - 1 : kept].first()
    if oldest is not None:
        runs.filter(pk__lt=oldest).delete()
