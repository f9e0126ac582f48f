"""Tests the pages and commands between a new version and its ``migrate``."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client

from auditrepr.job import status
from auditrepr.models import AuditLog
from tests.app.models import Author
from tests.knowing import earlier
from tests.pages import FAILURES, LOG, RUNS, fail, page, reader, words
from tests.unmigrated import at, own_migrations

__all__ = ["reader"]
pytestmark = pytest.mark.django_db(transaction=True)

FIRST, *BETWEEN, BEFORE, LAST = own_migrations()
PENDING = f'Database "default" has unapplied migrations: auditrepr.{LAST}.'


def said(command: str, *arguments: str, **options: Any) -> tuple[str, str]:
    """What a command writes to standard output and to standard error."""
    out, err = StringIO(), StringIO()
    call_command(command, *arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


#: Those in between tell less, and take as long.
EARLIER = [FIRST, *(pytest.param(name, marks=pytest.mark.proof) for name in BETWEEN), BEFORE]


@pytest.mark.parametrize("name", EARLIER)
def test_no_page_breaks_while_the_tables_are_of_an_earlier_version(
    reader: Client, name: str
) -> None:
    author = Author.objects.create(name="Ada")
    group = Group.objects.create(name="Readers")
    fail(AuditLog.objects.earliest("pk"))
    event = AuditLog.objects.get(table_name="app_author").pk
    of_author = f"table_name=app_author&object_id={author.pk}"
    with at(name):
        for url in (
            LOG,
            f"{LOG}?text=Ada",
            f"{LOG}?state=pending",
            f"{LOG}?export=csv",
            f"{LOG}{event}/change/",
            f"{LOG}object/?{of_author}",
            f"{LOG}object/as-of/?{of_author}&event={event}",
            f"{LOG}object/put-back/?{of_author}&event={event}",
            FAILURES,
            RUNS,
            f"/admin/auth/group/{group.pk}/history/",
        ):
            answer = reader.get(url)
            assert answer.status_code in (200, 302, 503), url
            if answer.status_code == 503:
                assert "Run: manage.py migrate --database default" in words(answer.content.decode())
    assert "Ada" in page(reader, LOG)


def test_what_a_page_needs_is_named(reader: Client) -> None:
    with at(BEFORE):
        for answer in (reader.get(RUNS), reader.post(f"{RUNS}cancel/")):
            assert answer.status_code == 503
            assert answer["Retry-After"] == "60"
            assert PENDING in words(answer.content.decode())


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
