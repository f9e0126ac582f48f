"""Seals what is settled and not sealed yet, in ranges, each in a short transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Max

from ...capture import attachment
from ...conf import get_settings
from ...models import Checkpoint, Import, SealEntry, StopReason
from ...utils.time_limit import TimeLimit
from ...vendors import get_vendor
from ...vendors.types import BEGINNING
from ..locks.base import Lock
from ..runs.result import Progress
from ..storing.values import Reached
from ..windows import start_of
from . import chain, form
from .regions import Interval, Regions, read

#: Events of a range, at most.
EVENTS = 5_000
#: Ranges that one run of the job seals: many runs seal a log of millions.
RANGES = 60


@dataclass
class Sealed:
    """What was sealed."""

    entries: int = 0
    events: int = 0
    upto_id: int = BEGINNING  # up to which event the log is sealed now


def index(using: str, lock: Lock, reached: Reached) -> StopReason | None:
    """Seal what is settled, if the setting asks for it, as far as this run goes.

    :param reached: gives the reason to end the run, if there is one.
    :returns: that reason.
    """
    if not get_settings().SEAL or attachment.attached(using):
        return None  # a system check says that it is another tool's
    sealing = _Sealing(using, lock)
    for _ in range(RANGES):
        found = sealing.next()
        if found is None:
            return None
        if reason := reached():
            return reason
        sealing.seal(found)
    return None


def seal(
    using: str,
    lock: Lock,
    on_progress: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> Sealed:
    """Seal all that is settled; the caller holds the lock.

    :param stop: called after each range; true ends the work.
    """
    sealing = _Sealing(using, lock)
    start = start_of(using, sealing.settled, sealing.done.upto_id)
    while found := sealing.next():
        sealing.seal(found)
        reached = max(start, sealing.done.upto_id)
        total = max(sealing.settled, reached) - start
        on_progress(Progress(reached - start, total, sealing.done.events, 0))
        if stop():
            break
    return sealing.done


class _Sealing:
    """The end of the chain, which grows."""

    def __init__(self, using: str, lock: Lock) -> None:
        self.using = using
        self.lock = lock
        self.vendor = get_vendor(using)
        self.done = Sealed(upto_id=chain.sealed_upto(using))
        self.settled = (Checkpoint.of(using, "settled_id") or Checkpoint()).settled_id
        self._last = chain.last(using)
        self._regions = Regions(using)

    def next(self) -> SealEntry | None:
        """Return the next entry, with its events; None if nothing is left to seal."""
        for made, ids in self._regions.pending:
            if made.finished_at is not None:
                return self._entry(SealEntry.Kind.IMPORTED, ids, [ids], made.pk)
        latest = None
        if self._last is None:
            imports = Import.objects.using(self.using)
            if imports.filter(finished_at=None).exists():
                return None  # its events would come into the first range
            latest = imports.aggregate(latest=Max("pk"))["latest"] or 0
        if self.settled <= self.done.upto_id:
            return None
        ids = Interval(self.done.upto_id, self.settled)
        found = self._entry(SealEntry.Kind.SEALED, ids, self._regions.covered(ids), latest)
        return found if found.events else None  # a gap is sealed with what comes after it

    def seal(self, entry: SealEntry) -> None:
        """Add the entry to the chain."""
        with transaction.atomic(self.using):
            chain.append(self.using, entry, self._last)
            self.lock.renew()
        self._last = entry
        self.done.entries += 1
        self.done.events += entry.events
        if entry.kind == SealEntry.Kind.SEALED:
            self.done.upto_id = entry.upto_id
        else:
            self._regions = Regions(self.using)

    def _entry(
        self, kind: SealEntry.Kind, ids: Interval, covered: list[Interval], import_id: int | None
    ) -> SealEntry:
        # They are settled, so what is read now is what the entry will find in the log.
        with self.vendor.reading(TimeLimit(0)):
            rows = read(self.using, covered, EVENTS)
        return SealEntry(
            kind=kind,
            after_id=ids.after,
            upto_id=rows[-1][0] if len(rows) == EVENTS else ids.upto,
            import_id=import_id,
            events=len(rows),
            content=form.content_of(rows),
            marks=form.marks_of(rows),
        )
