"""Tests pruning: what is deleted, what is kept, and that what is kept stays true."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditrepr.capture import append_only
from auditrepr.exceptions import LeaseLost, LockHeld
from auditrepr.job import windows
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.retention import due, prune
from auditrepr.models import AuditLog, Checkpoint, Coverage, InstanceRepr, Lease, ReprFailure
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.fields import ByName
from tests.app.models import Author, Book
from tests.capturing import drop_append_only, sql
from tests.waiting import expire, is_held, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def now():
    """A moment after all events so far, and before those to come."""
    time.sleep(0.005)
    return AuditLog.objects.latest("id").occurred_at + timedelta(milliseconds=1)


def pruned(before, **options):
    return prune.prune("default", before, lock=DatabaseLock("default"), **options)


def remaining():
    return list(AuditLog.objects.order_by("id").values_list("table_name", "object_id", "action"))


def represented():
    events = [Event.of(row) for row in AuditLog.objects.exclude(action="T").order_by("id")]
    return [(o.text, str(o.fidelity), o.reason) for o in build(events, "default")]


def backfill():
    call_command("backfill_reprs", verbosity=0)


def test_events_from_before_go_with_their_representations_and_failures():
    Author.objects.create(name="Ann")
    Author.objects.update(name="Bea")
    backfill()
    failed = InstanceRepr.objects.earliest("pk").pk
    InstanceRepr.objects.filter(pk=failed).delete()
    ReprFailure.objects.create(audit_log_id=failed, error_class="E")
    before = now()
    Author.objects.update(name="Cleo")
    backfill()
    done = pruned(before)
    assert (done.events, done.representations, done.failures) == (2, 1, 1)
    assert [text for text, *_ in represented()] == ["Cleo"]
    assert list(InstanceRepr.objects.values_list("instance_repr", flat=True)) == ["Cleo"]
    assert not ReprFailure.objects.exists()


def test_a_preview_deletes_nothing_and_lists_what_would_be_deleted():
    Author.objects.create(name="Ann")
    Author.objects.update(name="Bea")
    backfill()
    seen = prune.preview("default", now())
    assert (seen.events, seen.representations, seen.failures) == (2, 2, 0)
    assert prune.preview("default", now(), keep_last=True).events == 1
    assert AuditLog.objects.count() == 2


def test_small_batches_delete_the_same():
    Author.objects.bulk_create(Author(name=str(n)) for n in range(7))
    seen = []
    before = now()
    Author.objects.create(name="new")
    pruned(before, batch_size=3, on_batch=lambda done: seen.append(done.events))
    assert seen == [3, 6, 7]
    assert len(remaining()) == 1


def test_it_stops_after_a_batch_and_says_how_far_it_came():
    Author.objects.bulk_create(Author(name=str(n)) for n in range(5))
    done = pruned(now(), batch_size=2, stop=lambda: True)
    assert (done.events, len(remaining())) == (2, 3)
    assert done.last_id == AuditLog.objects.earliest("pk").pk - 1


@pytest.mark.sqlite
def test_a_batch_begins_by_writing():
    """SQLite refuses at once to go from reading to writing if somebody else wrote meanwhile."""
    Author.objects.bulk_create(Author(name=str(n)) for n in range(7))
    before = now()
    with CaptureQueriesContext(connection) as seen:
        pruned(before, batch_size=3)
    said = [query["sql"] for query in seen]
    first = [after for sql, after in pairwise(said) if sql.startswith("BEGIN")]
    assert len(first) > 3
    assert [sql for sql in first if sql.startswith("SELECT")] == []


def test_an_event_that_is_older_than_one_before_it_stays_until_that_one_goes():
    Author.objects.bulk_create(Author(name=str(n)) for n in range(3))
    ids = list(AuditLog.objects.order_by("id").values_list("id", flat=True))
    AuditLog.objects.filter(id=ids[1]).update(occurred_at=timezone.now() + timedelta(days=1))
    pruned(now() + timedelta(seconds=1))
    assert list(AuditLog.objects.order_by("id").values_list("id", flat=True)) == ids[1:]


def test_what_an_object_was_like_later_stays_exact_without_any_event_of_it():
    ann, bob = Author.objects.bulk_create([Author(name="Ann"), Author(name="Bob")])
    before = now()
    Book.objects.create(title="T", author=ann)
    Book.objects.create(title="U", author=bob)
    Author.objects.filter(pk=ann.pk).update(name="Anna")
    pruned(before)
    assert represented() == [("T (Ann)", "E", ""), ("U (Bob)", "E", ""), ("Anna", "E", "")]


def test_what_an_object_was_like_before_is_not_passed_off_as_exact():
    """An object all of whose events are gone looks as if it had never changed."""
    author = Author.objects.create(name="Ann")
    Book.objects.create(title="T", author=author)
    Author.objects.update(name="Bea")
    Author.objects.update(name="Cleo")
    book = AuditLog.objects.get(table_name="app_book")
    pruned(now(), keep_last=True)
    assert remaining() == [("app_book", book.object_id, "I"), ("app_author", str(author.pk), "U")]
    reason = "older events of app_author were pruned"
    assert represented()[0] == ("T (Bea)", "M", reason)


def test_the_last_event_of_every_object_can_be_kept():
    ann, bob, cleo = (Author.objects.create(name=name) for name in ("Ann", "Bob", "Cleo"))
    Author.objects.filter(pk=ann.pk).update(name="Anna")
    gone = str(bob.pk)
    bob.delete()
    before = now()
    Author.objects.filter(pk=cleo.pk).update(name="Cloe")
    pruned(before, keep_last=True)
    assert remaining() == [
        ("app_author", str(ann.pk), "U"),
        ("app_author", gone, "D"),
        ("app_author", str(cleo.pk), "U"),
    ]


def test_an_object_that_is_kept_is_still_exact():
    author = Author.objects.create(name="Ann")
    before = now()
    Book.objects.create(title="T", author=author)
    pruned(before, keep_last=True)
    assert represented() == [("Ann", "E", ""), ("T (Ann)", "E", "")]
    Author.objects.update(name="Bea")
    assert represented()[1] == ("T (Ann)", "E", "")


def test_a_key_that_an_object_gave_up_leads_to_no_object():
    ByName.objects.create(name="a")
    ByName.objects.update(name="b")
    ByName.objects.update(note="later")
    pruned(now(), keep_last=True)
    assert remaining() == [(ByName._meta.db_table, "b", "U")]


@pytest.mark.postgresql
def test_a_truncate_is_kept_for_the_objects_that_it_ended():
    Book.objects.create(title="T")
    sql("TRUNCATE app_book CASCADE")
    before = now()
    pruned(before, keep_last=True)
    assert [row[2] for row in remaining() if row[0] == "app_book"] == ["I", "T"]
    sql("TRUNCATE app_book CASCADE")
    pruned(now(), keep_last=True)
    assert [row[2] for row in remaining() if row[0] == "app_book"] == ["I", "T"]


@pytest.mark.postgresql
def test_who_has_not_seen_a_pruned_event_is_not_told_a_later_state(other_session):
    """The author is changed before the book is made, but committed after it."""
    author = Author.objects.create(name="Ann")
    other_session("BEGIN")
    other_session("UPDATE app_author SET name = 'Bea'")
    before = timezone.now()
    Book.objects.create(title="T", author_id=author.pk)
    other_session("COMMIT")
    assert represented()[-1] == ("T (Ann)", "E", "")
    pruned(before)
    assert represented() == [("T (Bea)", "M", "older events of app_author were pruned")]


@pytest.fixture
def other_session():
    """Runs statements on another connection of the same database."""
    other = connection.copy()
    yield lambda statement: other.cursor().execute(statement)
    other.close()


@pytest.mark.proof
def test_the_job_goes_on_after_everything_was_pruned():
    Author.objects.create(name="Ann")
    backfill()
    pruned(now())
    assert remaining() == []
    backfill()
    Author.objects.update(name="Bea")
    backfill()
    assert list(InstanceRepr.objects.values_list("instance_repr", "fidelity")) == [("Bea", "E")]
    assert Checkpoint.objects.get().settled_id == AuditLog.objects.get().pk


def test_what_was_pruned_never_comes_back_into_coverage():
    Author.objects.create(name="Ann")
    end = AuditLog.objects.latest("id").pk
    pruned(now())
    Author.objects.update(name="Bea")
    early = now() - timedelta(days=1)
    pruned(early)
    assert set(Coverage.objects.values_list("pruned_id", flat=True)) == {end}


def test_nothing_is_pruned_while_the_job_runs():
    Author.objects.create(name="Ann")
    with DatabaseLock("default") as held:
        assert held
        with pytest.raises(LockHeld, match=r"process .* Try again later"):
            pruned(now())
    assert AuditLog.objects.count() == 1


def test_a_holder_that_cannot_be_read_is_shown_as_unknown():
    with DatabaseLock("default"):
        Lease.objects.update(holder=None)
        with pytest.raises(LockHeld, match=r"^The lock is held by an unknown process\. Try again"):
            pruned(timezone.now())


@pytest.mark.proof
def test_it_keeps_the_lock_however_long_it_looks_for_what_is_old(monkeypatch, settings):
    settings.AUDITREPR = {"LEASE_SECONDS": 1}
    Author.objects.bulk_create([Author(name="Ann"), Author(name="Bob")])
    until = now()
    kept: list[bool] = []
    next_id = windows.next_id

    def slowly(*arguments):
        expire()
        wait_until(is_held)
        kept.append(True)
        return next_id(*arguments)

    monkeypatch.setattr(due, "next_id", slowly)
    assert pruned(until).events == 2
    assert kept


def test_who_loses_the_lock_deletes_nothing_more():
    Author.objects.bulk_create([Author(name="Ann"), Author(name="Bob")])
    lose = {"token": "0" * 32}
    with pytest.raises(LeaseLost):
        pruned(now(), batch_size=1, on_batch=lambda done: Lease.objects.update(**lose))
    assert AuditLog.objects.count() == 1


def test_pruning_goes_through_an_append_only_log_and_leaves_it_so():
    append_only.install("default")
    Author.objects.create(name="Ann")
    try:
        assert pruned(now()).events == 1
        assert not append_only.install("default")
        Author.objects.update(name="Bea")
        with pytest.raises(Exception, match="append-only"), transaction.atomic():
            AuditLog.objects.all().delete()
    finally:
        sql(*drop_append_only())
