"""Partitions the log of the tests, by so few events that they reach several partitions."""

from __future__ import annotations

from auditrepr.job.partitions.making import boundary
from auditrepr.vendors import get_vendor

#: Event IDs in a partition.
SIZE = 20


def partition_small(using: str = "default", size: int = SIZE) -> None:
    """Partition the log, as ``partition_audit_log`` does; without the job's lock."""
    vendor = get_vendor(using)
    vendor.adopt_as_partition()
    vendor.support_partitions(size)
    vendor.make_partitions(boundary(vendor.next_event(), size, large=False))
