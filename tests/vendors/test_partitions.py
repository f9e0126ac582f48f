"""Tests the partition facet: what exists becomes a partition, and others follow it."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from auditrepr.models import AuditLog
from auditrepr.vendors import Vendor
from auditrepr.vendors.base.partitions import LogPartition
from tests.app.models import Author
from tests.sizes import PARTITIONED

SIZE = 10


@pytest.fixture
def parted(vendor: Vendor) -> list[LogPartition]:
    """The partitions of a log with one event."""
    if not vendor.can_partition:
        pytest.skip("this database has no partitions")
    if PARTITIONED:
        pytest.skip("the log is partitioned already")
    Author.objects.create(name="Ann")
    assert vendor.adopt_as_partition() > 0
    vendor.support_partitions(SIZE)
    vendor.make_partitions(-(-vendor.next_event() // SIZE) * SIZE)
    return vendor.log_partitions()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_cannot_says_that_there_are_none(vendor: Vendor) -> None:
    if vendor.can_partition:
        assert vendor.may_partition()
        # What is partitioned already cannot be the first partition.
        assert bool(vendor.partition_obstacles()) == PARTITIONED
        return
    assert not vendor.may_partition()
    assert vendor.log_partitions() == []
    assert vendor.partition_size() is None
    assert vendor.bounded_at() is None
    assert not vendor.open_partition_is_large()
    assert vendor.make_partitions() == (0, 0, 0.0)
    vendor.support_partitions()
    vendor.drop_partition_support()
    vendor.unbound_open_partition()
    vendor.analyze_partitioned()
    for method in (vendor.next_event, vendor.partition_obstacles, vendor.adopt_as_partition):
        with pytest.raises(NotImplementedError):
            method()


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_partitions_have_no_hole_and_are_made_once(
    vendor: Vendor, parted: list[LogPartition]
) -> None:
    assert (parted[0].lower, parted[-1].upper) == (None, None)
    assert [one.upper for one in parted[:-1]] == [one.lower for one in parted[1:]]
    assert vendor.next_event() == AuditLog.objects.get().pk + 1
    assert vendor.partition_size() == SIZE
    made = vendor.make_partitions()
    assert (made.ahead, made.made) == (3, 0)
    vendor.analyze_partitioned()
    vendor.drop_partition_support()
    assert vendor.partition_size() is None


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_an_open_partition_with_rows_is_closed_by_its_owner(
    vendor: Vendor, parted: list[LogPartition]
) -> None:
    last = parted[-1].lower or 0
    AuditLog.objects.create(id=last + 3, table_name="x", action="T")
    vendor.rows(f"SELECT setval('auditrepr_auditlog_id_seq', {last + 3})")
    assert not vendor.open_partition_is_large()
    assert vendor.make_partitions().made is None
    assert vendor.bound_open_partition(last + SIZE) > 0
    assert vendor.bounded_at() == last + SIZE
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditLog.objects.create(id=last + SIZE, table_name="x", action="T")
    vendor.unbound_open_partition()
    assert vendor.bounded_at() is None
    made = vendor.make_partitions(last + SIZE)
    assert (made.ahead, vendor.log_partitions()[-5].upper) == (3, last + SIZE)


@pytest.mark.django_db(transaction=True)
def test_emptied_partitions_become_one(vendor: Vendor, parted: list[LogPartition]) -> None:
    with transaction.atomic():
        vendor.empty_partition(parted[0])
    assert not AuditLog.objects.exists()
    vendor.merge_partitions(parted[0], parted[1])
    found = vendor.log_partitions()
    assert (found[0].lower, found[0].upper) == (None, parted[1].upper)
    assert found[1:] == parted[2:]
