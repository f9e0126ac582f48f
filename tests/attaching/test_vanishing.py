"""Tests what becomes of events that the other log's owner deletes, also while the job works."""

from __future__ import annotations

from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

import auditrepr
from auditrepr.job import gone
from auditrepr.models import (
    AuditLog,
    BackfillRun,
    ChangedValues,
    Checkpoint,
    InstanceRepr,
    RelatedObject,
    ReprFailure,
)
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.attaching.attached import attach, once
from tests.capturing import sql
from tests.pages import FAILURES, LOG, ids, page, reader, words
from tests.rounds import plan, share_lock
from tests.running import run, texts

__all__ = ["reader"]
pytestmark = [
    pytest.mark.proof,
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.usefixtures("supa_audit"),
]


def attached(count: int) -> list[int]:
    """Let the log be attached with so many events; return their IDs."""
    Author.objects.bulk_create(Author(name=f"author {n}") for n in range(count))
    attach("supa_audit")
    return list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))


def delete(*ids: int) -> None:
    """Delete rows as their owner does, by another connection."""
    with psycopg.connect(**connection.get_connection_params()) as owner:
        owner.execute("DELETE FROM audit.record_version WHERE id = ANY(%s)", [list(ids)])


def job(**options: Any) -> str:
    out = StringIO()
    call_command("backfill_reprs", stdout=out, **options)
    return out.getvalue()


def test_what_was_stored_for_events_that_are_gone_goes() -> None:
    """Of the log's beginning, which owners prune, and of others; a failure is no longer counted."""
    pks = attached(6)
    run()
    for model in (ChangedValues, RelatedObject):
        values: Any = {"text": "a"} if model is ChangedValues else {"table_name": "a"}
        model.objects.create(audit_log_id=pks[3], **values)
    InstanceRepr.objects.filter(pk=pks[1]).delete()
    ReprFailure.objects.create(audit_log_id=pks[1], error_class="E")
    delete(pks[0], pks[1], pks[3])
    assert "Deleted what was stored for 3 events that the other log no longer has." in job()
    assert texts() == ["author 2", "author 4", "author 5"]
    for model in (ReprFailure, ChangedValues, RelatedObject):
        assert not model.objects.exists()
    assert "Deleted" not in job()
    assert run(rescan=True).idle


def test_each_run_checks_one_part_and_goes_on_where_something_was_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gone, "ROWS", 2)
    pks = attached(9)
    run()
    delete(*pks[:4])
    assert run().gone == 4, "a beginning that was deleted goes at once"
    delete(pks[8])
    found = [run().gone for _ in range(4)]
    assert sorted(found) == [0, 0, 0, 1], "the rest is found in turn"
    assert texts() == [f"author {n}" for n in range(4, 8)]


def test_a_log_that_was_emptied_is_empty_and_what_comes_next_is_represented() -> None:
    attached(3)
    run()
    sql("TRUNCATE audit.record_version")
    assert run().gone == 3
    assert not InstanceRepr.objects.exists()
    Author.objects.create(name="new")
    run()
    run()
    assert texts() == ["new"]
    assert Checkpoint.objects.get().settled_id == AuditLog.objects.get().pk


@pytest.mark.parametrize("more", [0, 2, 5])
def test_a_new_event_never_has_the_representation_of_an_old_one(
    more: int, caplog: pytest.LogCaptureFixture
) -> None:
    """After ``RESTART IDENTITY`` its ID is one that another event had."""
    attached(3)
    run()
    sql("TRUNCATE audit.record_version RESTART IDENTITY")
    Author.objects.bulk_create(Author(name=f"new {n}") for n in range(more))
    run()
    assert texts() == [f"new {n}" for n in range(more)]
    assert run().idle
    assert Checkpoint.objects.get().settled_id <= more, "the watermark is above the new events"
    assert "auditrepr.pending" not in {record.name for record in caplog.records}
    Author.objects.create(name="last")
    run()
    assert texts()[more:] == ["last"]


def test_ids_below_those_that_are_known_are_given_again_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The owner had deleted the oldest events, whose IDs come first; the sequence shows it."""
    pks = attached(20)
    run()
    delete(*pks[:10])
    run()
    sql("TRUNCATE audit.record_version RESTART IDENTITY")
    Author.objects.bulk_create(Author(name=f"new {n}") for n in range(2))
    run()
    assert texts() == ["new 0", "new 1"]
    assert "auditrepr.gone" in {record.name for record in caplog.records}
    assert "auditrepr.pending" not in {record.name for record in caplog.records}


def test_ids_that_no_new_event_has_do_not_hide_that_others_are_given_again() -> None:
    """Such as those of transactions that were rolled back."""
    pks = attached(3)
    run()
    sql("TRUNCATE audit.record_version RESTART IDENTITY")
    Author.objects.bulk_create(Author(name=f"new {n}") for n in range(4))
    delete(pks[0], pks[2])
    run()
    assert texts() == ["new 1", "new 3"]


def test_a_role_that_may_not_read_the_sequence_sees_by_the_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pks = attached(3)
    run()
    hide = "REVOKE ALL ON SEQUENCE audit.record_version_id_seq FROM attached_job"
    granted = "GRANT ALL ON ALL TABLES IN SCHEMA public TO attached_job"
    sql("CREATE ROLE attached_job", granted, hide)
    try:
        sql("SET ROLE attached_job")
        delete(pks[2])
        run()
        assert texts() == ["author 0", "author 1"], "the last one was deleted: no others are there"
        sql("RESET ROLE", "TRUNCATE audit.record_version RESTART IDENTITY")
        Author.objects.create(name="new")
        sql("SET ROLE attached_job")
        run()
        assert texts() == ["new"]
    finally:
        sql("RESET ROLE", "DROP OWNED BY attached_job", "DROP ROLE attached_job")


def test_one_that_is_interrupted_is_done_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gone, "ROWS", 2)
    attached(5)
    run()
    sql("TRUNCATE audit.record_version RESTART IDENTITY")
    Author.objects.bulk_create(Author(name=f"new {n}") for n in range(5))
    stops = iter([False, True])
    result = run(stop=lambda: next(stops, True))
    assert (result.rows, result.limited) == (0, True)
    assert 0 < InstanceRepr.objects.count() < 5
    run()
    assert texts() == [f"new {n}" for n in range(5)]


@pytest.mark.parametrize("which", [slice(0, 4), slice(3, 6), slice(0, 6)])
def test_events_that_go_between_two_batches_stop_nothing(which: slice) -> None:
    pks = attached(6)
    run(batch_size=2, on_progress=once(lambda: delete(*pks[which])))
    left = sorted({*pks} - {*pks[which]})
    assert list(InstanceRepr.objects.order_by("pk").values_list("pk", flat=True)) == left
    assert run().idle
    assert not BackfillRun.objects.exclude(error="").exists()


def test_events_that_go_while_they_are_built_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pks = attached(6)
    name, first = Author.__str__, once(lambda: delete(pks[1], pks[4]))

    def deletes(author: Author) -> str:
        first()
        return name(author)

    monkeypatch.setattr(Author, "__str__", deletes)
    result = run(batch_size=4)
    assert (result.rows, result.gone, result.error) == (5, 1, "")
    assert texts() == ["author 0", "author 2", "author 3", "author 5"]


def test_events_that_go_from_a_share_end_the_round_as_ever() -> None:
    pks = attached(40)
    plan()
    with share_lock() as lock:
        assert lock.share
        delete(*pks[5:25])
    job()
    assert list(InstanceRepr.objects.order_by("pk").values_list("pk", flat=True)) == [
        *pks[:5], *pks[25:],
    ]  # fmt: skip
    assert not AuditLog.objects.pending().exists()


def test_failures_of_events_that_are_gone_are_neither_retried_nor_shown(
    monkeypatch: pytest.MonkeyPatch, reader: Client
) -> None:
    pks = attached(3)
    monkeypatch.setattr(Author, "__str__", lambda author: str(author.nothing))
    run()
    delete(*pks[:2])
    assert words(page(reader, FAILURES)).count("AttributeError") == 1
    assert run(retry_failed=True).again == 1
    assert ReprFailure.objects.get().pk == pks[2]


def test_what_the_past_was_is_mixed_and_the_pages_are_there(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    attach("supa_audit")
    Author.objects.update(name="Bea")
    Author.objects.update(name="Cid")
    first, second, third = AuditLog.objects.order_by("pk")
    run()
    delete(first.pk, second.pk)
    then = auditrepr.as_of(author, first.occurred_at)
    assert auditrepr.doubts(then)
    assert ids(reader) == [third.pk]
    assert reader.get(f"{LOG}{first.pk}/change/").status_code == 302
    history = page(reader, f"{LOG}object/?table_name=app_author&object_id={author.pk}")
    assert "changed" in words(history)


def test_what_stands_aside_for_a_migration_is_not_gone() -> None:
    """The log's own table is empty, and has its name until the view is there again."""
    attached(3)
    run()
    get_vendor("default").set_view_aside()
    assert run().gone == 0
    assert len(texts()) == 3
    call_command("migrate", verbosity=0)
    assert run().idle
    assert len(texts()) == 3


def test_what_the_owner_changes_is_read_by_a_rebuild() -> None:
    attached(2)
    run()
    sql("""UPDATE audit.record_version SET record = record || '{"name": "nobody"}'""")
    assert texts() == ["author 0", "author 1"]
    call_command("rebuild_reprs", verbosity=0)
    assert texts() == ["nobody"] * 2
