"""Tests that pruning empties partitions as a whole, and keeps all that deletion keeps."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from auditrepr.capture import append_only
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.partitions import making, patience
from auditrepr.job.retention import emptying, prune
from auditrepr.job.seals import verifying
from auditrepr.models import (
    AuditLog,
    ChangedValues,
    Checkpoint,
    Coverage,
    InstanceRepr,
    RelatedObject,
    ReprFailure,
    SealEntry,
)
from auditrepr.vendors import get_vendor
from tests.app.models import Author, Book
from tests.sizes import PARTITIONED

pytestmark = [
    pytest.mark.proof,
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(PARTITIONED, reason="the log is partitioned already"),
]

SIZE = 20
OLD = datetime(2020, 1, 1, tzinfo=UTC)
YOUNG = datetime(2025, 1, 1, tzinfo=UTC)
BEFORE = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def log() -> list[int]:
    """Three partitions of events, all stored; those of the first two are old. Their upper ends."""
    done = making.partition("default", size=SIZE, lock=DatabaseLock("default"))
    ends = [one.upper or 0 for one in done.partitions[:3]]
    while True:
        author = Author.objects.create(name="Ann")
        if AuditLog.objects.latest("pk").pk >= ends[2] - 1:
            break
    author.delete()
    AuditLog.objects.filter(pk__lt=ends[1]).update(occurred_at=OLD)
    AuditLog.objects.filter(pk__gte=ends[1]).update(occurred_at=YOUNG)
    call_command("backfill_reprs", verbosity=0)
    return ends


def pruned(**options: Any) -> prune.Pruned:
    return prune.prune(
        "default", options.pop("before", BEFORE), lock=DatabaseLock("default"), **options
    )


def files() -> dict[str, int]:
    """The file of each partition of the log; another one shows that it was emptied at once."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text, pg_relation_filenode(inhrelid) FROM pg_inherits"
            " WHERE inhparent = 'auditrepr_auditlog'::regclass"
        )
        return dict(cursor.fetchall())


def test_partitions_without_a_young_event_are_emptied_at_once(log: list[int]) -> None:
    old = AuditLog.objects.filter(pk__lt=log[1])
    kept = list(AuditLog.objects.filter(pk__gte=log[1]).with_reprs().values_list())
    counted = (old.count(), InstanceRepr.objects.filter(audit_log__in=old).count(), 0)
    last = old.latest("pk")
    before = files()
    done = pruned()
    assert (done.events, done.representations, done.failures) == counted
    assert list(AuditLog.objects.with_reprs().values_list()) == kept
    assert InstanceRepr.objects.count() == len([one for one in kept if one])
    assert "auditrepr_auditlog_p0" not in files()  # one empty partition is enough
    assert files()["auditrepr_auditlog_p1"] != before["auditrepr_auditlog_p1"]
    first = get_vendor("default").log_partitions()[0]
    assert (first.lower, first.upper) == (None, log[1])
    coverage = Coverage.objects.get(table_name="app_author")
    assert coverage.pruned_id == log[1] - 1
    assert coverage.pruned_transaction_id == last.transaction_id
    AuditLog.objects.create(id=log[0], table_name="x", action="T")  # still a place for each ID


def test_one_kept_event_keeps_the_partition(log: list[int]) -> None:
    young = AuditLog.objects.filter(pk__lt=log[1]).latest("pk")
    AuditLog.objects.filter(pk=young.pk).update(occurred_at=YOUNG)
    before = files()
    pruned()
    assert AuditLog.objects.earliest("pk").pk == young.pk
    assert files()["auditrepr_auditlog_p1"] == before["auditrepr_auditlog_p1"]
    assert files()["auditrepr_auditlog_p0"] != before["auditrepr_auditlog_p0"]


def test_retention_of_models_empties_only_what_none_of_them_keeps(log: list[int]) -> None:
    kept = AuditLog.objects.filter(pk__gte=log[0]).earliest("pk")
    AuditLog.objects.filter(pk=kept.pk).update(table_name="app_book")
    before = files()
    pruned(before={"app.Author": BEFORE})
    assert AuditLog.objects.earliest("pk").pk == kept.pk
    assert not AuditLog.objects.filter(pk__lt=log[1], table_name="app_author").exists()
    assert files()["auditrepr_auditlog_p1"] == before["auditrepr_auditlog_p1"]
    assert files()["auditrepr_auditlog_p0"] != before["auditrepr_auditlog_p0"]


def test_keep_last_keeps_the_last_event_of_each_object(log: list[int]) -> None:
    pruned(keep_last=True)
    assert AuditLog.objects.filter(pk__lt=log[1]).count() > SIZE


def test_a_sealed_log_verifies_after_partitions_were_emptied(log: list[int]) -> None:
    call_command("seal_audit_log", verbosity=0)
    whole = SealEntry.objects.get()
    pruned()
    entry = SealEntry.objects.last()
    assert entry is not None
    assert (entry.kind, entry.amends) == ("pruned", whole.number)
    found = verifying.verify("default")
    assert found.differences == []
    AuditLog.objects.filter(pk__gte=log[1]).update(object_id="x")
    assert verifying.verify("default").differing == 1


def test_what_is_no_longer_what_was_sealed_is_not_emptied(log: list[int]) -> None:
    call_command("seal_audit_log", verbosity=0)
    AuditLog.objects.filter(pk=AuditLog.objects.earliest("pk").pk).update(object_id="x")
    count = AuditLog.objects.count()
    with pytest.raises(Exception, match="was changed"):
        pruned()
    assert AuditLog.objects.count() == count


def test_what_other_tables_have_of_the_events_goes_too(log: list[int]) -> None:
    for event in (AuditLog.objects.earliest("pk").pk, log[1]):
        ChangedValues.objects.create(audit_log_id=event, text="x")
        RelatedObject.objects.create(table_name="x", object_id="1", audit_log_id=event)
    failed = InstanceRepr.objects.earliest("pk").pk
    InstanceRepr.objects.filter(pk=failed).delete()
    ReprFailure.objects.create(audit_log_id=failed, error_class="E")
    assert pruned().failures == 1
    assert [one.audit_log_id for one in ChangedValues.objects.all()] == [log[1]]
    assert [one.audit_log_id for one in RelatedObject.objects.all()] == [log[1]]
    assert not ReprFailure.objects.exists()


def test_an_append_only_log_stays_one(log: list[int]) -> None:
    append_only.install("default")
    pruned()
    assert get_vendor("default").append_only()
    with connection.cursor() as cursor, pytest.raises(Exception, match="append-only"):
        cursor.execute("TRUNCATE auditrepr_auditlog_p1")


def test_no_writer_waits_and_none_is_waited_for(log: list[int]) -> None:
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO app_author (name) VALUES ('Ben')")  # and stays open
        done = pruned()
        assert done.events > SIZE
        assert get_vendor("default").log_partitions()[0].upper == log[0]  # not merged yet
        cursor.execute("COMMIT")
    pruned()
    assert get_vendor("default").log_partitions()[0].upper == log[1]


def test_above_the_watermark_nothing_is_emptied_as_a_whole(log: list[int]) -> None:
    """An open transaction may still commit an event there."""
    Checkpoint.objects.update(settled_id=log[0] + 3)
    before = files()
    pruned()
    assert files()["auditrepr_auditlog_p1"] == before["auditrepr_auditlog_p1"]
    assert AuditLog.objects.earliest("pk").pk == log[1]


def test_states_before_the_pruned_range_are_known_to_be_unknown(log: list[int]) -> None:
    book = Book.objects.create(title="T", author=Author.objects.earliest("pk"))
    pruned()
    book.save()
    call_command("backfill_reprs", verbosity=0)
    assert InstanceRepr.objects.latest("pk").fidelity == "E"


@pytest.fixture
def reader() -> Iterator[Any]:
    """Another session that reads the log, and so keeps its partitions from being emptied."""
    other = connection.copy()
    other.set_autocommit(False)
    with closing(other), other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auditrepr_auditlog")
        yield other


def test_who_cannot_lock_a_partition_is_told_no_option_that_does_nothing(
    log: list[int], reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emptying, "WAIT", 0)
    with pytest.raises(CommandError, match="could not be locked for 0 seconds") as refused:
        call_command("prune_audit_log", before=BEFORE, interactive=False, wait=600)
    assert "--wait" not in str(refused.value)


def test_a_signal_ends_the_wait_for_a_partition(
    log: list[int], reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = AuditLog.objects.count()
    monkeypatch.setattr(patience.time, "sleep", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        call_command("prune_audit_log", before=BEFORE, interactive=False)
    assert ended.value.code == 128 + signal.SIGTERM
    assert AuditLog.objects.count() == before
    reader.rollback()
    assert pruned().events > 0
