"""Tests the pages and commands between a new version and its ``migrate``."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections
from django.test import Client
from django.urls import path
from django.utils import timezone

from auditrepr.admin import AuditHistoryMixin
from auditrepr.job.monitoring import summary
from auditrepr.job.rounds import shares
from auditrepr.models import AuditLog
from auditrepr.readers import export
from auditrepr.readers.export_formats import FORMATS
from tests.app.models import Author, Book, Tag
from tests.capturing import sql
from tests.knowing import earlier
from tests.pages import FAILURES, LOG, RUNS, fail, page, reader, words
from tests.unmigrated import at, own_migrations, unmigrated
from tests.unreachable import unreachable

__all__ = ["reader"]
# Most go back to an earlier migration, and so take seconds: those are proofs.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]

site = AdminSite()
site._registry.update(admin.site._registry)
for model in (Author, Book):
    site.register(model, AuditHistoryMixin)
urlpatterns = [path("admin/", site.urls)]

EVERY = own_migrations()
FIRST, *OTHERS = EVERY
#: Pages read the shares.
AT = OTHERS.index("0007_shares")
BEFORE, MISSING = OTHERS[AT - 1], OTHERS[AT:]
OBJECT = f"{LOG}object/?table_name=app_book&object_id={{}}&"
BUTTON = "/admin/app/book/{}/history/?"
PENDING = 'Database "default" has unapplied migrations of auditrepr.'


def said(command: str, *arguments: str, **options: Any) -> tuple[str, str]:
    """What a command writes to standard output and to standard error."""
    out, err = StringIO(), StringIO()
    call_command(command, *arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def pages() -> dict[str, str]:
    """Make objects; return the address of each page, with the migration that it needs."""
    author = Author.objects.create(name="Ada")
    fail(AuditLog.objects.earliest("pk"))
    event = AuditLog.objects.get(table_name="app_author").pk
    of_author = f"table_name=app_author&object_id={author.pk}"
    book = Book.objects.create(title="Emma", author=author)
    related = "0005_related_objects"
    return {
        LOG: FIRST,
        f"{LOG}?text=Ada": FIRST,
        f"{LOG}?state=pending": FIRST,
        **{f"{LOG}?export={form}": FIRST for form in FORMATS},
        f"{LOG}?export=csv&text=Ada": FIRST,
        f"{LOG}?export=csv&state=final": FIRST,
        f"{LOG}{event}/change/": FIRST,
        f"{LOG}object/?{of_author}": related,
        f"{LOG}object/?{of_author}&export=csv&related=1": FIRST,  # no many-to-many field
        f"{OBJECT.format(book.pk)}export=csv": related,
        f"{LOG}object/as-of/?{of_author}&event={event}": FIRST,
        f"{LOG}object/put-back/?{of_author}&event={event}": FIRST,
        FAILURES: FIRST,
        RUNS: "0013_erasures",
        f"/admin/app/author/{author.pk}/history/": related,
        f"{BUTTON.format(book.pk)}export=csv": related,
    }


def check_pages(reader: Client, needs: dict[str, str], name: str) -> None:
    """Check each page, where this migration is the last one that is applied."""
    applied = EVERY[: EVERY.index(name) + 1]
    for url, needed in needs.items():
        answer = reader.get(url)
        assert answer.status_code == (200 if needed in applied else 503), (url, name)
        if answer.streaming:  # nothing that comes late breaks it
            assert b"complete" in b"".join(answer.streaming_content), (url, name)
        if answer.status_code == 503:
            assert "Run: manage.py migrate --database default" in words(answer.content.decode())


@pytest.mark.proof
def test_pages_answer_before_a_migration_unless_they_need_it(reader: Client) -> None:
    needs = pages()
    with at(FIRST, audited=True):
        check_pages(reader, needs, FIRST)
    assert "Ada" in page(reader, LOG)


@pytest.mark.proof
def test_pages_answer_before_each_migration_unless_they_need_it(reader: Client) -> None:
    needs = pages()
    for name in reversed(OTHERS):
        call_command("migrate", "auditrepr", name, verbosity=0)
        check_pages(reader, needs, name)
    call_command("migrate", "auditrepr", verbosity=0)
    assert "Ada" in page(reader, LOG)


@pytest.mark.parametrize("url", [OBJECT, BUTTON])
@pytest.mark.proof
def test_an_export_that_would_break_does_not_begin(reader: Client, url: str) -> None:
    book = Book.objects.create(title="Emma")
    book.tags.add(Tag.objects.create(label="novel"))
    url = f"{url.format(book.pk)}export=jsonl"
    with at(FIRST):
        answer = reader.get(url)
        assert answer.status_code == 503
        assert "Run: manage.py migrate --database default" in words(answer.content.decode())
    assert b"tag_id" in b"".join(reader.get(url).streaming_content)


@pytest.mark.proof
@pytest.mark.parametrize("table", ["auditrepr_instancerepr", "auditrepr_reprfailure"])
def test_nor_does_one_that_needs_what_is_missing_later(
    reader: Client, monkeypatch: Any, table: str
) -> None:
    """In its first pages there is no event, and then there is one."""
    monkeypatch.setattr(export, "WIDTH", 1)
    for name in ("Ada", "Bea"):
        Author.objects.create(name=name)
    url = f"{LOG}?export=csv&object_id={Author.objects.latest('pk').pk}"
    sql(f"ALTER TABLE {table} RENAME TO elsewhere")
    try:
        with unmigrated():
            assert reader.get(url).status_code == 503
    finally:
        sql(f"ALTER TABLE elsewhere RENAME TO {table}")
    assert b"Bea" in b"".join(reader.get(url).streaming_content)


@pytest.mark.proof
def test_what_a_page_needs_is_named(reader: Client) -> None:
    with at(BEFORE):
        for answer in (reader.get(RUNS), reader.post(f"{RUNS}cancel/")):
            assert answer.status_code == 503
            assert answer["Retry-After"] == "60"
            assert PENDING in words(answer.content.decode())


@pytest.mark.proof
def test_it_is_named_within_the_transaction_of_a_request_too(
    reader: Client, monkeypatch: Any
) -> None:
    author = Author.objects.create(name="Ada")
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    with at("0001_initial"):
        for url in (RUNS, f"/admin/app/author/{author.pk}/history/"):
            answer = reader.get(url)
            assert answer.status_code == 503
            assert "Run: manage.py migrate --database default" in words(answer.content.decode())


def test_a_page_changes_all_or_nothing_where_requests_do(reader: Client, monkeypatch: Any) -> None:
    def broken(using: str) -> None:
        Author.objects.create(name="Ada")
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(shares, "void", broken)
    with pytest.raises(OperationalError, match="disk"):
        reader.post(f"{RUNS}cancel/")
    assert Author.objects.exists()
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    Author.objects.all().delete()
    with pytest.raises(OperationalError, match="disk"):
        reader.post(f"{RUNS}cancel/")
    assert not Author.objects.exists()


def test_an_error_of_another_kind_is_no_upgrade(reader: Client, monkeypatch: Any) -> None:
    def broken(using: str) -> None:
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(summary, "of", broken)
    with pytest.raises(OperationalError, match="disk"):
        reader.get(RUNS)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("rebuild_reprs", {}),
        ("backfill_status", {"cancel": True}),
        ("prune_audit_log", {"before": "2020-01-01", "interactive": False}),
        ("seal_audit_log", {}),
        ("verify_audit_log", {}),
    ],
)
@pytest.mark.proof
def test_what_would_write_names_the_migration(command: str, options: dict[str, Any]) -> None:
    with at(BEFORE), pytest.raises(CommandError) as raised:
        said(command, **options)
    assert PENDING in str(raised.value)


@pytest.mark.parametrize("form", ["text", "json", "prometheus"])
@pytest.mark.proof
def test_the_status_is_no_alarm_before_a_deployment_would_be_over(form: str) -> None:
    with at(BEFORE):
        _, err = said("backfill_status", format=form, max_lag="10m")
        assert PENDING in err
        assert said("backfill_reprs") == ("", "")  # but a run notes what it has found
        said("backfill_status", format=form)
        earlier(timedelta(minutes=11))
        with pytest.raises(CommandError) as raised:
            said("backfill_status", format=form)
        assert PENDING in str(raised.value)


@pytest.mark.parametrize("late", [False, True], ids=["deploying", "too late"])
@pytest.mark.proof
def test_monitoring_is_told_meanwhile_what_is_known(late: bool) -> None:
    Author.objects.create(name="Ada")
    AuditLog.objects.update(occurred_at=timezone.now() - timedelta(hours=2))
    with at(BEFORE):
        said("backfill_reprs")
        earlier(timedelta(minutes=11 if late else 9))
        printed = {}
        for form in ("prometheus", "json"):
            out = StringIO()
            with pytest.raises(CommandError) if late else nullcontext():
                call_command("backfill_status", format=form, stdout=out, stderr=StringIO())
            printed[form] = out.getvalue()
    samples = dict(
        re.findall(r'^(auditrepr_\w+)\{database="default"\} (\S+)$', printed["prometheus"], re.M)
    )
    assert samples.keys() == {
        "auditrepr_up",
        "auditrepr_lag_seconds",
        "auditrepr_migrations_pending",
    }
    assert samples["auditrepr_up"] == "0"
    assert samples["auditrepr_migrations_pending"] == str(len(MISSING))
    assert float(samples["auditrepr_lag_seconds"]) == pytest.approx(7200, abs=60)
    (document,) = json.loads(printed["json"])
    assert document["migrations_pending"] == [f"auditrepr.{name}" for name in MISSING]
    assert document["lag_seconds"] == pytest.approx(7200, abs=60)
    assert PENDING in document["error"]
    assert (
        'auditrepr_migrations_pending{database="default"} 0\n'
        in said("backfill_status", format="prometheus")[0]
    )


@pytest.mark.proof
def test_where_there_is_no_log_at_all_its_first_migration_is_pending() -> None:
    out = StringIO()
    call_command("migrate", "auditrepr", "zero", verbosity=0)
    try:
        with pytest.raises(CommandError):
            call_command("backfill_status", format="prometheus", stdout=out)
    finally:
        call_command("migrate", verbosity=0)
    count = len(own_migrations())
    assert f'auditrepr_migrations_pending{{database="default"}} {count}\n' in out.getvalue()
    assert "auditrepr_lag_seconds{" not in out.getvalue()


@pytest.mark.proof
def test_but_events_that_have_waited_for_too_long_are() -> None:
    Author.objects.create(name="Ada")
    with at(BEFORE), pytest.raises(CommandError, match="has waited"):
        said("backfill_status", max_lag="0s")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize(
    "url", [f"{LOG}?", f"{FAILURES}?", f"{RUNS}?", f"{LOG}object/?table_name=app_book&object_id=1&"]
)
def test_a_log_that_cannot_be_reached_is_a_page_and_a_line_of_the_log(
    reader: Client, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with unreachable("other"):
        answer = reader.get(f"{url}database=other")
        assert reader.get(LOG).status_code == 200
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    shown = words(answer.content.decode())
    assert "Database “other” cannot be reached." in shown
    assert "nonexistent" not in shown
    (record,) = [r for r in caplog.records if r.name == "auditrepr.admin"]
    assert 'Could not connect to database "other": ' in record.getMessage()
