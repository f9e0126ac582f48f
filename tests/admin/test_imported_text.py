"""Events of which only another log's text is known are read as such on every page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from auditrepr.models import AuditLog, InstanceRepr
from tests import old_log
from tests.app.models import Author
from tests.capturing import next_moment, sql
from tests.pages import LOG, page, reader, words
from tests.running import run

__all__ = ["reader"]
pytestmark = pytest.mark.django_db(transaction=True)


def select(using: str) -> str:
    return (
        "SELECT number AS position, table_name, object_id, action, NULL AS row_data, occurred_at,"
        " note AS text FROM old_log"
    )


@pytest.fixture
def author(settings: Any) -> Iterator[Author]:
    """One of whom the old log knows only what she was called: Ada, then Ann."""
    settings.AUDITREPR = {"SOURCES": {"ours": f"{__name__}.select"}}
    AuditLog.objects.all().delete()
    old_log.create()
    author = Author.objects.create(name="Ada")
    next_moment()
    Author.objects.update(name="Ann")
    old_log.switch()
    sql("UPDATE old_log SET note = CASE action WHEN 'I' THEN 'Ada, once' ELSE 'Ann, later' END")
    sql("UPDATE old_log SET row_data = NULL, changed_from = NULL")
    Author.objects.update(name="Bob")
    call_command("import_audit_log", "ours", verbosity=0)
    yield author
    old_log.drop()


@pytest.mark.proof
@pytest.mark.parametrize("stored", [False, True])
def test_its_history_shows_the_texts(reader: Client, author: Author, stored: bool):
    if stored:
        run()
    said = page(reader, f"{LOG}object/?table_name=app_author&object_id={author.pk}")
    assert said.rindex("Ada, once") < said.rindex("Ann, later") < said.rindex("Bob")


def test_the_page_of_an_event_shows_the_text_and_no_field(reader: Client, author: Author):
    run()
    first = AuditLog.objects.earliest("pk")
    said = page(reader, f"{LOG}{first.pk}/change/")
    assert "Ada, once" in said
    assert "as ours stored it" in said


@pytest.mark.proof
def test_the_object_as_it_was_has_no_invented_fields(reader: Client, author: Author):
    first = AuditLog.objects.earliest("pk")
    for asked in (f"event={first.pk}", f"at={first.occurred_at:%Y-%m-%d+%H:%M:%S.%f}"):
        said = page(
            reader, f"{LOG}object/as-of/?table_name=app_author&object_id={author.pk}&{asked}"
        )
        assert "ID (not recorded) Name (not recorded)" in words(said)
        assert "Bob" not in words(said)


def test_its_own_events_are_as_exact_as_ever(author: Author):
    run()
    events = list(AuditLog.objects.for_object(author).order_by("pk"))
    assert [event.representation for event in events] == ["Ada, once", "Ann, later", "Bob"]
    fidelities = InstanceRepr.objects.order_by("pk").values_list("fidelity", flat=True)
    assert list(fidelities) == ["M", "M", "E"]
    assert events[2].changes == {"name": ("Ann", "Bob")}
