"""Tests how long the events of each model are kept, and that what is left stays true."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditrepr.exceptions import UnknownModel
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.monitoring import status
from auditrepr.job.retention import prune
from auditrepr.lineage import renames, table_lineage
from auditrepr.management.status_formats import document, prometheus, text
from auditrepr.models import AuditLog, Coverage, InstanceRepr
from auditrepr.reprs import build
from auditrepr.tracking.retention import entry_of
from auditrepr.vendors.types import BEGINNING, Event
from tests.app.models import Author, Book, Tag
from tests.app.tracked import HeavyParcel, Parcel
from tests.capturing import sql

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty() -> None:
    AuditLog.objects.all().delete()


def aged(days: int) -> None:
    """Let all events so far be older by so many days."""
    for row in AuditLog.objects.all():
        sql(
            "UPDATE auditrepr_auditlog SET occurred_at ="
            f" {written(row.occurred_at - timedelta(days=days))} WHERE id = {row.pk}"
        )


def written(moment: Any) -> str:
    return f"'{connection.ops.adapt_datetimefield_value(moment)}'"


def retained(**options: Any) -> prune.Pruned:
    return prune.prune("default", lock=DatabaseLock("default"), **options)


def remaining() -> list[tuple[str, str]]:
    rows = AuditLog.objects.order_by("pk").values_list("table_name", "row_data")
    return [
        (table, row.get("name") or row.get("title") or row.get("label") or "")
        for table, row in rows
    ]


def history() -> None:
    """Two old events of each kind, and a new one."""
    author, book, tag = Author(name="a1"), Book(title="b1"), Tag(label="t1")
    for one in (author, book, tag):
        one.save()
    book.tags.add(tag)
    aged(100)
    author.name, book.title, tag.label = "a2", "b2", "t2"
    for one in (author, book, tag):
        one.save()
    aged(100)
    author.name, book.title, tag.label = "a3", "b3", "t3"
    for one in (author, book, tag):
        one.save()


def test_each_model_is_kept_as_long_as_its_entry_says(settings: Any) -> None:
    settings.AUDITREPR = {"RETENTION": {"app.Author": "150 days", "app.book": "20 weeks"}}
    history()
    assert retained().events == 3
    assert remaining() == [
        ("app_tag", "t1"), ("app_author", "a2"), ("app_book", "b2"), ("app_tag", "t2"),
        ("app_author", "a3"), ("app_book", "b3"), ("app_tag", "t3"),
    ]  # fmt: skip


@pytest.mark.proof
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_the_most_specific_entry_decides(settings: Any, batch_size: int) -> None:
    entries = {"*": "1 day", "app.*": "150 days", "app.Tag": "1 year", "app.Book_tags": "2 years"}
    settings.AUDITREPR = {"RETENTION": entries}
    history()
    sql("UPDATE auditrepr_auditlog SET table_name = 'gone' WHERE table_name = 'app_book'")
    assert retained(batch_size=batch_size).events == 3
    assert [name for name in remaining() if name[0] != "app_book_tags"] == [
        ("app_tag", "t1"), ("app_author", "a2"), ("app_tag", "t2"), ("app_author", "a3"),
        ("gone", "b3"), ("app_tag", "t3"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "kept"),
    [
        ({"app.Ledger": "7 years", "*": "1 day"}, 1),
        ({"app.Ledger": "7 years", "app.LegacyLedger": "1 day"}, 1),
        ({"app.LegacyLedger": "7 years", "*": "1 day"}, 1),
        ({"app.LegacyLedger": "1 day", "*": "7 years"}, 0),
    ],
)
def test_a_table_of_several_models_has_one_entry(
    settings: Any, entries: dict[str, str], kept: int
) -> None:
    settings.AUDITREPR = {"RETENTION": entries}
    sql(
        "INSERT INTO auditrepr_auditlog (table_name, object_id, action, row_data, occurred_at)"
        f" VALUES ('Ledger Order', '1', 'I', '{{}}', {written(timezone.now())})"
    )
    aged(100)
    assert retained().events == 1 - kept
    assert AuditLog.objects.count() == kept


def test_the_app_of_a_proxy_does_not_decide(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AUDITREPR = {"RETENTION": {"support.*": "1 day", "*": "7 years"}}
    monkeypatch.setattr(HeavyParcel._meta, "app_label", "support")
    assert entry_of(Parcel, settings.AUDITREPR["RETENTION"]) == "*"
    settings.AUDITREPR = {"RETENTION": {"support.HeavyParcel": "1 day", "*": "7 years"}}
    assert entry_of(Parcel, settings.AUDITREPR["RETENTION"]) == "support.HeavyParcel"


@pytest.mark.postgresql  # SQLite has one writer at a time
@pytest.mark.parametrize("dated", [False, True])
def test_a_change_that_is_committed_meanwhile_is_not_old(settings: Any, dated: bool) -> None:
    """It has an ID before the end: its transaction was open when the end was found."""
    settings.AUDITREPR = {"RETENTION": {"app.Author": "50 days"}}
    for name in ("Ann", "Bea"):
        Author.objects.create(name=name)
    aged(100)
    other = connection.copy()
    try:
        other.set_autocommit(False)
        other.cursor().execute("UPDATE app_author SET name = 'now' WHERE name = 'Ann'")
        Tag.objects.create(label="later")
        before = timezone.now() - timedelta(days=50) if dated else None
        retained(before=before, batch_size=1, on_batch=lambda done: other.commit())
    finally:
        other.close()
    assert remaining() == [("app_author", "now"), ("app_tag", "later")]


def call_it_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declare a former name of the authors' table."""
    declared = renames.former_tables
    for module in (renames, table_lineage):
        monkeypatch.setattr(
            module, "former_tables", lambda m: ("app_writer",) if m is Author else declared(m)
        )
    for known in ("_KNOWN", "_RECENT"):
        monkeypatch.setattr(renames, known, {})


def test_a_former_name_of_a_table_is_that_models(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDITREPR = {"RETENTION": {"app.Author": "150 days"}}
    history()
    first = AuditLog.objects.filter(table_name="app_author").earliest("pk").pk
    sql(f"UPDATE auditrepr_auditlog SET table_name = 'app_writer' WHERE id = {first}")
    assert retained().events == 0
    call_it_writer(monkeypatch)
    assert retained().events == 1
    assert Coverage.objects.get(table_name="app_author").pruned_id == first


@pytest.mark.proof
def test_the_status_says_what_is_due_of_a_former_name(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDITREPR = {"RETENTION": {"app.Author": "250 days"}}
    history()
    aged(100)
    first = AuditLog.objects.filter(table_name="app_author").earliest("pk").pk
    sql(f"UPDATE auditrepr_auditlog SET table_name = 'app_writer' WHERE id = {first}")
    call_it_writer(monkeypatch)
    assert [one.entry for one in status.of("default").overdue] == ["app.Author"]
    retained()
    assert status.of("default").overdue == ()


def test_only_what_rests_on_deleted_events_becomes_mixed(settings: Any) -> None:
    """Books are all there; what the first one says of its author is not known any more."""
    settings.AUDITREPR = {"RETENTION": {"app.Author": "150 days"}}
    author = Author.objects.create(name="Ann")
    Book.objects.create(title="Go", author=author)
    Author.objects.update(name="Bea")
    aged(200)
    Book.objects.update(title="Gone")
    retained()
    events = [Event.of(row) for row in AuditLog.objects.order_by("pk")]
    built = [(one.text, str(one.fidelity), one.reason) for one in build(events, "default")]
    assert built == [
        ("Go (Bea)", "M", "older events of app_author were pruned"),
        ("Gone (Bea)", "E", ""),
    ]
    assert Coverage.objects.get(table_name="app_book").pruned_id == BEGINNING


def test_the_latest_event_of_each_object_can_be_kept(settings: Any) -> None:
    settings.AUDITREPR = {"RETENTION": {"app.Author": "1 day"}}
    history()
    aged(2)
    assert prune.preview("default", keep_last=True).events == 2
    assert retained(keep_last=True).events == 2
    assert [name for table, name in remaining() if table == "app_author"] == ["a3"]


def test_a_date_does_not_ask_how_long_events_are_kept(settings: Any) -> None:
    settings.AUDITREPR = {"RETENTION": {"app.Author": "7 years"}}
    history()
    prune.prune("default", timezone.now() - timedelta(days=150), lock=DatabaseLock("default"))
    assert {name[-1] for table, name in remaining() if name} == {"2", "3"}


@pytest.mark.proof
def test_what_is_kept_is_not_read_again(settings: Any) -> None:
    """However many events of other models there are: each table has its own look at the index."""
    settings.AUDITREPR = {"RETENTION": {"app.Author": "150 days"}}
    history()
    with CaptureQueriesContext(connection) as few:
        retained()
    Tag.objects.bulk_create(Tag(label=f"x{number}") for number in range(200))
    aged(200)
    with CaptureQueriesContext(connection) as many:
        retained(batch_size=10)
    assert len(many) <= len(few)


@pytest.mark.proof
def test_no_query_names_tables_that_have_nothing_to_delete(settings: Any) -> None:
    """SQLite takes about a thousand conditions; a project may have more tables."""
    settings.AUDITREPR = {"RETENTION": {"*": "150 days"}}
    history()
    for work in (lambda: prune.preview("default"), retained):
        with CaptureQueriesContext(connection) as asked:
            assert work().events == 4
        assert max(query["sql"].count(" OR ") for query in asked) < 10


@pytest.mark.proof
def test_a_dry_run_says_what_is_due_by_entry(settings: Any) -> None:
    settings.AUDITREPR = {
        "RETENTION": {"app.Author": "150 days", "app.*": "1 month", "*": "1 year"}
    }
    history()
    out = io.StringIO()
    call_command("prune_audit_log", "--dry-run", stdout=out)
    first, *entries = out.getvalue().splitlines()
    assert "Would delete 6 events" in first
    assert entries == [
        "  app.Author  1 event older than 150 days",
        "  app.*       5 events older than 1 month",
        "  *           0 events older than 1 year",
    ]
    assert AuditLog.objects.count() == 10


@pytest.mark.proof
def test_the_command_applies_it_and_says_so(settings: Any) -> None:
    settings.AUDITREPR = {"RETENTION": {"app.Author": "150 days"}}
    history()
    call_command("backfill_reprs", verbosity=0)
    out = io.StringIO()
    call_command("prune_audit_log", "--no-input", stdout=out)
    assert "Deleted 1 event up to ID" in out.getvalue()
    assert InstanceRepr.objects.count() == AuditLog.objects.count() == 9


@pytest.mark.parametrize("entry", ["app.Autor", "shelves.*", "app", "app.Author.*", "Author"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_an_entry_that_names_no_model_is_an_error_and_deletes_nothing(
    settings: Any, entry: str, dry_run: bool
) -> None:
    settings.AUDITREPR = {"RETENTION": {entry: "1000 years", "*": "1 day"}}
    Author.objects.create(name="Ann")
    aged(100)
    refused = pytest.raises(CommandError, match=f"RETENTION.* contains '{re.escape(entry)}'")
    with refused:
        call_command("prune_audit_log", interactive=False, dry_run=dry_run)
    assert remaining() == [("app_author", "Ann")]


def test_so_is_one_of_those_that_a_caller_gives() -> None:
    Author.objects.create(name="Ann")
    aged(100)
    with pytest.raises(UnknownModel, match=r"app\.Autor"):
        retained(before={"app.Autor": timezone.now() - timedelta(365), "*": timezone.now()})
    assert remaining() == [("app_author", "Ann")]


def test_without_a_date_and_an_entry_it_says_what_to_name() -> None:
    with pytest.raises(CommandError, match=r"with --before.*RETENTION") as raised:
        call_command("prune_audit_log", "--no-input")
    assert raised.value.returncode == 2


@pytest.mark.proof
def test_the_status_says_what_is_due(settings: Any) -> None:
    settings.AUDITREPR = {
        "RETENTION": {"app.Author": "150 days", "app.Book": "1 year", "*": "20 weeks"}
    }
    history()
    author, rest = status.of("default").overdue
    assert (author.entry, author.age, rest.entry) == ("app.Author", "150 days", "*")
    assert 49 < author.seconds / 86_400 < 51
    said = [line.text for line in text.lines(status.of("default")) if "is due" in line.text]
    assert [line.split()[:2] for line in said] == [
        ["retention", "app.Author:"],
        ["*:", "prune_audit_log"],
    ]
    (metric,) = [
        line
        for line in prometheus.metrics([status.of("default")])
        if "retention_due_seconds{" in line
    ]
    assert float(metric.split()[-1]) > 49 * 86_400
    due = document.document(status.of("default"))["retention_due"]
    assert [one["entry"] for one in due] == ["app.Author", "*"]
    retained()
    assert status.of("default").overdue == ()


@pytest.mark.parametrize(
    ("table", "entry"), [("shop_gone", "*"), ("app_author", "app.Author"), ("", "*")]
)
def test_so_it_does_of_a_table_that_is_not_audited(settings: Any, table: str, entry: str) -> None:
    settings.AUDITREPR = {"RETENTION": {"app.Author": "2 days", "*": "1 day"}}
    Author.objects.create(name="Ann")
    sql(f"UPDATE auditrepr_auditlog SET table_name = '{table}' WHERE table_name = 'app_author'")
    Coverage.objects.filter(table_name="app_author").delete()
    aged(100)
    Tag.objects.create(label="young")
    assert prune.preview("default").by_entry == {"app.Author": 0, "*": 0} | {entry: 1}
    assert [one.entry for one in status.of("default").overdue] == [entry]
    retained()
    assert status.of("default").overdue == ()


def test_the_status_asks_nothing_without_an_entry(settings: Any) -> None:
    history()
    with CaptureQueriesContext(connection) as without:
        status.of("default")
    settings.AUDITREPR = {"RETENTION": {"app.*": "1 day", "app.Author": "150 days"}}
    status.of("default")  # renames are read once, and known for a minute
    with CaptureQueriesContext(connection) as few:
        status.of("default")
    assert len(few) == len(without) + 1
