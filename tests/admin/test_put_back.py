"""Tests the page that puts an object back: what it shows, who may use it, and what it writes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import path

from auditrepr.models import AuditLog
from auditrepr.utils.time_limit import PageTimeLimit
from tests.app.models import Author, Book, Tag
from tests.app.relations import Order
from tests.app.saving import Notice
from tests.pages import LOG, link, page, reader, staff, words
from tests.tagging import tag

__all__ = ["reader", "tag"]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class TagAdmin(admin.ModelAdmin):
    readonly_fields = ()

    def get_queryset(self, request):
        return super().get_queryset(request).exclude(label__startswith="hidden")

    def has_change_permission(self, request, obj=None):
        locked = obj is not None and obj.label == "locked"
        return super().has_change_permission(request, obj) and not locked


class NoticeAdmin(admin.ModelAdmin):
    readonly_fields = ("body",)
    fields = ("title", "slug", "body", "begins")


site = admin.AdminSite()
site._registry.update(admin.site._registry)
site.register(Tag, TagAdmin)
site.register(Notice, NoticeAdmin)
urlpatterns = [path("admin/", site.urls)]


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(PageTimeLimit, "SECONDS", 60.0)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log's own pages know these, too."""
    for model in (Tag, Notice):
        its_admin = site._registry[model]
        monkeypatch.setitem(admin.site._registry, model, type(its_admin)(model, admin.site))


def last(model: Any, action: str) -> AuditLog:
    return AuditLog.objects.for_model(model).filter(action=action).latest("pk")


def put_back(made: AuditLog, /, **more: str) -> str:
    given = {"table_name": made.table_name, "object_id": made.object_id, "event": made.pk}
    asked = "&".join(f"{name}={value}" for name, value in (given | more).items())
    return f"{LOG}object/put-back/?{asked}"


def state(html: str) -> str:
    found = re.search(r'name="state" value="(\w+)"', html)
    assert found
    return found[1]


def test_an_events_page_leads_to_it_and_it_puts_the_object_back(reader: Client, tag: Tag) -> None:
    event = last(Tag, "U")
    url = link(page(reader, f"{LOG}{event.pk}/change/"), "Put back as it was before this event")
    assert url == put_back(event, before="1")
    html = page(reader, url)
    assert f"as it was before event {event.pk}" in words(html)
    assert "Label second first" in words(html)
    assert f"Put back Tag {tag.pk} second" in words(html), "it says what it is called now"
    assert Tag.objects.get().label == "second"  # to look changes nothing
    answer = reader.post(url, {"state": state(html)}, follow=True)
    assert Tag.objects.get().label == "first"
    assert f"Put back: Tag {tag.pk}." in words(answer.content.decode())
    written = last(Tag, "U")
    assert written.context["reason"] == f"restored from before event {event.pk}"
    assert written.context["user_name"] == "reader"
    assert LogEntry.objects.get().get_change_message() == f"Put back from before event {event.pk}."


@pytest.mark.proof
def test_a_deleted_object_is_put_back(reader: Client, tag: Tag) -> None:
    pk = tag.pk
    tag.delete()
    event = last(Tag, "D")
    url = link(page(reader, f"{LOG}{event.pk}/change/"), "Put back the deleted object")
    call_command("backfill_reprs", verbosity=0)
    html = page(reader, str(url))
    assert f"Put back Tag {pk} second" in words(html), "it says what it was called"
    fields = "Field Value to put back Label second"
    assert f"It would be added again with these values: {fields}" in words(html)
    reader.post(url, {"state": state(html)})
    assert Tag.objects.get().pk == pk
    assert LogEntry.objects.get().is_addition()


def test_an_object_is_put_back_as_of_a_time(reader: Client, tag: Tag) -> None:
    first = last(Tag, "I")
    when = first.occurred_at.isoformat().replace("+", "%2B")
    url = put_back(first, event="", at=when)
    reader.post(url, {"state": state(page(reader, url))})
    assert Tag.objects.get().label == "first"


def test_a_change_since_the_preview_is_refused(reader: Client, tag: Tag) -> None:
    url = put_back(last(Tag, "U"), before="1")
    seen = state(page(reader, url))
    Tag.objects.update(label="third")
    text = words(reader.post(url, {"state": seen}).content.decode())
    assert "The object has changed since you last saw it: check it again." in text
    assert "Label third first" in text
    reader.post(url)
    assert Tag.objects.get().label == "third"


def test_says_why_it_cannot_be_done(reader: Client, tag: Tag) -> None:
    other = Tag.objects.create(label="first")
    url = put_back(last(Tag, "U"), before="1")
    html = page(reader, url)
    assert "The object cannot be put back" in words(html)
    assert "label: Tag with this Label already exists." in words(html)
    assert 'name="state"' not in html
    other.delete()
    assert "The object cannot be put back" not in words(page(reader, url))


def test_names_what_stays_as_it_is(reader: Client) -> None:
    notice = Notice.objects.create(title="Old")
    notice.delete()
    assert "Not put back: tags, changed" in words(page(reader, put_back(last(Notice, "D"))))


def test_what_is_as_it_was_needs_nothing(reader: Client, tag: Tag) -> None:
    html = page(reader, put_back(last(Tag, "U")))
    assert "Nothing to put back: the object already has these values." in words(html)
    assert 'name="state"' not in html


def test_a_foreign_key_goes_by_the_name_of_its_object(reader: Client) -> None:
    parent, other = (Order.objects.create(ref=ref) for ref in ("P", "Q"))
    Order.objects.filter(pk=other.pk).update(parent=parent)
    Order.objects.filter(pk=other.pk).update(parent=None)
    html = words(page(reader, put_back(last(Order, "U"), before="1")))
    assert f"Parent (none) P<-: [] () [] 0 ({parent.pk})" in html


def test_only_a_post_with_a_token_writes(tag: Tag) -> None:
    User.objects.create_superuser("careful")
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(User.objects.get(username="careful"))
    url = put_back(last(Tag, "U"), before="1")
    seen = state(page(careful, url))
    assert careful.get(f"{url}&state={seen}").status_code == 200
    assert careful.post(url, {"state": seen}).status_code == 403
    assert Tag.objects.get().label == "second"


READS = ("view_auditlog", "view_tag")


@pytest.mark.proof
def test_takes_the_permission_to_change(tag: Tag) -> None:
    event = last(Tag, "U")
    url = put_back(event, before="1")
    seen = state(page(staff(*READS, "change_tag"), url))
    others = [
        staff(*READS, name="a"),
        staff(*READS, "add_tag", name="b"),
        staff("view_auditlog", "change_author", name="c"),
        staff("change_tag", name="d"),
    ]
    for client in others:
        assert client.get(url).status_code == 403
        assert client.post(url, {"state": seen}).status_code == 403
    html = page(others[0], f"{LOG}{event.pk}/change/")
    assert "Put back" not in html
    assert Tag.objects.get().label == "second"


def test_to_add_it_again_takes_the_permission_to_add(tag: Tag) -> None:
    tag.delete()
    url = put_back(last(Tag, "D"))
    assert staff(*READS, "change_tag", name="a").get(url).status_code == 403
    client = staff(*READS, "add_tag", name="b")
    client.post(url, {"state": state(page(client, url))})
    assert Tag.objects.get().label == "second"


def test_an_object_that_the_admin_keeps_from_being_changed_stays(reader: Client, tag: Tag) -> None:
    url = put_back(last(Tag, "U"), before="1")
    seen = state(page(reader, url))
    for label in ("locked", "hidden"):
        Tag.objects.update(label=label)
        assert reader.get(url).status_code == 403
        assert reader.post(url, {"state": seen}).status_code == 403
    assert Tag.objects.get().label == "hidden"


def test_the_fields_that_a_reader_chooses_are_put_back(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    book = Book.objects.create(title="Old", price=1, author=author)
    Book.objects.update(title="New", price=2, author=None)
    url = put_back(last(Book, "U"), before="1")
    html = page(reader, url)
    assert "excluded from the log" in words(html)
    assert html.count('type="checkbox"') == html.count(" checked>") == 3
    assert 'value="Put back"' not in html
    chosen = {"fields": ["", "title", "author"], "state": state(html)}
    html = reader.post(url, chosen | {"preview": "x"}).content.decode()
    assert "cannot be put back" not in words(html)
    assert html.count(" checked>") == 2
    assert 'value="Put back"' in html
    assert Book.objects.get().title == "New", "a preview writes nothing"
    assert "No field is chosen." in words(
        reader.post(url, chosen | {"fields": [""]}).content.decode()
    )
    assert Book.objects.get().title == "New"
    reader.post(url, chosen)
    there = Book.objects.get()
    assert (there.title, there.price, there.author) == ("Old", 2, author)
    reason = last(Book, "U").context["reason"]
    assert reason.startswith("restored title, author from before event")
    again = reader.post(url, {**chosen, "fields": ["price"]}).content.decode()
    assert "has changed since" in words(again)
    assert Book.objects.get().pk == book.pk


@pytest.fixture
def book() -> Book:
    """A book of which a single field was changed; another one is excluded from the log."""
    book = Book.objects.create(title="Old", price=1)
    Book.objects.update(title="New")
    return book


def test_a_single_field_is_put_back_if_another_one_is_in_the_way(
    reader: Client, book: Book
) -> None:
    url = put_back(last(Book, "U"), before="1")
    html = page(reader, url)
    assert "The field “secret” is excluded from the log." in words(html)
    assert html.count('type="checkbox"') == html.count(" checked>") == 1
    assert 'value="Put back"' not in html
    chosen = {"fields": ["", "title"], "state": state(html)}
    html = reader.post(url, chosen | {"preview": "x"}).content.decode()
    assert "cannot be put back" not in words(html)
    assert 'value="Put back"' in html
    reader.post(url, chosen)
    assert Book.objects.get().title == "Old"


def test_a_single_field_that_is_in_its_own_way_is_not_offered(reader: Client) -> None:
    notice = Notice.objects.create(title="forbidden")
    Notice.objects.update(title="New")
    html = page(reader, put_back(last(Notice, "U"), before="1"))
    assert "This title is forbidden." in words(html)
    assert 'type="checkbox"' not in html
    Notice.objects.update(title="forbidden", body="new")  # which the admin keeps
    html = page(reader, put_back(last(Notice, "I")))
    assert "You may not change the field “body”" in words(html)
    assert 'type="checkbox"' not in html
    assert Notice.objects.get().pk == notice.pk


@pytest.mark.proof
def test_what_puts_nothing_back_says_so(reader: Client, book: Book) -> None:
    url = put_back(last(Book, "U"), before="1")
    seen = state(page(reader, url))
    for fields, said in [
        (["", "price"], "Nothing to put back: the object already has these values."),
        (["nonsense"], "There is no field “nonsense” to put back."),
        (["title", "<b>id"], "There is no field “<b>id” to put back."),
        (["id"], "There is no field “id” to put back. No field is chosen."),
    ]:
        for more in ({}, {"preview": "x"}):
            given = {"fields": fields, "state": seen} | more
            answer = reader.post(url, given, follow=True)
            text = words(answer.content.decode())
            assert said in text
            assert "Put back: Book" not in text
    assert Book.objects.get().title == "New"
    assert not LogEntry.objects.exists()


def test_an_object_that_is_put_back_twice_says_so(reader: Client, tag: Tag) -> None:
    url = put_back(last(Tag, "U"), before="1")
    seen = {"state": state(page(reader, url))}
    assert "Put back: Tag" in words(reader.post(url, seen, follow=True).content.decode())
    written = last(Tag, "U").pk
    text = words(reader.post(url, seen, follow=True).content.decode())
    assert "Nothing to put back: the object already has these values." in text
    assert "Put back: Tag" not in text
    assert LogEntry.objects.count() == 1
    assert last(Tag, "U").pk == written


def test_a_field_that_is_read_only_in_the_admin_stays(reader: Client) -> None:
    notice = Notice.objects.create(title="Old", body="old")
    Notice.objects.update(title="New", body="new")
    text = words(page(reader, put_back(last(Notice, "U"), before="1")))
    assert "You may not change the field “body”: the admin does not let you edit it." in text
    Notice.objects.update(body="old")
    html = page(reader, put_back(last(Notice, "I")))
    assert "You may not" not in words(html)
    notice.delete()  # what a new object has anyway may be added again, and nothing else
    assert "You may not change the field “body”" in words(page(reader, put_back(last(Notice, "D"))))
    Notice.objects.create(title="Plain").delete()
    html = page(reader, put_back(last(Notice, "D")))
    assert "You may not" not in words(html)


def test_a_many_to_many_row_belongs_to_the_model_that_has_the_field(tag: Tag) -> None:
    book = Book.objects.create(title="Old")
    book.tags.add(tag)
    book.tags.clear()
    url = put_back(AuditLog.objects.filter(table_name="app_book_tags", action="D").latest("pk"))
    assert staff(*READS, "view_book", "add_book", name="a").get(url).status_code == 403
    client = staff(*READS, "change_book", name="b")
    client.post(url, {"state": state(page(client, url))})
    assert list(book.tags.all()) == [tag]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"event": "4711"}, 404),
        ({"event": "9" * 30}, 404),
        ({"event": "", "at": "yesterday"}, 404),
        ({"event": "", "at": "9999-12-31"}, 404),
        ({"object_id": "x"}, 404),
        ({"object_id": "9" * 30}, 404),
        ({"table_name": "nowhere"}, 404),
        ({"object_id": "%00"}, 403),
    ],
)
def test_what_cannot_be_meant_is_not_found(
    reader: Client, tag: Tag, given: dict[str, str], status: int
) -> None:
    assert reader.get(put_back(last(Tag, "U"), **given)).status_code == status


def test_an_event_that_the_user_may_not_read_is_not_found(tag: Tag) -> None:
    Author.objects.create(name="Ann")
    url = put_back(last(Tag, "U"), event=str(last(Author, "I").pk))
    assert staff(*READS, "change_tag").get(url).status_code == 404


def test_hostile_texts_do_not_act(reader: Client) -> None:
    tag = Tag.objects.create(label="<script>x</script>\u202e")
    Tag.objects.update(label="<b>now</b>")
    html = page(reader, put_back(last(Tag, "I")))
    assert "<script>x" not in html
    assert "<b>now" not in html
    assert "\u202e" not in html
    html = page(reader, put_back(last(Tag, "I"), object_id=str(tag.pk), table_name="app_tag"))
    assert r"&lt;script&gt;x&lt;/script&gt;\u202e" in html


def test_stops_in_time_and_writes_nothing(
    reader: Client, tag: Tag, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = put_back(last(Tag, "U"), before="1")
    seen = state(page(reader, url))
    monkeypatch.setattr(PageTimeLimit, "SECONDS", -1.0)
    text = words(reader.post(url, {"state": seen}).content.decode())
    assert "Reading the object as it was takes too long." in text
    assert Tag.objects.get().label == "second"
