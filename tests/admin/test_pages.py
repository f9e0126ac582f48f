from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditrepr.admin import keyset
from auditrepr.admin.keyset import LOOKED_AT
from auditrepr.models import AuditLog, BackfillRun, InstanceRepr, ReprFailure
from tests.app.models import Author, Book
from tests.capturing import sql
from tests.pages import (
    FAILURES,
    LOG,
    RUNS,
    event,
    fail,
    ids,
    link,
    page,
    reader,
    staff,
    words,
)  # fmt: skip

__all__ = ["reader"]

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"


def test_lists_newest_first_with_action_model_object_representation_and_change(
    reader: Client,
) -> None:
    event(1, text="Ada")
    event(2, "Grace", text="Grace", action="U", object_id="77", changed_from={"name": "Gracie"})
    assert ids(reader) == [2, 1]
    text = words(page(reader))
    for part in ["changed", "Author", "77", "Grace", "name: Gracie → Grace", "added"]:
        assert part in text


@pytest.mark.proof
def test_marks_mixed_and_says_why(reader: Client) -> None:
    event(1, text="Ada", mixed="author read live")
    assert "Ada (mixed)" in words(page(reader))
    assert "author read live" in page(reader)
    assert "author read live" in words(page(reader, f"{LOG}1/change/"))


def test_shows_why_a_failed_event_has_no_representation(reader: Client) -> None:
    fail(event(1))
    assert "ValueError: no such thing (failed)" in words(page(reader))
    assert "Error ValueError: no such thing" in words(page(reader, f"{LOG}1/change/"))


@pytest.mark.proof
def test_builds_what_is_pending_for_the_page_and_stores_nothing(reader: Client) -> None:
    event(1, "Mary Shelley")
    assert "Mary Shelley (not stored yet)" in words(page(reader))
    assert "not yet: built for this page" in words(page(reader, f"{LOG}1/change/"))
    assert not InstanceRepr.objects.exists()
    assert not ReprFailure.objects.exists()


@pytest.mark.proof
def test_what_the_log_holds_is_escaped(reader: Client) -> None:
    event(
        1,
        SCRIPT,
        text=SCRIPT,
        mixed=f'"{SCRIPT}',
        object_id=SCRIPT,
        previous_object_id=SCRIPT,
        action="U",
        row_data={"id": 1, "name": SCRIPT, SCRIPT: SCRIPT},
        changed_from={"name": f"old {SCRIPT}", SCRIPT: "x"},
    )
    fail(event(2, table_name=SCRIPT), SCRIPT)
    event(3, SCRIPT)
    urls = [LOG, f"{LOG}1/change/", f"{LOG}2/change/", f"{LOG}3/change/"]
    for url in [*urls, FAILURES, f"{FAILURES}2/change/", f"{LOG}?table_name={SCRIPT}"]:
        html = page(reader, url)
        assert SCRIPT not in html
        assert '""' not in re.sub(r'\w+=""', "", html), "an attribute was left open"
        assert "alert(1)" in html


@pytest.mark.proof
@pytest.mark.parametrize("character", ["\x1b", "\x07", "\u202e", "\u2066", "\u2028"])
def test_characters_that_act_unseen_are_written_out(reader: Client, character: str) -> None:
    event(1, f"user{character}gpj.exe", text=f"user{character}gpj.exe", object_id=character)
    for url in (LOG, f"{LOG}1/change/"):
        html = page(reader, url)
        assert character not in html
        assert f"user{ascii(character)[1:-1]}gpj.exe" in html


@pytest.mark.proof
@pytest.mark.sqlite
def test_text_that_is_not_utf_8_is_shown_byte_by_byte(reader: Client) -> None:
    """Which another program wrote; Python refuses to read it, and the page with it."""
    sql("INSERT INTO app_author (id, name) VALUES (7, CAST(x'41ff22fe0a' AS TEXT))")
    sql("UPDATE app_author SET name = 'Ada' WHERE id = 7")
    event(50, text="Grace")
    inserted, updated, _ = AuditLog.objects.order_by("pk")
    said = 'A\\xff"\\xfe\n'
    assert inserted.row_data == {"id": 7, "name": said}
    assert updated.changes == {"name": (said, "Ada")}
    assert AuditLog.objects.values_list("row_data__name", flat=True).get(pk=inserted.pk) == said
    for stored in (False, True):
        assert ids(reader) == [50, updated.pk, inserted.pk], stored
        text = words(page(reader, f"{LOG}{inserted.pk}/change/"))
        assert r'A\xff"\xfe' in text
        # Python's own message has lost the bytes; the row above it has them.
        assert "Error OperationalError: Could not decode to UTF-8" in text
        call_command("backfill_reprs", verbosity=0)


@pytest.mark.proof
def test_an_event_of_a_table_that_no_model_has_is_shown(reader: Client) -> None:
    event(1, table_name="shop_gone", text="Order 5", action="U", changed_from={"name": "Old"})
    event(2, table_name="shop_gone")
    text = words(page(reader))
    assert "shop_gone" in text
    assert "Order 5" in text
    assert "name: Old → Ada" in text
    assert "name=Ada (mixed, not stored yet)" in text
    assert "shop_gone" in words(page(reader, f"{LOG}2/change/"))
    assert ids(reader, f"{LOG}?table_name=shop_gone") == [2, 1]


def test_a_truncate_stands_for_every_row(reader: Client) -> None:
    event(1, action="T", object_id=None, row_data=None)
    assert "all rows" in words(page(reader))
    assert "all rows" in words(page(reader, f"{LOG}1/change/"))


def test_a_failure_shows_where_it_happened_and_its_text_does_not_act_either(
    reader: Client,
) -> None:
    failure = fail(event(1, object_id="\u202e9"), "bad \u202e\x1b value")
    ReprFailure.objects.filter(pk=failure.pk).update(traceback=f"line 1\n  {SCRIPT}\x1b")
    for url in (FAILURES, f"{FAILURES}1/change/"):
        html = page(reader, url)
        assert r"ValueError: bad \u202e\x1b value" in html
        assert r"\u202e9" in html
        assert not {"\u202e", "\x1b"} & set(html)
    assert "line 1" in html
    assert SCRIPT not in html


def test_takes_the_permission_to_view_the_log() -> None:
    event(1, text="Ada")
    client = staff("view_author")
    assert client.get(LOG).status_code == 403
    assert client.get(f"{LOG}1/change/").status_code == 403


@pytest.mark.proof
def test_an_event_takes_the_permission_to_view_its_model() -> None:
    event(1, text="Ada")
    event(2, text="Emma", table_name="app_book")
    event(3, text="secret", table_name="shop_gone")
    event(4, text="tagged", table_name="app_book_tags")
    fail(event(5))
    fail(event(6, table_name="app_tag"))
    client = staff("view_auditlog", "view_author", "view_reprfailure")
    assert ids(client) == [5, 1]
    assert ids(client, f"{LOG}?table_name=app_book") == []
    assert client.get(f"{LOG}1/change/").status_code == 200
    hidden = client.get(f"{LOG}2/change/", follow=True)
    assert b"Emma" not in hidden.content
    assert hidden.redirect_chain
    assert "Book" not in words(page(client)), "nor does the filter name what is hidden"
    assert ids(client, FAILURES) == []
    assert FAILURES + "5/change/" in page(client, FAILURES)
    assert FAILURES + "6/change/" not in page(client, FAILURES)


@pytest.mark.proof
def test_with_a_setting_the_permission_to_view_the_log_is_enough(
    settings: Any,
) -> None:
    ada = Author.objects.create(name="Ada").pk
    AuditLog.objects.all().delete()
    event(ada, text="Ada")
    event(ada + 1, text="gone", table_name="shop_gone")
    fail(event(ada + 2, table_name="app_tag"))
    settings.AUDITREPR = {"MODEL_PERMISSIONS": False}
    client = staff("view_auditlog", "view_reprfailure")
    assert ids(client) == [ada + 2, ada + 1, ada]
    assert client.get(f"{LOG}{ada + 1}/change/").status_code == 200
    assert f"{FAILURES}{ada + 2}/change/" in page(client, FAILURES)
    assert link(page(client, f"{LOG}{ada}/change/"), "Current object") is None
    client = staff("view_author", "view_reprfailure", name="other")
    assert client.get(LOG).status_code == 403
    assert f"{FAILURES}{ada + 2}/change/" not in page(client, FAILURES)


def test_a_failure_has_links_only_for_who_may_follow_them(reader: Client) -> None:
    fail(event(1))
    assert link(page(reader, f"{FAILURES}1/change/"), "Object history")
    html = page(staff("view_author", "view_reprfailure"), f"{FAILURES}1/change/")
    assert "ValueError" in html
    assert "object-tools" not in html


ADDRESSES = [
    LOG,
    f"{LOG}?text=Ada",
    f"{LOG}?export=csv",
    f"{LOG}1/change/",
    f"{LOG}1/raw/",
    f"{LOG}1/history/",
    f"{LOG}object/?table_name=app_author&object_id=1",
    f"{LOG}object/?table_name=app_author&object_id=1&export=jsonl",
    f"{LOG}object/as-of/?table_name=app_author&object_id=1&event=1",
    f"{LOG}object/put-back/?table_name=app_author&object_id=1&event=1",
    FAILURES,
    f"{FAILURES}?state=final",
    f"{FAILURES}1/change/",
    RUNS,
    f"{RUNS}1/change/",
]
ACTIONS = [f"{RUNS}retry/", f"{RUNS}cancel/"]


@pytest.mark.proof
@pytest.mark.parametrize("name", ["nope", "%00"])
def test_a_log_in_a_database_that_is_none_has_no_page(reader: Client, name: str) -> None:
    fail(event(1))
    nobody, visitor = Client(), staff("view_user")
    for url in [*ADDRESSES, *ACTIONS]:
        named = f"{url}{'&' if '?' in url else '?'}database={name}"
        assert reader.post(named).status_code == 404, named
        assert reader.get(named).status_code == (405 if url in ACTIONS else 404), named
        assert nobody.get(named).status_code == 302  # to log in: it says nothing of databases
        assert visitor.post(named).status_code == 403, named
        assert visitor.get(named).status_code == (405 if url in ACTIONS else 403), named


@pytest.mark.parametrize(
    "url",
    [
        f"{LOG}?export=nope",
        f"{LOG}?transaction_id=x",
        f"{LOG}4711/change/",
        f"{LOG}4711/raw/",
        f"{LOG}object/?table_name=app_author&object_id=1&export=nope",
        f"{LOG}object/as-of/?table_name=nope&object_id=1",
        f"{LOG}object/put-back/?table_name=app_author&object_id=nope",
        f"{FAILURES}4711/change/",
        f"{RUNS}4711/delete/",
    ],
)
def test_what_is_there_or_not_is_said_only_to_those_who_may_open_the_page(url: str) -> None:
    visitor = staff("view_user")
    assert visitor.get(url).status_code == 403
    assert Client().get(url)["Location"].startswith("/admin/login/")


def test_a_many_to_many_table_goes_with_the_model_that_has_the_field() -> None:
    event(1, text="tagged", table_name="app_book_tags")
    assert ids(staff("view_auditlog", "change_book")) == [1]


@pytest.mark.parametrize("url", [LOG, FAILURES, RUNS])
def test_no_user_can_add_change_or_delete(reader: Client, url: str) -> None:
    fail(event(1, text="Ada"))
    run = BackfillRun.objects.create(started_at=timezone.now(), host="here", pid=1)
    pk = run.pk if url == RUNS else 1
    assert reader.get(f"{url}add/").status_code == 403
    assert reader.post(f"{url}add/", {"table_name": "x"}).status_code == 403
    assert reader.post(f"{url}{pk}/change/", {"object_id": "9"}).status_code == 403
    assert reader.post(f"{url}{pk}/delete/", {"post": "yes"}).status_code == 403
    reader.post(url, {"action": "delete_selected", "_selected_action": pk, "post": "yes"})
    assert AuditLog.objects.get().object_id == "1"
    assert ReprFailure.objects.count() == BackfillRun.objects.count() == 1
    assert 'name="_save"' not in page(reader, f"{url}{pk}/change/")
    assert "_selected_action" not in page(reader, url)


@pytest.mark.proof
@pytest.mark.parametrize("query", ["", "?action__exact=I", "?table_name=app_author", "?q=1*"])
def test_a_list_takes_as_many_queries_whatever_its_length_and_counts_nothing(
    reader: Client, query: str
) -> None:
    event(1, text="stored")
    event(2, "pending", object_id="12")
    fail(event(3, object_id="13"))
    page(reader, LOG + query)  # what a process looks up once
    with CaptureQueriesContext(connection) as few:
        page(reader, LOG + query)
    for pk in range(10, 70, 3):
        event(pk, text="stored", object_id=f"1{pk}")
        event(pk + 1, "pending", object_id=f"1{pk + 1}")
        fail(event(pk + 2, object_id=f"1{pk + 2}"))
    with CaptureQueriesContext(connection) as many:
        page(reader, LOG + query)
    assert len(few) == len(many)
    sent = [query["sql"].upper() for query in many]
    # How many triggers a table has is a question about the catalog.
    asked = [s for s in sent if "AUDITREPR_" in s and "PG_TRIGGER" not in s]
    statements = " ".join(asked)
    assert not re.search(rf"SELECT COUNT|DISTINCT|OFFSET (?!{LOOKED_AT}\b)[1-9]", statements)


@pytest.mark.proof
def test_a_page_of_represented_events_is_read_in_a_few_queries(
    reader: Client,
) -> None:
    for pk in range(1, 60):
        event(pk, text=f"author {pk}")
    page(reader)  # what a process looks up once
    # The session, the user, the events, their representations, their failures; whether all is
    # recorded, within a limit where the server has one, and when the log begins.
    with CaptureQueriesContext(connection) as sent:
        page(reader)
    assert len(sent) == {"sqlite": 7, "postgresql": 11}[connection.vendor]


def test_the_page_of_an_event_takes_as_many_queries_whatever_its_transaction_wrote(
    reader: Client,
) -> None:
    event(1, text="Ada", transaction_id=7)
    event(2, text="Ada", transaction_id=7)
    page(reader, f"{LOG}1/change/")  # what a process looks up once
    with CaptureQueriesContext(connection) as few:
        page(reader, f"{LOG}1/change/")
    for pk in range(3, 30):
        event(pk, text="Ada", transaction_id=7)
    with CaptureQueriesContext(connection) as many:
        page(reader, f"{LOG}1/change/")
    # PostgreSQL reads the values under a savepoint, and told that it may not write.
    # So does the look for gaps, which has a limit besides; none of it on SQLite.
    assert len(few) == len(many) == (21 if connection.vendor == "postgresql" else 12)


@pytest.mark.proof
def test_a_page_takes_as_many_queries_however_many_foreign_keys_changed(reader: Client) -> None:
    def queries(count: int) -> int:
        AuditLog.objects.all().delete()
        for n in range(count):
            book = Book.objects.create(title="x", author=Author.objects.create(name=f"old {n}"))
            book.author = Author.objects.create(name=f"new {n}")
            book.save()
        AuditLog.objects.filter(action="I").delete()
        with CaptureQueriesContext(connection) as sent:
            assert f"author: old {count - 1} → new {count - 1}" in words(page(reader))
        return len(sent)

    queries(1)  # what a process looks up once
    assert queries(2) == queries(30)


@pytest.mark.proof
def test_what_may_be_rare_is_looked_for_in_a_part_of_the_log_at_a_time(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "LOOKED_AT", 10)
    for pk in range(1, 46):
        event(pk, text="x", action="D" if pk in (3, 4, 40) else "I")
    found, html = [], page(reader, f"{LOG}?action__exact=D")
    assert "Searched as far as event 35; there may be more." in words(html)
    while older := link(html, "Older"):
        found += ids(reader, LOG + older)
        html = page(reader, LOG + older)
    assert found == [4, 3]
    assert ids(reader, f"{LOG}?action__exact=D") == [40]
    back = []
    while newer := link(html, "Newer"):
        back += ids(reader, LOG + newer)
        html = page(reader, LOG + newer)
    assert back == [4, 3, 40]
    assert "Looked" not in words(page(reader))


@pytest.mark.proof
@pytest.mark.parametrize("query", ["", "?state=failed"])
def test_the_failures_that_a_reader_may_see_are_looked_for_in_a_part_of_all_at_a_time(
    monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(keyset, "LOOKED_AT", 10)
    for pk in range(1, 46):
        fail(event(pk, table_name="app_tag" if pk in (3, 4, 40) else "app_author"))
    client = staff("view_tag", "view_reprfailure")
    url, seen = FAILURES + query, []
    text = words(page(client, url))
    assert "Searched as far as event 35; there may be more. That event is from 20" in text
    assert "Events of" in text, "it says which permissions show the others"
    assert "app.view_author" in text
    while url:
        html = page(client, url)
        seen += re.findall(rf"{FAILURES}(-?\d+)/change/", html)
        url = (older := link(html, "Older")) and FAILURES + older
    assert [int(pk) for pk in seen] == [40, 4, 3]
    assert "Searched as far" not in words(html)


@pytest.mark.proof
def test_older_and_newer_lead_through_every_event_once(reader: Client) -> None:
    for pk in range(1, 131):
        event(pk, text="x")
    seen, html = [ids(reader)], page(reader)
    while older := link(html, "Older"):
        html = page(reader, LOG + older)
        seen.append(ids(reader, LOG + older))
    assert [pk for part in seen for pk in part] == list(range(130, 0, -1))
    assert [len(part) for part in seen] == [50, 50, 30]
    back = [seen[-1]]
    while newer := link(html, "Newer"):
        html = page(reader, LOG + newer)
        back.append(ids(reader, LOG + newer))
    assert back == seen[::-1]
    assert link(page(reader), "Newer") is None


@pytest.mark.proof
def test_pages_keep_the_filter_and_filters_drop_the_page(reader: Client) -> None:
    for pk in range(1, 121):
        event(pk, text="x", action="I" if pk % 2 else "D")
    html = page(reader, f"{LOG}?action__exact=D")
    older = link(html, "Older")
    assert older is not None
    assert ids(reader, LOG + older) == list(range(20, 0, -2))
    assert "before=" not in str(link(page(reader, LOG + older), "added"))


@pytest.mark.proof
def test_filters_by_action_model_object_and_transaction(reader: Client) -> None:
    event(1, text="a", transaction_id=5)
    event(2, text="b", action="D", object_id="1", transaction_id=5)
    event(3, text="c", table_name="app_book", object_id="1")
    assert ids(reader, f"{LOG}?action__exact=D") == [2]
    assert ids(reader, f"{LOG}?table_name=app_book") == [3]
    assert ids(reader, f"{LOG}?transaction_id=5") == [2, 1]
    html = page(reader, f"{LOG}2/change/")
    assert ids(reader, f"{LOG}?table_name=app_author&object_id=1") == [2, 1]
    assert ids(reader, f"{LOG}?object_id=1") == [3, 2, 1]
    assert ids(reader, str(link(html, "Other events in this transaction"))) == [2, 1]
    assert link(page(reader, f"{LOG}3/change/"), "Other events in this transaction") is None


@pytest.mark.proof
def test_an_address_that_asks_for_something_else_is_refused(reader: Client) -> None:
    event(1, text="a")
    assert reader.get(f"{LOG}?row_data__name=Ada").status_code == 400
    assert reader.get(f"{LOG}?instance_repr__fidelity=M").status_code == 400
    assert reader.get(f"{LOG}?table_name=%00").status_code == 400
    for query in ("before=x", "after=", "transaction_id=x"):
        assert reader.get(f"{LOG}?{query}")["Location"] == f"{LOG}?e=1"
    for query in (f"before={10**30}", f"after={10**30}", f"transaction_id={10**30}", "p=9&o=1"):
        assert reader.get(f"{LOG}?{query}").status_code == 200
    assert reader.get(f"{LOG}?q=%00", follow=True).status_code == 200
    for listed in (LOG, FAILURES, RUNS):
        for end in (2**63 - 1, 10**30, -(10**30)):
            for query in (f"before={end}", f"after={end}"):
                assert reader.get(f"{listed}?{query}").status_code == 200
            for view in ("change", "history", "raw"):
                answer = reader.get(f"{listed}{end}/{view}/", follow=True)
                assert answer.status_code in (200, 404)


@pytest.mark.proof
def test_searches_the_object_id_in_full_or_by_its_beginning(reader: Client) -> None:
    event(1, text="a", object_id="12")
    event(2, text="b", object_id="123")
    event(3, text="c", object_id="9", previous_object_id="12")
    event(4, text="d", object_id="x_1")
    event(5, text="e", object_id="12", table_name="shop_gone")
    assert ids(reader, f"{LOG}?q=12") == [3, 1]
    assert ids(reader, f"{LOG}?q=12*") == [3, 2, 1]
    assert ids(reader, f"{LOG}?q=1_*") == []
    assert ids(reader, f"{LOG}?q=12&table_name=shop_gone") == [5]
    assert ids(reader, f"{LOG}?q=X_1") == []


def test_an_event_shows_each_field_before_and_after(reader: Client) -> None:
    event(1, "Ada King", text="Ada King", action="U", changed_from={"name": "Ada Byron"})
    text = words(page(reader, f"{LOG}1/change/"))
    assert "Changes Field Before After Name Ada Byron Ada King" in text
    assert "Unchanged fields Field Before After ID 1 1" in text
    assert "Fidelity exact" in text


def test_an_event_leads_to_the_others_of_its_transaction(reader: Client) -> None:
    event(1, text="Ada", transaction_id=7)
    for pk in range(2, 25):
        event(pk, "Grace", text=f"Grace {pk}", transaction_id=7)
    html = page(reader, f"{LOG}1/change/")
    assert "Added: Author Grace 2" in words(html)
    assert "Grace 21" in words(html)
    assert "Grace 22" not in words(html)
    assert link(html, "Show all") == f"{LOG}?transaction_id=7"


def test_an_event_hides_what_else_its_transaction_did_to_hidden_models() -> None:
    event(1, text="Ada", transaction_id=7)
    event(2, text="secret", table_name="app_book", transaction_id=7)
    assert "secret" not in page(staff("view_auditlog", "view_author"), f"{LOG}1/change/")


def test_an_event_shows_its_failure_and_the_row_as_the_log_holds_it(
    reader: Client,
) -> None:
    fail(event(1, context={"reason": "spring cleaning", "ticket": 7}))
    html = page(reader, f"{LOG}1/change/")
    assert "Why the representation failed Error ValueError: no such thing Attempts 1" in words(html)
    assert 'row_data { "id": 1, "name": "Ada" }' in words(html)
    assert "Reason spring cleaning Ticket 7" in words(html)


def test_who_caused_an_event_goes_by_the_name_of_then(reader: Client) -> None:
    event(1, text="Ada", context={"user": "5", "user_name": "grace", "path": "/x/"})
    event(2, text="Ada", context={"user": "the night shift"})
    event(3, text="Ada", context={"command": "import_books"})
    event(4, text="Ada", writer="psql as root")
    text = words(page(reader))
    for who in ("grace", "the night shift", "import_books", "psql as root"):
        who += " added"
        assert who in text
    text = words(page(reader, f"{LOG}1/change/"))
    assert "Changed by grace User 5 Path /x/" in text


def test_what_was_added_has_no_before_and_what_was_deleted_no_after(reader: Client) -> None:
    event(1, "Ada", text="Ada")
    event(2, "Ada", text="Ada", action="D", object_id="1")
    added, deleted = (page(reader, f"{LOG}{pk}/change/") for pk in (1, 2))
    assert re.search(r'<td></td>\s*<td><bdi class="value">Ada</bdi>', added)
    assert re.search(r'<bdi class="value">Ada</bdi></td>\s*<td></td>', deleted)


def test_the_runs_are_listed(reader: Client) -> None:
    BackfillRun.objects.create(
        started_at=timezone.now(), host="here", pid=1, rows=4711, stop_reason="caught-up"
    )
    assert "4711" in page(reader, RUNS)
    assert "nothing left to do" in page(reader, RUNS)


@pytest.mark.proof
def test_times_look_the_same_on_every_page(reader: Client) -> None:
    failed = event(1)
    fail(failed)
    run = BackfillRun.objects.create(started_at=timezone.now(), host="here", pid=1)
    lists = page(reader, LOG), page(reader, FAILURES), page(reader, RUNS)
    pages = [
        page(reader, f"{FAILURES}{failed.pk}/change/"),
        page(reader, f"{RUNS}{run.pk}/change/"),
    ]
    for html in (*lists, *pages):
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", words(html))
        assert not re.search(r"\d [ap]\.m\.", html), words(html)


def test_what_no_user_can_change_has_no_history_button(reader: Client) -> None:
    failed = event(1)
    fail(failed)
    run = BackfillRun.objects.create(started_at=timezone.now(), host="here", pid=1)
    for url in (f"{FAILURES}{failed.pk}/change/", f"{RUNS}{run.pk}/change/"):
        assert "historylink" not in page(reader, url)


def test_each_list_is_headed_by_what_it_lists(reader: Client) -> None:
    headings = [re.findall("<h1>(.+?)</h1>", page(reader, url)) for url in (LOG, FAILURES, RUNS)]
    assert headings == [["Audit events"], ["Failed representations"], ["Backfill status"]]


def test_the_failures_cost_the_same_queries_however_many_there_are(reader: Client) -> None:
    fail(event(1))
    reader.get(FAILURES)  # once, so that no page has anything to look up for the first time
    with CaptureQueriesContext(connection) as few:
        page(reader, FAILURES)
    for pk in range(2, 30):
        fail(event(pk))
    with CaptureQueriesContext(connection) as many:
        assert page(reader, FAILURES).count("ValueError") == 29
    assert len(few) == len(many) <= 4


def test_a_value_of_megabytes_is_cut_on_the_page_and_whole_in_the_download(reader: Client) -> None:
    text = "x" * 2_000_000
    big = event(1, name=text, text="big")
    html = page(reader, f"{LOG}{big.pk}/change/")
    assert len(html) < 200_000
    assert "2000000 characters" in words(html)
    response = reader.get(f"{LOG}{big.pk}/raw/")
    assert response["Content-Disposition"] == f'attachment; filename="event-{big.pk}.json"'
    assert json.loads(response.content)["row_data"]["name"] == text


def test_the_raw_data_needs_the_permission_to_view_the_model() -> None:
    big = event(1, text="big")
    of_the_log = staff("view_auditlog", name="of the log")
    assert of_the_log.get(f"{LOG}{big.pk}/raw/").status_code == 404
    assert staff(name="of nothing").get(f"{LOG}{big.pk}/raw/").status_code == 403
    both = staff("view_auditlog", "view_author", name="of both")
    assert both.get(f"{LOG}{big.pk}/raw/").status_code == 200
