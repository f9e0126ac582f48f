"""The progress of the job in one database, and the processes that work: most of its status."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from ...models import BackfillRun, Checkpoint, Erasure, Lease
from ...vendors import get_vendor
from ...vendors.types import BEGINNING
from .. import pending
from ..importing import state as import_state
from ..importing.state import ImportState
from ..locks.lease import DatabaseLock
from ..locks.process import Process
from ..partitions import state as partition_state
from ..partitions.state import PartitionState
from ..pending import Count
from ..retention import overdue
from ..retention.overdue import Overdue
from ..rounds import state as round_state
from ..rounds.state import Held, Round
from ..seals import state as seal_state
from ..seals.state import SealState


@dataclass(frozen=True)
class Watermark:
    """The watermark, and what holds it back."""

    settled_id: int | None = None  # None: no event is settled yet
    held_by: tuple[str, ...] = ()  # transactions that were open at the last check
    held_since: datetime | None = None


@dataclass(frozen=True)
class LockState:
    """The database lock while it is held."""

    token: UUID
    holder: Process | None
    expires_at: datetime
    expired: bool  # by the database's clock, or its holder has ended: the next run takes it over


@dataclass(frozen=True)
class Summary:
    """The progress of the job, and the holder of the lock."""

    at: datetime
    pending: Count
    oldest_at: datetime | None  # when the oldest pending event occurred
    mark: Watermark
    lease: LockState | None
    round: Round | None
    acquired_at: datetime | None  # when a run last acquired the lock, also to find nothing to do
    overdue: tuple[Overdue, ...]  # what RETENTION does not keep, and is still there
    erasing_since: datetime | None = field(default=None, kw_only=True)  # an unfinished erasure
    sealed: SealState | None = field(default=None, kw_only=True)  # None: SEAL is not set
    imports: tuple[ImportState, ...] = field(default=(), kw_only=True)  # the unfinished one first
    partitions: PartitionState | None = field(default=None, kw_only=True)  # None: it has none

    @property
    def at_work(self) -> bool:
        """Return whether a run holds the lock, or workers hold shares."""
        locked = self.lease is not None and not self.lease.expired
        return locked or bool(self.round and self.round.held)

    @property
    def holders(self) -> list[Process]:
        """Return the processes that hold the lock, or shares."""
        return _holders(self.lease, self.round)

    def last_start(self, latest: BackfillRun | None) -> datetime | None:
        """Return when a run last began: one with nothing to do leaves its trace on the lock only.

        :param latest: the latest of those that are recorded.
        """
        times = [latest.started_at] if latest else []
        return max([*times, *([self.acquired_at] if self.acquired_at else [])], default=None)

    @property
    def lag(self) -> float:
        """Return the seconds that the oldest pending event has waited."""
        return _waited(self.oldest_at, self.at)


def of(using: str) -> Summary:
    """Return the progress of the job in this database, without writing."""
    mark = Checkpoint.of(using, "settled_id", "candidate_evidence", "candidate_at") or Checkpoint()
    oldest_at, count = _pending(using, mark)
    lock = _lock(using)
    now = timezone.now()
    held, shared = _held(using, lock), round_state.of(using, now)
    return Summary(
        at=now,
        pending=count,
        oldest_at=oldest_at,
        mark=_watermark(mark),
        lease=held,
        round=shared,
        acquired_at=lock.acquired_at if lock else None,
        overdue=overdue.of(using),
        erasing_since=_erasing_since(using),
        sealed=seal_state.of(using),
        imports=import_state.of(using, _holders(held, None)),
        partitions=partition_state.of(using),
    )


def _erasing_since(using: str) -> datetime | None:
    """Return since when an erasure is unfinished."""
    begun = Erasure.objects.using(using).filter(finished_at=None).order_by("started_at")
    return begun.values_list("started_at", flat=True).first()


def lag(using: str) -> float:
    """Return the seconds that the oldest pending event has waited.

    Unlike the rest of the status, this is known of a log whose migrations are pending, too.
    """
    oldest_at, _ = _pending(using)
    return _waited(oldest_at, timezone.now())


def _pending(using: str, mark: Checkpoint | None = None) -> tuple[datetime | None, Count]:
    oldest, count = pending.preview(using, 1, mark)
    return oldest[0].occurred_at if oldest else None, count


def _waited(oldest_at: datetime | None, now: datetime) -> float:
    return max(0.0, (now - oldest_at).total_seconds()) if oldest_at else 0.0


def lease(using: str) -> LockState | None:
    """Return the holder of the database lock."""
    return _held(using, _lock(using))


def _lock(using: str) -> Lease | None:
    return Lease.objects.using(using).filter(name=DatabaseLock.NAME).first()


def _held(using: str, lock: Lease | None) -> LockState | None:
    if lock is None or lock.token is None or lock.expires_at is None:
        return None
    over = Lease.objects.using(using).filter(pk=lock.pk, expires_at__lte=get_vendor(using).clock())
    holder = Process.of(lock.holder)
    expired = over.exists() or bool(holder and holder.is_dead())
    return LockState(lock.token, holder, lock.expires_at, expired)


def holders(using: str) -> list[Process]:
    """Return the processes that hold the database lock, or shares."""
    return _holders(lease(using), round_state.of(using, timezone.now()))


def _holders(locked: LockState | None, shared: Round | None) -> list[Process]:
    held: list[LockState | Held] = [*(shared.held if shared else ())]
    held += [locked] if locked and not locked.expired else []
    return [one.holder for one in held if one.holder]


def _watermark(mark: Checkpoint) -> Watermark:
    writers = (mark.candidate_evidence or {}).get("transactions", ())
    since = mark.candidate_at if writers else None
    settled = None if mark.settled_id == BEGINNING else mark.settled_id
    return Watermark(settled, tuple(map(str, writers)), since)
