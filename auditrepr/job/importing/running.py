"""Plans an import, then moves events into the log, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Max, Min
from django.utils import timezone

from ...exceptions import (
    ImportUnfinished,
    SourceChanged,
)
from ...models import Checkpoint, Import, PlannedEvent
from ...utils.phrases import counted
from ...vendors import get_vendor
from ...vendors.import_types import Planned
from ...vendors.types import BEGINNING
from .. import preflight
from ..locks.base import Lock
from ..runs.result import Progress
from . import chosen, refusals
from .chosen import Chosen, Request

BATCH_SIZE = 10_000


@dataclass
class Imported:
    """What was imported."""

    events: int = 0
    left: int = 0
    first_id: int | None = None
    later: int = 0  # events that were left out, because they are not from before its end
    missed: int = 0  # those of them that the log has not recorded either


def run(
    request: Request,
    *,
    lock: Lock,
    batch_size: int = BATCH_SIZE,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Imported:
    """Import the events of the sources, or continue the import of them that is unfinished.

    Each batch is a short transaction of its own: what was imported before an error stays.

    :param lock: the job's lock: a run moves the watermark, below which events come.
    :param stop: called after each batch; true ends the work.
    :raises AuditReprError: if the import is refused: see :mod:`.refusals`.
    """
    using = request.using
    preflight.check(using)
    with alone(using, lock):
        planned, left_out = continued(request), Imported()
        if planned is None:
            planned, left_out = _planned(request, lock)
        if planned is None:
            return left_out
        parts = chosen.planned(request, planned)
        _unsettle(using, lock)
        done = _Importing(using, planned, parts, lock).work(batch_size, on_progress, stop)
    return replace(done, later=left_out.later, missed=left_out.missed)


def unfinished(using: str) -> Import | None:
    """Return the import that is not finished, if there is one."""
    return Import.objects.using(using).filter(finished_at=None).first()


def continued(request: Request) -> Import | None:
    """Return the unfinished import that the request continues; None if there is none.

    :raises ImportUnfinished: if another one is unfinished than the one that is asked for.
    """
    found = unfinished(request.using)
    if found is None:
        return None
    same = list(found.sources) == list(request.sources) and not request.models
    if not same or request.until not in (None, found.until):
        raise ImportUnfinished(
            sources=found.named,
            left=counted(left(found), "event"),
            command=" ".join(found.sources),
        )
    return found


def left(found: Import) -> int:
    """Return how many events an import has not imported yet."""
    return PlannedEvent.objects.using(found._state.db).count()


def plan(
    request: Request,
    parts: Sequence[Chosen],
    until: datetime,
    lock: Lock | None = None,
    most: int | None = None,
) -> Import | None:
    """Plan these events, and return the import; None if there are none.

    :param most: plan only this many of the latest events of each table.
    """
    using = request.using
    last = chosen.last_id(using)
    made = Import(
        sources=list(request.sources),
        parts=[part.key for part in parts],
        until=until,
        first_id=last + 1,
        last_id=last,
    )
    with transaction.atomic(using):
        made.save(using=using)
        events = get_vendor(using).plan_import([part.selection for part in parts], last, most)
        made.first_id = last + 1 - events
        made.save(using=using)
        if lock:
            lock.renew()
        transaction.set_rollback(not events, using)
    return made if events else None


def import_range(using: str, parts: Sequence[Chosen], after: int, upto: int) -> int:
    """Import the planned events with IDs in ``(after, upto]``, and return how many.

    :raises SourceChanged: if a source no longer has one of them.
    :raises SourceUnreadable: if one of them cannot be read.
    """
    count = 0
    rows = PlannedEvent.objects.using(using).filter(pk__gt=after, pk__lte=upto)
    ranges = rows.values_list("part").annotate(Min("position"), Max("position"), Count("pk"))
    for part, lowest, highest, planned in ranges.order_by("part"):
        source, _, selection = parts[part]
        batch = Planned(part, after, upto, lowest, highest)
        with chosen.reading([source.name]):
            found = get_vendor(using).import_events(selection, source.name, batch)
        if found != planned:
            raise SourceChanged(source=source.name, missing=counted(planned - found, "event"))
        count += found
    return count


class _Importing:
    """An import that is planned."""

    def __init__(self, using: str, planned: Import, parts: Sequence[Chosen], lock: Lock) -> None:
        self.using = using
        self.planned = planned
        self.parts = parts
        self.lock = lock

    def work(
        self, size: int, on_progress: Callable[[Progress], None], stop: Callable[[], bool]
    ) -> Imported:
        done = Imported(first_id=self.planned.last_id + 1)
        total = self.planned.last_id + 1 - self.planned.first_id
        while (upto := self._left()) is not None and not (done.events and stop()):
            after = max(upto - size, self.planned.first_id - 1)
            done.events += self._batch(after, upto)
            done.first_id, done.left = after + 1, after + 1 - self.planned.first_id
            on_progress(Progress(total - done.left, total, done.events, 0))
        if not done.left:
            finish(self.planned)
        return done

    def _left(self) -> int | None:
        """Return the highest ID that is left."""
        rows = PlannedEvent.objects.using(self.using)
        return rows.order_by("-pk").values_list("pk", flat=True).first()

    def _batch(self, after: int, upto: int) -> int:
        with get_vendor(self.using).pinned():
            # Written first: SQLite cannot upgrade a read transaction while others write.
            Import.objects.using(self.using).filter(pk=self.planned.pk).update(finished_at=None)
            count = import_range(self.using, self.parts, after, upto)
            rows = PlannedEvent.objects.using(self.using).filter(pk__gt=after, pk__lte=upto)
            rows._raw_delete(self.using)
            self.lock.renew()
        return count


@contextmanager
def alone(using: str, lock: Lock) -> Iterator[None]:
    """Hold the lock during the block, in which no other process works on the log.

    :raises LockHeld: if another process holds it.
    :raises RoundUnfinished: if workers share the backlog.
    """
    with lock.held():
        for refusal in refusals.of_others(using):
            raise refusal
        yield


def _planned(request: Request, lock: Lock) -> tuple[Import | None, Imported]:
    """Plan the import; return it, and which events are too late for it.

    None if there is nothing to import.

    :raises AuditReprError: if it is refused.
    """
    using = request.using
    begins = chosen.beginning(using)
    until = request.until or begins
    for refusal in refusals.of_times(request, begins):
        raise refusal
    parts = chosen.choose(request, until)
    with chosen.reading(request.sources):
        for refusal in refusals.of_events(using, parts):
            raise refusal
        found = chosen.tables(using, parts, whole=False)
        for refusal in refusals.of_missed(request, begins, found):
            raise refusal
        planned = plan(request, parts, until, lock)
    tables = [one for of_source in found.values() for one in of_source]
    return planned, Imported(
        later=sum(one.later for one in tables), missed=sum(one.missed for one in tables)
    )


def _unsettle(using: str, lock: Lock) -> None:
    """Move the watermark to before the first event, so that the job finds what is imported."""
    with transaction.atomic(using):
        Checkpoint.objects.using(using).filter(pk=1).update(
            settled_id=BEGINNING, swept_id=BEGINNING
        )
        lock.renew()


def finish(found: Import) -> None:
    """Store that an import has all of its events."""
    found.finished_at = timezone.now()
    found.save(using=found._state.db)
