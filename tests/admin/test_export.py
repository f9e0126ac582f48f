"""Tests exports from the pages: the same events, the same permissions, whole values."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.db import OperationalError, connection
from django.test import AsyncClient, Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone

from auditrepr.admin import AuditHistoryMixin
from auditrepr.admin import export as view
from auditrepr.models import AuditLog
from auditrepr.readers import export
from auditrepr.readers.export_formats import FORMATS
from auditrepr.readers.export_records import COLUMNS
from tests.app.models import Author
from tests.pages import LOG, event, fail, link, page, reader, staff

__all__ = ["reader"]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

site = admin.AdminSite()
site._registry.update(admin.site._registry)
site.register(Author, type("ShelfAdmin", (AuditHistoryMixin, admin.ModelAdmin), {}))
urlpatterns = [path("admin/", site.urls)]
HISTORY = f"{LOG}object/?table_name=app_author&object_id="


@pytest.fixture(autouse=True)
def _empty() -> None:
    AuditLog.objects.all().delete()


def body(client: Client, url: str) -> bytes:
    response = client.get(url)
    assert response.status_code == 200
    assert response.streaming
    return b"".join(response.streaming_content)


def exported(client: Client, url: str) -> list[dict[str, Any]]:
    """The lines of a JSON Lines export; the last one says how it ended."""
    query = "&" if "?" in url else "?"
    return [json.loads(line) for line in body(client, f"{url}{query}export=jsonl").splitlines()]


def ids(client: Client, url: str = LOG) -> list[int]:
    *found, last = exported(client, url)
    assert last["end"] == "complete"
    assert last["events"] == len(found)
    return [record["id"] for record in found]


@pytest.mark.proof
def test_the_list_links_to_a_file_with_all_its_pages_and_its_filters(reader: Client) -> None:
    for pk in range(1, 121):
        event(pk, text=f"Author {pk}", action="I" if pk % 2 else "U")
    url = f"{LOG}?action__exact=I&before=90"
    for label in ("Export as JSON Lines", "Export as CSV"):
        target = link(page(reader, url), label)
        assert target
        assert "action__exact=I" in target
        assert "before" not in target
    found = body(reader, LOG + str(link(page(reader, url), "Export as JSON Lines")))
    *records, last = map(json.loads, found.splitlines())
    assert [record["id"] for record in records] == list(range(1, 121, 2))
    assert records[0]["representation"] == "Author 1"
    assert last == {"end": "complete", "events": 60, "continue_from": "start"}


def test_it_is_a_download_that_no_proxy_collects_and_no_cache_keeps(reader: Client) -> None:
    event(1)
    for name in FORMATS:
        response = reader.get(f"{LOG}?export={name}")
        assert re.fullmatch(
            rf'attachment; filename="audit-log-\d{{4}}-\d\d-\d\d\.{name}"',
            response["Content-Disposition"],
        )
        assert response["X-Accel-Buffering"] == "no"
        assert "no-store" in response["Cache-Control"]
    assert reader.get(f"{LOG}?export=csv")["Content-Type"] == "text/csv; charset=utf-8"


def test_csv_opens_in_a_spreadsheet(reader: Client) -> None:
    event(1, text="=HYPERLINK(1)", context={"user": "@x", "user_name": "<b>", "reason": "\x1b[2J"})
    text = body(reader, f"{LOG}?export=csv").decode()
    assert text.startswith("\ufeff")
    head, row, last = csv.reader(io.StringIO(text[1:], newline=""))
    found = dict(zip(head, row, strict=True))
    assert found["representation"] == "'=HYPERLINK(1)"
    assert found["actor"] == "'@x"
    assert found["changed_by"] == "<b>"
    assert found["reason"] == "\\x1b[2J"
    assert last[:2] == ["end", "complete"]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("?table_name=app_author", [1, 2, 4, 5]),
        ("?actor=7", [2]),
        ("?object_id=4", [4]),
        ("?q=4", [4]),
        ("?state=mixed", [2]),
        ("?state=failed", [4]),
        ("?state=pending", [5]),
        ("?text=ann", [1, 2]),
        ("?text=ann&actor=7", [2]),
        ("?text=nobody", []),
        ("?since={today}", [3, 4, 5]),
        ("?until={yesterday}", [1, 2]),
        ("?after=2", [3, 4, 5]),
        ("?before=3&text=ann", [1, 2]),
    ],
)
def test_each_filter_of_the_list_is_one_of_the_export(
    reader: Client, query: str, wanted: list[int]
) -> None:
    now = timezone.localtime()
    old = now - timedelta(days=3)
    event(1, text="Ann", occurred_at=old)
    event(2, text="Anne", mixed="guessed", context={"user": "7"}, occurred_at=old)
    event(3, text="Bea", table_name="bygone", object_id="b", occurred_at=now)
    fail(event(4, occurred_at=now))
    event(5, occurred_at=now)
    days = {"today": now.date(), "yesterday": now.date() - timedelta(days=1)}
    assert ids(reader, LOG + query.format(**days)) == wanted


def test_a_search_without_an_index_reads_as_far_as_the_log_does(reader: Client) -> None:
    for pk in range(1, 8):
        event(pk, text="Ann" if pk in (1, 7) else "Bea")
    with patch("auditrepr.readers.search.LOOKED_AT", 2):
        assert ids(reader, f"{LOG}?text=ann") == [1, 7]
    with patch("auditrepr.readers.search.MOST", 2):
        assert ids(reader, f"{LOG}?text=bea") == [2, 3, 4, 5, 6]


def test_what_is_pending_is_not_built_and_says_so(reader: Client) -> None:
    event(1)
    first, _ = exported(reader, LOG)
    assert (first["representation"], first["fidelity"], first["pending"]) == (None, None, True)


def test_only_events_of_models_that_the_user_may_view_are_in_it() -> None:
    event(1, text="Ann")
    event(2, text="hidden", table_name="app_book")
    event(3, text="hidden", table_name="bygone")
    assert ids(staff("view_auditlog", "view_author")) == [1]
    with override_settings(AUDITREPR={"MODEL_PERMISSIONS": False}):
        assert ids(staff("view_auditlog", name="other")) == [1, 2, 3]


def test_who_may_not_open_the_page_gets_no_file(client: Client) -> None:
    event(1)
    assert client.get(f"{LOG}?export=csv").status_code == 302
    assert staff("view_author").get(f"{LOG}?export=csv").status_code == 403


@pytest.mark.parametrize("query", ["transaction_id=x", "after=x", "text=%00"])
def test_a_filter_that_cannot_be_read_leads_to_the_list_as_it_does_there(
    reader: Client, query: str
) -> None:
    response = reader.get(f"{LOG}?export=csv&{query}")
    assert (response.status_code, response["Location"]) in ((302, f"{LOG}?e=1"), (400, ""))


def test_an_unknown_format_is_not_found(reader: Client) -> None:
    assert reader.get(f"{LOG}?export=xlsx").status_code == 404
    assert reader.get(f"{HISTORY}1&export=").status_code == 404


# --- an object's history -------------------------------------------------------------------------


@pytest.mark.proof
def test_the_history_of_an_object_links_to_all_of_it(reader: Client) -> None:
    for pk in range(1, 131):
        event(pk, text="Ann", object_id="1", action="U", changed_from={"name": "Anne"})
    event(131, object_id="2")
    for url in (f"{HISTORY}1", f"{HISTORY}1&after=100"):
        html = page(reader, url)
        assert link(html, "Export as CSV")
        target = str(link(html, "Export as JSON Lines"))
        found = body(reader, f"{LOG}object/{target}").splitlines()
        assert [json.loads(line)["id"] for line in found[:-1]] == list(range(1, 131))


@pytest.mark.proof
def test_the_history_button_has_it_too_for_who_may_read_the_log() -> None:
    author = Author.objects.create(name="Ann")
    url = f"/admin/app/author/{author.pk}/history/"
    auditor = staff("view_auditlog", "view_author")
    assert link(page(auditor, url), "Export as CSV")
    (record, last) = exported(auditor, url)
    assert (record["object_id"], last["end"]) == (str(author.pk), "complete")
    other = staff("view_author", name="other")
    assert link(page(other, url), "Export as CSV") is None
    for name in ("csv", "nope"):
        assert other.get(f"{url}?export={name}").status_code == 403


def test_a_history_that_a_user_may_not_see_is_no_file() -> None:
    event(1, table_name="app_book")
    url = f"{LOG}object/?table_name=app_book&object_id=1&export=csv"
    assert staff("view_auditlog", "view_author").get(url).status_code == 403


# --- for as long as it takes ---------------------------------------------------------------------


@pytest.mark.proof
def test_nothing_is_read_before_it_is_sent(reader: Client, monkeypatch) -> None:
    monkeypatch.setattr(export, "PAGE", 10)
    for pk in range(1, 101):
        event(pk)
    response = reader.get(f"{LOG}?export=jsonl")
    parts = iter(response.streaming_content)
    with CaptureQueriesContext(connection) as queries:
        next(parts)
    assert len(queries) <= 5
    assert sum(part.count(b"\n") for part in parts) > 80
    response.close()


def test_a_long_search_is_no_long_silence(monkeypatch) -> None:
    monkeypatch.setattr(view, "SILENCE", -1.0)
    for form in (one() for one in FORMATS.values()):
        record = dict.fromkeys(COLUMNS) | {"id": 1, "changes": {}}
        whole = [form.head(), b"", b"", form.line(record), b"", form.end(end="complete")]
        parts = list(view._patient(iter(whole), form))
        assert len(parts) >= 4
        sent = b"".join(parts)
        assert sent.replace(b" ", b"") == b"".join(whole).replace(b" ", b"")
        if form.suffix == "csv":
            assert sent == b"".join(whole)
        else:
            assert json.loads(sent.splitlines()[0])["id"] == 1


def test_an_error_on_the_way_is_said_and_ends_the_connection(reader: Client, monkeypatch) -> None:
    monkeypatch.setattr(export, "PAGE", 1)
    event(1)
    event(2)
    real = export.RecordMaker.record

    def record(self: Any, found: AuditLog) -> Any:
        if found.pk == 2:
            raise OperationalError("the server is gone")
        return real(self, found)

    monkeypatch.setattr(export.RecordMaker, "record", record)
    response = reader.get(f"{LOG}?export=jsonl")
    sent: list[bytes] = []
    with pytest.raises(OperationalError):
        sent.extend(response.streaming_content)
    first, last = map(json.loads, b"".join(sent).splitlines())
    assert first["id"] == 1
    assert last == {"end": "error", "events": 1, "continue_from": 1}
    monkeypatch.undo()
    assert ids(reader, f"{LOG}?after=1") == [2]


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_server_gets_it_in_parts_too(reader: Client, monkeypatch) -> None:
    monkeypatch.setattr(export, "PAGE", 10)
    for pk in range(1, 51):
        event(pk)
    client = AsyncClient()
    client.cookies = reader.cookies

    async def parts() -> list[bytes]:
        response = await client.get(f"{LOG}?export=jsonl")
        assert response.is_async
        return [part async for part in response.streaming_content]

    found = async_to_sync(parts)()
    assert len(found) >= 5
    assert len(b"".join(found).splitlines()) == 51
