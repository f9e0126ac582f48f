"""What was imported is read in the same place as what auditrepr has recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from auditrepr.models import AuditLog
from tests import old_log
from tests.app.models import Author
from tests.capturing import next_moment, sql
from tests.pages import LOG, page, reader
from tests.running import run

__all__ = ["reader"]
pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def author(settings: Any) -> Iterator[Author]:
    """One who has been called Ada, Ann and Bob; only the last change is auditrepr's own."""
    settings.AUDITREPR = old_log.SOURCES
    AuditLog.objects.all().delete()
    old_log.create()
    author = Author.objects.create(name="Ada")
    next_moment()
    Author.objects.update(name="Ann")
    old_log.switch()
    sql("""UPDATE old_log SET context = '{"user": "7", "reason": "marriage"}' WHERE action = 'U'""")
    Author.objects.update(name="Bob")
    call_command("import_audit_log", "ours", verbosity=0)
    run()
    yield author
    old_log.drop()


def test_the_history_of_an_object_reaches_back_over_the_switch(reader: Client, author: Author):
    said = page(reader, f"{LOG}object/?table_name=app_author&object_id={author.pk}")
    # The heading has only today's name.
    assert said.rindex("Ada") < said.rindex("Ann") < said.rindex("Bob")
    assert "marriage" in said


def test_the_page_of_an_event_says_where_it_comes_from(reader: Client, author: Author):
    first = AuditLog.objects.earliest("pk")
    said = page(reader, f"{LOG}{first.pk}/change/")
    assert "imported_from" in said
    assert "ours" in said


def test_its_events_say_what_it_was_and_what_changed(author: Author):
    events = list(AuditLog.objects.for_object(author).order_by("pk"))
    assert [event.representation for event in events] == ["Ada", "Ann", "Bob"]
    assert [event.changes for event in events] == [
        {}, {"name": ("Ada", "Ann")}, {"name": ("Ann", "Bob")},
    ]  # fmt: skip
