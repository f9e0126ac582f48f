"""Partitions a log, new or not, and makes further partitions ahead of its events.

What exists becomes the first partition as it is: no row is moved. The last partition is open to the
end, so a missing one never makes a write fail; if it has rows, it is closed, and another one made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from django.db import Error, IntegrityError, connections

from ...capture import attachment
from ...exceptions import (
    AuditReprError,
    MayNotPartition,
    NoPartitions,
    NotPartitionable,
)
from ...vendors import Vendor, get_vendor
from ...vendors.base.partitions import Ahead, LogPartition
from .. import preflight
from ..locks.base import Lock
from ..rounds.alone import working_alone
from .patience import patiently

#: Event IDs in a partition.
SIZE = 10_000_000
#: IDs that are left out when a large partition is closed. While that is prepared, an event
#: beyond would be refused: no site has that many meanwhile.
MARGIN = 100_000_000
#: Seconds to wait for locks, in short turns.
WAIT = 60.0


@dataclass
class Partitioned:
    """What was done, or would be."""

    partitions: list[LogPartition] = field(default_factory=list)
    adopted: bool = False  # the log was not partitioned before
    closed_at: int | None = None  # the open partition had rows, and ends here now
    made: int = 0  # tables
    locked: float = 0.0  # seconds that the log was locked at the longest


def preview(using: str, size: int = SIZE) -> Partitioned:
    """Return what :func:`partition` would do now, without writing."""
    vendor = _checked(using)
    there = vendor.log_partitions()
    if there and there[-1].lower is not None and there[-1].lower > vendor.next_event():
        return Partitioned(there)
    large = vendor.open_partition_is_large()
    return Partitioned(
        there, adopted=not there, closed_at=boundary(vendor.next_event(), size, large)
    )


def partition(
    using: str,
    *,
    size: int | None = None,
    lock: Lock,
    wait: float = WAIT,
    stop: Callable[[], bool] = lambda: False,
) -> Partitioned:
    """Partition the log if it is not, and make partitions ahead.

    :param size: event IDs in each new partition; None: as before, or ``SIZE``.
    :param lock: the job's lock: its batches keep the log locked for seconds.
    :param wait: seconds to wait until the log can be locked, in short turns.
    :raises NoPartitions: if the database has none.
    :raises MayNotPartition: if this connection lacks the rights.
    :raises NotPartitionable: if something refers to one of the tables.
    :raises LockHeld: if a run holds the lock.
    :raises LogBusy: if others did not leave the log for long enough.
    """
    preflight.commits(using)
    vendor = _checked(using)
    with working_alone(using, lock):
        done = Partitioned()
        if not vendor.log_partitions():
            done.locked = patiently(using, vendor.adopt_as_partition, wait, stop)
            done.adopted = True
        vendor.support_partitions(size or vendor.partition_size() or SIZE)
        _make(vendor, done, wait, stop)
        if done.made:
            vendor.analyze_partitioned()
    return done


def keep_ahead(using: str, wait: float = WAIT) -> Partitioned | None:
    """Make what is missing of a partitioned log; for the owner, as after ``migrate``.

    :returns: None if the log is not partitioned, or this is not for this role to do.
    :raises LogBusy: if others did not leave the log for long enough.
    """
    vendor = get_vendor(using)
    if connections[using].in_atomic_block or not vendor.log_partitions():
        return None
    if not vendor.may_partition():
        return None
    vendor.support_partitions(vendor.partition_size() or _size_of(vendor.log_partitions()))
    done = Partitioned()
    _make(vendor, done, wait, lambda: False)
    return done


def _size_of(partitions: Sequence[LogPartition]) -> int:
    """Return the size of the last partition that has an end, when nothing else says it."""
    bounds = [(one.lower, one.upper) for one in partitions]
    widths = [upper - lower for lower, upper in bounds if lower is not None and upper is not None]
    return widths[-1] if widths else SIZE


def make_ahead(using: str) -> None:
    """Make what is missing of a partitioned log, as far as the job may, and can at once."""
    vendor = get_vendor(using)
    if connections[using].in_atomic_block:
        return
    # Others use the log right now, or the owner has not granted it: a finding says so in time.
    with suppress(Error):
        if vendor.log_partitions() and vendor.partition_size():
            vendor.make_partitions()


def boundary(next_event: int, size: int, large: bool) -> int:
    """Return the first ID after a partition that is closed: a multiple of the size."""
    least = next_event + (MARGIN if large else 0)
    return (least // size + 1) * size


def _make(vendor: Vendor, done: Partitioned, wait: float, stop: Callable[[], bool]) -> None:
    using = vendor.using
    if vendor.bounded_at() is not None:  # who was about to close it was killed
        patiently(using, vendor.unbound_open_partition, wait, stop)
    made = patiently(using, vendor.make_partitions, wait, stop)
    if made.made is None:
        made = _close(vendor, done, wait, stop)
    done.made, done.locked = made.made or 0, max(done.locked, made.locked)
    done.partitions = vendor.log_partitions()


def _close(vendor: Vendor, done: Partitioned, wait: float, stop: Callable[[], bool]) -> Ahead:
    """Close the open partition behind its rows."""
    using = vendor.using
    while True:
        large = vendor.open_partition_is_large()
        at = boundary(vendor.next_event(), vendor.partition_size() or SIZE, large)
        try:
            if large:
                bound = partial(vendor.bound_open_partition, at)
                done.locked = max(done.locked, patiently(using, bound, wait, stop))
            made = patiently(using, partial(vendor.make_partitions, at), wait, stop)
        except IntegrityError:  # events have reached the end meanwhile
            continue
        except BaseException:
            # Not with `stop`: it must not stay.
            with suppress(Error, AuditReprError):
                patiently(using, vendor.unbound_open_partition, WAIT)
            raise
        done.closed_at = at
        return made


def _checked(using: str) -> Vendor:
    vendor = get_vendor(using)
    if not vendor.can_partition:
        raise NoPartitions(alias=using, vendor=connections[using].display_name)
    preflight.check_own_tables(using)
    attachment.refuse(using, "auditrepr does not partition them")
    if not vendor.may_partition():
        raise MayNotPartition(alias=using)
    if not vendor.log_partitions() and (found := vendor.partition_obstacles()):
        raise NotPartitionable(alias=using, found="; ".join(found))
    return vendor
