"""Tests that an attached log reads as one of our own: search, filters, pages, exports, the past."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

import auditrepr
from auditrepr.capture import search_index
from auditrepr.models import AuditLog, ChangedValues, InstanceRepr, ReprFailure
from auditrepr.readers import search
from auditrepr.vendors.types import Window
from tests.app.models import Author, Book
from tests.attaching.attached import attach
from tests.capturing import sql
from tests.pages import FAILURES, LOG, ids, page, reader, words
from tests.running import run

__all__ = ["reader"]
pytestmark = [
    pytest.mark.proof,
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.usefixtures("supa_audit"),
]


WHO = "00000000-0000-0000-0000-000000000007"


@pytest.fixture
def _indexed(settings: Any) -> Iterator[None]:
    """The setting for the search index, which attaching installs or keeps."""
    sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    settings.AUDITREPR = {**getattr(settings, "AUDITREPR", {}), "SEARCH": True}
    search_index.install("default")
    yield
    settings.AUDITREPR = {**settings.AUDITREPR, "SEARCH": False}
    search_index.install("default")


@pytest.mark.usefixtures("_indexed")
def test_the_index_finds_old_events_and_new_ones() -> None:
    Author.objects.create(name="Old Ann")
    Author.objects.update(name="Older Bea")
    attach("supa_audit")
    run()
    Author.objects.create(name="New Cid")
    Author.objects.update(name="Newer Eve")
    run()
    by = search_index.index("default")
    assert by is not None
    assert by.anywhere
    assert ChangedValues.objects.exists()
    everything = list(AuditLog.objects.order_by("-pk").values_list("pk", flat=True))

    def found(text: str) -> list[int]:
        result = search.find("default", by, text, Window(None, None), forward=False)
        assert (result.last, result.no_values_upto) == (None, None)
        return list(result.ids)

    # The last two changed both authors: each has an old value, and a new one.
    by_cid, by_ann, cid, second, first = everything
    assert found("old ann") == [second, first]
    assert found("older") == [by_ann, second]
    assert found("ew cid") == [by_cid, cid]
    assert found("newer") == [by_cid, by_ann]


@pytest.mark.usefixtures("_indexed")
def test_the_index_is_made_again_after_the_other_logs_owner_changes_events(settings: Any) -> None:
    """As the documentation says: SEARCH off, migrate, on, migrate; and rebuild_reprs."""
    Author.objects.create(name="Ann Smith")
    attach("supa_audit")
    Author.objects.update(name="Bea Smith")
    run()
    sql(
        "UPDATE audit.record_version SET record = jsonb_set(record, '{name}', '\"***\"'),"
        " old_record = jsonb_set(old_record, '{name}', '\"***\"')"
    )
    for on in (False, True):
        settings.AUDITREPR = {**settings.AUDITREPR, "SEARCH": on}
        call_command("migrate", verbosity=0)
    call_command("rebuild_reprs", verbosity=0)
    by = search_index.index("default")
    assert by is not None
    found = [
        search.find("default", by, text, Window(None, None), forward=False).ids
        for text in ("smith", "***")
    ]
    assert [len(ids) for ids in found] == [0, 2]
    assert set(InstanceRepr.objects.values_list("instance_repr", flat=True)) == {"***"}


def test_the_list_is_searched_and_filtered(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    attach("supa_audit")
    Author.objects.update(name="Bea")
    Book.objects.create(title="Go", author=author)
    run()
    sql(f"SET test.uid = '{WHO}'")
    Author.objects.update(name="Cid")
    sql("RESET test.uid")
    first, second, book, third = AuditLog.objects.order_by("pk").values_list("pk", flat=True)
    ReprFailure.objects.create(audit_log_id=second, error_class="E")
    InstanceRepr.objects.filter(pk=second).delete()
    for query, found in {
        "": [third, book, second, first],
        "text=ann": [second, first],  # by its new and its old name
        "text=cid": [third],
        "table_name=app_author": [third, second, first],
        f"table_name=app_author&object_id={author.pk}": [third, second, first],
        "table_name=app_author&field=name": [third, second],
        "action__exact=I": [book, first],
        f"actor={WHO}": [third],
        "state=mixed": [book],
        "state=pending": [third],
        "state=final": [second],
        "since=2000-01-01": [third, book, second, first],
        "until=2000-01-01": [],
    }.items():
        assert ids(reader, f"{LOG}?{query}") == found, query
    assert "Author" in words(page(reader, FAILURES))


def test_an_objects_history_and_what_it_was(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    attach("supa_audit")
    between = datetime.now(UTC)
    Author.objects.update(name="Bea")
    run()
    text = words(page(reader, f"{LOG}object/?table_name=app_author&object_id={author.pk}"))
    assert text.index("added Ann") < text.index("changed Bea")
    then = auditrepr.as_of(author, between)
    assert then.name == "Ann"
    assert auditrepr.doubts(then) == [
        "recorded by supa_audit, which does not record what a transaction saw"
    ]
    moment = between.isoformat().replace("+", "%2B")
    url = f"{LOG}object/as-of/?table_name=app_author&object_id={author.pk}&at={moment}"
    assert "Ann" in words(page(reader, url))
    with auditrepr.past():
        assert str(auditrepr.as_of(author, between)) == "Ann"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_exports_have_old_events_and_new_ones(form: str, reader: Client) -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    Author.objects.update(name="Bea")
    run()
    out = StringIO()
    call_command("export_audit_log", "--format", form, stdout=out)
    answer: Any = reader.get(f"{LOG}?export={form}")
    downloaded = b"".join(answer.streaming_content).decode()
    for text in (out.getvalue(), downloaded):
        assert text.index("Ann") < text.index("Bea")
        assert "complete" in text


def test_an_export_follows_the_log(tmp_path: Path) -> None:
    Author.objects.create(name="Ann")
    attach("supa_audit")
    run()
    options = ["--format", "jsonl", "--position-file", str(tmp_path / "position")]

    def more() -> list[str]:
        out = StringIO()
        call_command("export_audit_log", *options, stdout=out)
        lines = map(json.loads, out.getvalue().splitlines())
        return [line["representation"] for line in lines if "id" in line]

    assert more() == ["Ann"]
    assert more() == []
    Author.objects.update(name="Bea")
    assert more() == [], "it is pending"
    run()
    assert more() == ["Bea"]
