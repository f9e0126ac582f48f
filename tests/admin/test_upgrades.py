"""Tests the pages and commands between a new version and its ``migrate``."""

from __future__ import annotations

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

from auditrepr.admin import AuditHistoryMixin
from auditrepr.job import status
from auditrepr.job.rounds import shares
from auditrepr.models import AuditLog
from tests.app.models import Author
from tests.knowing import earlier
from tests.pages import FAILURES, LOG, RUNS, fail, page, reader, words
from tests.unmigrated import at, own_migrations

__all__ = ["reader"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]

site = AdminSite()
site._registry.update(admin.site._registry)
site.register(Author, AuditHistoryMixin)
urlpatterns = [path("admin/", site.urls)]

EVERY = own_migrations()
FIRST, *OTHERS = EVERY
#: Pages read the shares.
AT = OTHERS.index("0007_shares")
BEFORE, MISSING = OTHERS[AT - 1], OTHERS[AT:]
NAMES = ", ".join(f"auditrepr.{name}" for name in MISSING)
PENDING = f'Database "default" has unapplied migrations: {NAMES}.'


def said(command: str, *arguments: str, **options: Any) -> tuple[str, str]:
    """What a command writes to standard output and to standard error."""
    out, err = StringIO(), StringIO()
    call_command(command, *arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    "name", [FIRST, *(pytest.param(one, marks=pytest.mark.proof) for one in OTHERS)]
)
def test_pages_answer_before_a_migration_unless_they_need_it(reader: Client, name: str) -> None:
    author = Author.objects.create(name="Ada")
    fail(AuditLog.objects.earliest("pk"))
    event = AuditLog.objects.get(table_name="app_author").pk
    of_author = f"table_name=app_author&object_id={author.pk}"
    needs = {
        LOG: FIRST,
        f"{LOG}?text=Ada": FIRST,
        f"{LOG}?state=pending": FIRST,
        f"{LOG}?export=csv": FIRST,
        f"{LOG}{event}/change/": FIRST,
        f"{LOG}object/?{of_author}": "0005_related_objects",
        f"{LOG}object/as-of/?{of_author}&event={event}": FIRST,
        f"{LOG}object/put-back/?{of_author}&event={event}": FIRST,
        FAILURES: FIRST,
        RUNS: "0007_shares",
        f"/admin/app/author/{author.pk}/history/": "0005_related_objects",
    }
    applied = EVERY[: EVERY.index(name) + 1]
    with at(name):
        for url, needed in needs.items():
            answer = reader.get(url)
            assert answer.status_code == (200 if needed in applied else 503), url
            if answer.status_code == 503:
                assert "Run: manage.py migrate --database default" in words(answer.content.decode())
    assert "Ada" in page(reader, LOG)


def test_what_a_page_needs_is_named(reader: Client) -> None:
    with at(BEFORE):
        for answer in (reader.get(RUNS), reader.post(f"{RUNS}cancel/")):
            assert answer.status_code == 503
            assert answer["Retry-After"] == "60"
            assert PENDING in words(answer.content.decode())


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

    monkeypatch.setattr(status, "progress", broken)
    with pytest.raises(OperationalError, match="disk"):
        reader.get(RUNS)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("rebuild_reprs", {}),
        ("backfill_status", {"cancel": True}),
        ("prune_audit_log", {"before": "2020-01-01", "interactive": False}),
    ],
)
def test_what_would_write_names_the_migration(command: str, options: dict[str, Any]) -> None:
    with at(BEFORE), pytest.raises(CommandError) as raised:
        said(command, **options)
    assert PENDING in str(raised.value)


@pytest.mark.parametrize("form", ["text", "json", "prometheus"])
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


def test_but_events_that_have_waited_for_too_long_are() -> None:
    Author.objects.create(name="Ada")
    with at(BEFORE), pytest.raises(CommandError, match="has waited"):
        said("backfill_status", max_lag="0s")
