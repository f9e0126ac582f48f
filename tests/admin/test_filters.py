from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from auditrepr.admin.audit_log import AuditLogAdmin
from auditrepr.models import AuditLog, Checkpoint
from auditrepr.models.log_queryset import first_id
from auditrepr.readers import people
from auditrepr.vendors.types import BEGINNING
from tests.pages import FAILURES, LOG, RUNS, event, fail, ids, link, page, reader, staff, words

__all__ = ["reader"]
pytestmark = pytest.mark.django_db

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.proof
def test_by_what_became_of_the_representation(reader: Client) -> None:
    event(1, text="x")
    event(2, text="x", mixed="read live")
    fail(event(3))
    event(4)
    fail(event(5), next_attempt_at=None)
    assert ids(reader, f"{LOG}?state=mixed") == [2]
    assert ids(reader, f"{LOG}?state=failed") == [3]
    assert ids(reader, f"{LOG}?state=final") == [5]
    assert ids(reader, f"{LOG}?state=pending") == [4]


@pytest.mark.proof
def test_by_who_caused_it_and_by_object_shown_while_they_hold(reader: Client) -> None:
    event(1, text="x", context={"user": "5", "user_name": "grace"})
    event(2, text="x", object_id="1", context={"user": "6"})
    html = page(reader, f"{LOG}1/change/")
    assert link(html, "Other events by this actor") == f"{LOG}?actor=5"
    assert ids(reader, f"{LOG}?actor=5") == [1]
    assert ids(reader, f"{LOG}?object_id=1") == [2, 1]
    assert "By actor Part of a name All grace By date" in words(page(reader, f"{LOG}?actor=5"))
    assert "By actor Part of a name All By date" in words(page(reader))


def test_by_transaction_shown_while_it_holds(reader: Client) -> None:
    event(1, text="x", transaction_id=7)
    event(2, text="x", transaction_id=8)
    assert ids(reader, f"{LOG}?transaction_id=7") == [1]
    assert "By transaction All 7 By date" in words(page(reader, f"{LOG}?transaction_id=7"))
    assert "By transaction" not in words(page(reader))


def test_pending_is_searched_only_above_the_watermark(reader: Client) -> None:
    for pk in range(1, 5):
        event(pk)
    Checkpoint.objects.create(settled_id=2)
    assert ids(reader, f"{LOG}?state=pending") == [4, 3]


@pytest.mark.proof
def test_by_day_both_ends_included(reader: Client) -> None:
    for pk in range(1, 11):
        event(10 * pk, text="x", occurred_at=NEW_YEAR + timedelta(hours=12 * pk))
    assert ids(reader, f"{LOG}?since=2026-01-02&until=2026-01-03") == [50, 40, 30, 20]
    assert ids(reader, f"{LOG}?until=2026-01-01") == [10]
    assert ids(reader, f"{LOG}?since=2026-01-06") == [100]
    assert ids(reader, f"{LOG}?since=2027-01-01") == []


@pytest.mark.proof
@pytest.mark.parametrize("since", ["x", "2026-02-30", "0001-01-01", "9999-12-31"])
def test_a_day_that_is_none_leaves_the_log_as_it_is(reader: Client, since: str) -> None:
    event(1, text="x")
    for name in ("since", "until"):
        said = f"“{since}” is not a date, so it was ignored. Write dates like 2026-01-31."
        assert said in words(page(reader, f"{LOG}?{name}={since}"))
        assert ids(reader, f"{LOG}?{name}={since}") == [1]
    assert "was ignored" not in words(page(reader, f"{LOG}?since=2026-01-31"))


def test_its_form_keeps_the_other_filters(reader: Client) -> None:
    event(1, text="x")
    html = page(reader, f'{LOG}?action__exact=I&table_name="<b>&since=2026-01-01')
    assert '<input type="hidden" name="action__exact" value="I">' in html
    assert 'name="table_name" value="&quot;&lt;b&gt;"' in html
    assert 'name="since" value="2026-01-01"' in html
    assert "Any date Today Yesterday This week Past 7 days" in words(html)


def test_an_event_that_is_a_little_older_than_the_one_before_it_is_found(reader: Client) -> None:
    for pk, minutes in enumerate([0, 10, 5, 20], start=1):
        event(pk, text="x", occurred_at=NEW_YEAR + timedelta(minutes=minutes - 8))
    assert ids(reader, f"{LOG}?since=2026-01-01") == [4, 2]
    assert ids(reader, f"{LOG}?until=2025-12-31") == [3, 1]


def test_the_first_event_of_a_time_is_found_over_gaps(django_assert_max_num_queries) -> None:
    made = [event(pk, occurred_at=NEW_YEAR + timedelta(days=pk)) for pk in (3, 500, 501, 90_000)]
    log = AuditLog.objects.all()
    with django_assert_max_num_queries(2 + 17):
        assert first_id(log, NEW_YEAR) <= 3
    for before, one in pairwise(made):
        assert before.pk < first_id(log, one.occurred_at) <= one.pk
    assert first_id(log, made[-1].occurred_at + timedelta(days=1)) > made[-1].pk
    assert first_id(log.filter(pk__lt=0), NEW_YEAR) == BEGINNING


@pytest.mark.proof
def test_a_choice_that_is_none_is_said(reader: Client) -> None:
    event(1, text="x")
    fail(event(2), next_attempt_at=None)
    for base, query, name, given in [
        (LOG, "state=strange", "representation status", "strange"),
        (LOG, "state=mixed&state=<b>", "representation status", "<b>"),
        (LOG, "table_name=app_author&field=nothing", "changed field", "nothing"),
        (LOG, "table_name=nowhere&field=name", "changed field", "name"),
        (LOG, "action__exact=X", "action", "X"),
        (FAILURES, "state=mixed", "representation status", "mixed"),
    ]:
        html = page(reader, f"{base}?{query}")
        assert f"The filter “{name}” has no choice “{given}”, so it was ignored." in words(html)
        side = words(html.partition("changelist-filter")[2])
        assert re.search(rf"By {name} All ", f"{side} ")
        chosen = re.findall(r'<li class="selected">\s*<a[^>]*>(.*?)</a>', html, re.DOTALL)
        assert words(chosen[-1]) in ("All", "Author", "nowhere"), "a filter that is ignored is off"
    assert ids(reader, f"{LOG}?action__exact=X&state=nope") == [2, 1]
    assert "could not be read" in words(page(reader, f"{LOG}?e=1"))
    for query in ("state=mixed&table_name=app_author", "action__exact=I", "state=", "database="):
        assert "ignored" not in words(page(reader, f"{LOG}?{query}"))
    assert "ignored" not in words(page(reader, f"{FAILURES}?state=final"))


def test_a_field_without_its_model_is_said(reader: Client) -> None:
    event(1, text="x")
    said = "“title” was ignored: the filter “changed field” requires a model."
    assert said in words(page(reader, f"{LOG}?field=title"))


@pytest.mark.proof
def test_a_table_that_the_log_does_not_know_is_said(reader: Client) -> None:
    event(1, text="x", table_name="bygone")
    said = "There are no events of the table “nope” that you may view."
    assert said in words(page(reader, f"{LOG}?table_name=nope"))
    for known in ("app_author", "bygone"):
        assert "There are no events" not in words(page(reader, f"{LOG}?table_name={known}"))
    others = ["action__exact=D", "since=2050-01-01", "until=2000-01-01", "object_id=7", "actor=7"]
    for other in others:
        text = words(page(reader, f"{LOG}?table_name=bygone&{other}"))
        assert "There are no events" not in text, "another filter hides those that there are"
        assert said in words(page(reader, f"{LOG}?table_name=nope&{other}"))
    visitor = staff("view_auditlog", "view_author")
    assert "table “bygone” that you may view" in words(page(visitor, f"{LOG}?table_name=bygone"))


@pytest.mark.parametrize("url", [LOG, FAILURES, RUNS])
def test_every_list_says_that_it_has_no_filters(reader: Client, url: str) -> None:
    answer = reader.get(f"{url}?before=x", follow=True)
    assert answer.request["QUERY_STRING"] == "e=1"
    assert "this is the list without filters." in words(answer.content.decode())


@pytest.mark.parametrize(
    "query", ["state=nope", "action__exact=X", "field=title", "since=garbage", "until=2026-02-30"]
)
def test_an_export_ignores_no_filter(reader: Client, query: str) -> None:
    event(1, text="x")
    answer = reader.get(f"{LOG}?export=csv&{query}", follow=True)
    assert not answer.streaming
    assert "this is the list without filters." in words(answer.content.decode())


def test_a_value_that_its_filter_cannot_have_gives_the_whole_list_and_says_so(
    reader: Client,
) -> None:
    event(1, text="x")
    answer = reader.get(f"{LOG}?transaction_id=abc", follow=True)
    said = words(answer.content.decode())
    assert "A filter in the address could not be read: this is the list without filters." in said
    assert ids(reader, answer.request["PATH_INFO"]) == [1]


@pytest.mark.proof
def test_years_months_and_days_lead_to_a_period(reader: Client) -> None:
    event(1, text="old", occurred_at=datetime(2024, 11, 30, 12, tzinfo=UTC))
    event(2, text="new", occurred_at=datetime(2025, 2, 3, 12, tzinfo=UTC))
    year = link(page(reader), "2024")
    assert ids(reader, f"{LOG}{year}") == [1]
    month = link(page(reader, f"{LOG}{year}"), "November")
    assert month == "?since=2024-11-01&until=2024-11-30"
    html = page(reader, f"{LOG}{month}")
    assert link(html, "29") is None, "the log begins on the 30th"
    assert ids(reader, f"{LOG}{link(html, '30')}") == [1]
    assert ids(reader, f"{LOG}{link(page(reader), '2025')}") == [2]


def test_yesterday_is_one_click(reader: Client) -> None:
    now = timezone.now()
    for pk, days in [(1, 2), (2, 1), (3, 0)]:
        event(pk, text="x", occurred_at=now - timedelta(days=days))
    html = page(reader)
    assert ids(reader, f"{LOG}{link(html, 'Yesterday')}") == [2]
    assert ids(reader, f"{LOG}{link(html, 'Today')}") == [3]
    assert 3 in ids(reader, f"{LOG}{link(html, 'This week')}")


@pytest.mark.proof
def test_a_person_is_found_by_a_part_of_the_name_of_then_or_now(reader: Client) -> None:
    ada = User.objects.create_user("ada", first_name="Augusta")
    event(1, text="x", context={"user": str(ada.pk), "user_name": "byron"})
    event(2, text="x", context={"user": "4711", "user_name": "Grace <b>"})
    event(3, text="x", context={"user": "4712", "user_name": "Other"})
    for part, name, key in [
        ("YRO", "byron", ada.pk),
        ("gust", "byron", ada.pk),
        ("grace", "Grace &lt;b&gt;", 4711),
    ]:
        html = page(reader, f"{LOG}?who={part}&action__exact=I")
        assert ids(reader, f"{LOG}?who={part}") == [3, 2, 1], "until somebody is picked"
        assert f'?action__exact=I&amp;actor={key}"><bdi>{name}</bdi></a>' in html
    assert "The log has no user with such a name." in words(page(reader, f"{LOG}?who=zzz"))
    assert "The log has no user" not in words(page(reader))


def test_two_people_of_one_name_are_told_apart(reader: Client) -> None:
    for pk in (1, 2):
        event(pk, text="x", context={"user": f"{pk}0", "user_name": "grace"})
    text = words(page(reader, f"{LOG}?who=grace"))
    assert "All grace (10) grace (20)" in text


def test_people_who_are_too_many_are_not_passed_off_as_all(reader: Client, monkeypatch) -> None:
    monkeypatch.setattr(people, "LOOKED_AT", 3)
    for pk in range(1, 6):
        event(pk, text="x", context={"user": str(pk), "user_name": f"name {pk}"})
    text = words(page(reader, f"{LOG}?who=name"))
    assert "There may be more: type more letters of the name." in text
    assert "name 1 name 2 name 3" in text
    assert "name 5" not in text.partition("Part of a name")[2].partition("By date")[0]


def test_who_did_it_leads_to_what_they_did(reader: Client) -> None:
    event(1, text="x", context={"user": "5", "user_name": "grace", "reason": "a <b>typo</b>"})
    event(2, text="x", object_id="1")
    html = page(reader)
    assert f'<a href="{LOG}?actor=5"><bdi>grace</bdi></a>' in html
    assert "a &lt;b&gt;typo&lt;/b&gt;" in html
    assert f'<a href="{LOG}?table_name=app_author">Author</a>' in html
    assert f'<a href="{LOG}object/?table_name=app_author&amp;object_id=1"><bdi>x</bdi></a>' in html


@pytest.mark.proof
def test_by_the_field_that_was_changed_once_a_model_is_chosen(reader: Client) -> None:
    book = {"table_name": "app_book", "action": "U"}
    event(1, text="x", row_data={"title": "b"}, changed_from={"title": "a"}, **book)
    event(2, text="x", row_data={"author_id": 2}, changed_from={"author_id": 1}, **book)
    assert "By changed field" not in words(page(reader))
    html = page(reader, f"{LOG}?table_name=app_book")
    assert "By changed field" in words(html)
    assert re.search(r'href="\?[^"]*field=title[&"]', html)
    assert ids(reader, f"{LOG}?table_name=app_book&field=title") == [1]
    assert ids(reader, f"{LOG}?table_name=app_book&field=author") == [2]


def test_a_field_that_is_excluded_is_no_choice_but_is_found_in_old_events(reader: Client) -> None:
    book = {"table_name": "app_book", "action": "U"}
    event(1, text="x", row_data={"secret": "b"}, changed_from={"secret": "a"}, **book)
    event(2, text="x", row_data={"title": "b"}, changed_from={"title": "a"}, **book)
    assert "field=secret" not in page(reader, f"{LOG}?table_name=app_book")
    url = f"{LOG}?table_name=app_book&field=secret"
    assert ids(reader, url) == [1]
    assert "ignored" not in words(page(reader, url))


@pytest.mark.proof
def test_a_request_leads_to_all_that_it_did(reader: Client) -> None:
    event(1, text="before", context={"request_id": "b"})
    for pk in (2, 5):
        event(pk, text="x", context={"request_id": "a", "user": str(pk)})
    event(3, text="between", context={"request_id": "b"})
    html = page(reader, f"{LOG}2/change/")
    address = link(html, "a")
    assert address == f"{LOG}?request_id=a&around=2"
    assert ids(reader, address) == [5, 2]
    assert ids(reader, f"{LOG}?request_id=a") == [5, 2]
    assert ids(reader, f"{LOG}?request_id=") == [5, 3, 2, 1]
    for value in ("x", "--5"):
        assert reader.get(f"{LOG}?around={value}")["Location"] == f"{LOG}?e=1"
    for value in (2**63 - 9, -(2**63), 10**30):
        assert ids(reader, f"{LOG}?around={value}&text=a") == []


def test_where_there_is_no_transaction_the_request_or_the_command_stands_in_for_it(
    reader: Client,
) -> None:
    for pk, context in [(1, {"request_id": "a"}), (2, {"request_id": "a"}), (3, {"command": "c"})]:
        event(pk, f"name {pk}", text=f"text {pk}", context=context)
    event(4, text="text 4", context={"command": "c"})
    event(5, text="text 5")
    assert "Other events of this request Event Representation" in words(
        page(reader, f"{LOG}1/change/")
    )
    assert "text 2" in words(page(reader, f"{LOG}1/change/"))
    assert "Other events of this command" in words(page(reader, f"{LOG}3/change/"))
    assert "text 4" in words(page(reader, f"{LOG}3/change/"))
    assert "Other events of" not in words(page(reader, f"{LOG}5/change/"))


def test_who_may_not_view_a_model_is_told_which_permission_shows_it() -> None:
    event(1, text="x")
    some = words(page(staff("view_auditlog", "view_author")))
    assert "models are hidden from you" in some
    assert "app.view_book" in some
    assert "app.view_author" not in some
    assert "hidden from you" not in words(page(_superuser()))


def test_an_event_that_is_hidden_names_the_permission_that_shows_it() -> None:
    event(1, text="secret", table_name="app_book")
    client = staff("view_auditlog", "view_author")
    answer = client.get(f"{LOG}1/change/", follow=True)
    text = words(answer.content.decode())
    assert "Event 1 is hidden from you. This permission shows it: app.view_book" in text
    assert "secret" not in text
    gone = client.get(f"{LOG}2/change/", follow=True)
    assert "hidden from you. This" not in words(gone.content.decode())


def _superuser() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


class OwnFilter(SimpleListFilter):
    title = parameter_name = "own"


@pytest.mark.parametrize(
    ("lookup", "allowed"),
    [("own", True), ("since", True), ("who", True), ("actor", True), ("action__exact", True),
     ("action", False), ("actor__startswith", False), ("row_data__name", False)],
)  # fmt: skip
def test_an_address_may_name_what_a_filter_reads_and_nothing_else(rf, lookup, allowed):
    mine = type("Mine", (AuditLogAdmin,), {
        "list_filter": [*AuditLogAdmin.list_filter, OwnFilter, "action"],
    })  # fmt: skip
    assert mine(AuditLog, admin.site).lookup_allowed(lookup, "x", rf.get("/")) is allowed
