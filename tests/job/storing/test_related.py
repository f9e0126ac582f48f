"""Tests what the job stores about the other objects that an event is about."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from auditrepr.capture import append_only
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.rebuilding import rebuild
from auditrepr.job.rebuilding.selection import Selection
from auditrepr.job.retention import prune
from auditrepr.models import AuditLog, Checkpoint, InstanceRepr, RelatedObject, ReprFailure
from auditrepr.models.related import missing_until
from auditrepr.tracking.related import links
from tests.app.models import Author, Book, Tag
from tests.app.relations import Line, Order
from tests.capturing import drop_append_only, sql

pytestmark = pytest.mark.django_db(transaction=True)

BY_ORDER = {"RELATED": {"app.Order": ["lines"]}}


def backfill(**options) -> None:
    call_command("backfill_reprs", verbosity=0, **options)


def stored(table: str) -> list[tuple[str, str, str]]:
    """What the events of a table are about, in their order."""
    rows = RelatedObject.objects.filter(audit_log__table_name=table)
    ordered = rows.order_by("audit_log", "table_name", "object_id")
    return list(ordered.values_list("audit_log__action", "table_name", "object_id"))


def tagged() -> tuple[Book, Tag]:
    book, tag = Book.objects.create(title="Emma"), Tag.objects.create(label="old")
    book.tags.add(tag)
    return book, tag


def test_a_run_stores_them_with_the_representations():
    book, tag = tagged()
    book.tags.clear()
    backfill()
    both = [("app_book", str(book.pk)), ("app_tag", str(tag.pk))]
    assert stored("app_book_tags") == [(action, *end) for action in "ID" for end in both]
    assert not stored("app_book")


def test_an_event_that_failed_is_about_them_too(monkeypatch):
    order = Order.objects.create(ref="a")
    Line.objects.create(order=order, item="x")
    monkeypatch.setattr(Line, "__str__", lambda self: 1 / 0)
    with override_settings(AUDITREPR=BY_ORDER):
        backfill()
        assert ReprFailure.objects.count() == 1
        assert stored("app_line") == [("I", "app_order", str(order.pk))]
        backfill(retry_failed=True)
    assert stored("app_line") == [("I", "app_order", str(order.pk))]


@pytest.mark.proof
def test_a_rebuild_gives_them_to_old_events_and_takes_away_what_they_are_not_about_any_more():
    order = Order.objects.create(ref="a")
    Line.objects.create(order=order, item="x")
    tagged()
    backfill()
    pairs = stored("app_book_tags")
    assert not stored("app_line")
    RelatedObject.objects.all()._raw_delete("default")  # as after an upgrade
    with override_settings(AUDITREPR=BY_ORDER):
        call_command("rebuild_reprs", verbosity=0)
        assert stored("app_line") == [("I", "app_order", str(order.pk))]
        assert stored("app_book_tags") == pairs
    call_command("rebuild_reprs", verbosity=0)
    assert not stored("app_line")
    assert stored("app_book_tags") == pairs


def test_what_was_stored_before_is_stored_once():
    tagged()
    backfill()
    before = stored("app_book_tags")
    InstanceRepr.objects.all().delete()
    backfill(rescan=True)
    assert stored("app_book_tags") == before


def test_a_batch_without_any_asks_for_none():
    Author.objects.create(name="Ann")
    with CaptureQueriesContext(connection) as queries:
        backfill()
    assert not [query for query in queries if "auditrepr_relatedobject" in query["sql"]]


@pytest.mark.proof
def test_more_of_them_take_no_more_queries():
    def queries(number: int) -> int:
        book = Book.objects.create(title="Emma")
        book.tags.add(*(Tag.objects.create(label=f"{number}/{n}") for n in range(number)))
        with CaptureQueriesContext(connection) as captured:
            backfill()
        return len(captured)

    queries(1)
    assert queries(2) == queries(20)


def test_deleting_an_event_deletes_them():
    tagged()
    backfill()
    assert stored("app_book_tags")
    AuditLog.objects.filter(table_name="app_book_tags").delete()
    assert not RelatedObject.objects.exists()


def missing(*tables: str) -> list[int]:
    """Up to where the events of these tables may lack them."""
    chosen = [link for table in tables for link in links().get(table, ())]
    until = missing_until("default", chosen)
    return [until.get(table, 0) for table in tables]


@pytest.mark.proof
def test_what_was_stored_before_a_relation_was_named_is_noted_until_it_is_rebuilt():
    order = Order.objects.create(ref="a")
    line = Line.objects.create(order=order, item="x")
    tagged()
    backfill()
    last = InstanceRepr.objects.latest("pk").pk
    with override_settings(AUDITREPR=BY_ORDER):
        Line.objects.update(item="y")
        assert missing("app_line", "app_book_tags") == [Checkpoint.objects.get().settled_id, 0]
        backfill()
        assert missing("app_line", "app_book_tags") == [last, 0]
        call_command("rebuild_reprs", model="app.Order", verbosity=0)
        assert missing("app_line") == [last]
        call_command("rebuild_reprs", mixed=True, verbosity=0)
        assert missing("app_line") == [last]
        call_command("rebuild_reprs", model="app.Line", verbosity=0)
        assert missing("app_line") == [0]
    line.delete()
    with override_settings(AUDITREPR=BY_ORDER):
        assert missing("app_line") == [0]
        backfill()
        assert len(stored("app_line")) == 3


def test_a_table_without_older_events_lacks_none():
    tagged()
    backfill()
    with override_settings(AUDITREPR=BY_ORDER):
        backfill()
        assert missing("app_line", "app_book_tags") == [0, 0]


def test_after_an_upgrade_older_events_may_lack_them():
    tagged()
    backfill()
    last = InstanceRepr.objects.latest("pk").pk
    RelatedObject.objects.all()._raw_delete("default")
    Checkpoint.objects.update(related=None, settled_id=last)
    assert missing("app_book_tags") == [last]
    backfill()
    assert missing("app_book_tags") == [last]
    call_command("rebuild_reprs", verbosity=0)
    assert missing("app_book_tags") == [0]


@pytest.mark.proof
def test_a_rebuild_that_had_passed_them_already_does_not_count():
    order = Order.objects.create(ref="a")
    for item in "xyz":
        Line.objects.create(order=order, item=item)
    backfill()
    last = InstanceRepr.objects.latest("pk").pk
    stops = iter([False, True])
    rebuild.run(
        "default", Selection(), lock=DatabaseLock("default"), batch_size=2,
        stop=lambda: next(stops),
    )  # fmt: skip
    with override_settings(AUDITREPR=BY_ORDER):
        rebuild.run("default", None, lock=DatabaseLock("default"))
        assert missing("app_line") == [last]
        call_command("rebuild_reprs", verbosity=0)
        assert missing("app_line") == [0]


@pytest.mark.proof
@pytest.mark.parametrize("protected", [False, True])
def test_pruning_deletes_them_with_their_events(protected):
    tagged()
    backfill()
    book, tag = Book.objects.get(), Tag.objects.create(label="new")
    before = AuditLog.objects.latest("pk").occurred_at + timedelta(milliseconds=1)
    time.sleep(0.005)
    book.tags.add(tag)
    backfill()
    if protected:
        append_only.install("default")
    try:
        prune.prune("default", before, lock=DatabaseLock("default"))
    finally:
        if protected:
            sql(*drop_append_only())
    both = [("app_book", str(book.pk)), ("app_tag", str(tag.pk))]
    assert stored("app_book_tags") == [("I", *end) for end in both]
    assert RelatedObject.objects.count() == 2


def test_those_whose_event_was_deleted_by_sql_stand_for_nothing():
    book, _ = tagged()
    backfill()
    sql("DELETE FROM auditrepr_auditlog WHERE table_name = 'app_book_tags'")
    assert RelatedObject.objects.count() == 2
    assert [event.table_name for event in AuditLog.objects.for_object(book)] == ["app_book"]
