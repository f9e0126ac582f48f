"""Tests an object's history beyond its own events, and the button that leads there."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from auditrepr.admin import AuditHistoryMixin, timeline
from auditrepr.capture import triggers
from auditrepr.models import AuditLog, Coverage
from auditrepr.models import related as related_objects
from auditrepr.tracking import related as declarations
from auditrepr.utils.time_limit import PageTimeLimit
from tests.app.models import Author, Book, Tag
from tests.app.relations import Diner, Line, Order
from tests.capturing import next_moment, sql
from tests.pages import LOG, link, page, reader, staff, words

__all__ = ["reader"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


class OrderAdmin(AuditHistoryMixin, admin.ModelAdmin):
    related = ["lines"]


class PlainAdmin(admin.ModelAdmin):
    pass


class OwnTemplateAdmin(admin.ModelAdmin):
    object_history_template = "admin/object_history.html"


site = admin.AdminSite()
site._registry.update(admin.site._registry)
site.register([Author, Book, Tag], PlainAdmin)
site.register(Diner, OwnTemplateAdmin)
urlpatterns = [path("admin/", site.urls)]


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(PageTimeLimit, "SECONDS", 60.0)


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """An admin class for orders that names their lines."""
    monkeypatch.setattr(declarations, "_declared", set())
    OrderAdmin(Order, site)


def of(instance: object, **more: object) -> str:
    options = instance._meta  # type: ignore[attr-defined]
    given = "".join(f"&{name}={value}" for name, value in more.items())
    return f"{LOG}object/?table_name={options.db_table}&object_id={instance.pk}{given}"  # type: ignore[attr-defined]


def button(instance: object) -> str:
    options = instance._meta  # type: ignore[attr-defined]
    return f"/admin/app/{options.model_name}/{instance.pk}/history/"  # type: ignore[attr-defined]


def test_the_history_button_of_every_audited_model_shows_the_log(reader: Client) -> None:
    author = Author.objects.create(name="Mary Godwin")
    Author.objects.update(name="Mary Shelley")
    change = page(reader, f"/admin/app/author/{author.pk}/change/")
    assert f'href="{button(author)}"' in change
    html = page(reader, button(author))
    assert "name: Mary Godwin → Mary Shelley" in words(html)
    own = page(reader, f"{button(author)}{link(html, 'Django.s own history')}")
    assert "name: Mary Godwin" not in words(own)
    assert "Change history" in words(own)


def test_a_model_that_is_not_audited_keeps_djangos_history(reader: Client) -> None:
    group = Group.objects.create(name="editors")
    assert "Change history" in words(page(reader, f"/admin/auth/group/{group.pk}/history/"))


def test_an_admin_with_a_history_of_its_own_keeps_it(reader: Client) -> None:
    diner = Diner.objects.create(name="Mel's")
    assert "Change history" in words(page(reader, button(diner)))


def test_the_setting_switches_it_off(reader: Client, settings) -> None:
    settings.AUDITREPR = {"HISTORY_BUTTON": False}
    author = Author.objects.create(name="Ann")
    assert "Change history" in words(page(reader, button(author)))


def test_the_button_takes_the_permission_to_view_the_object() -> None:
    author = Author.objects.create(name="Ann")
    assert staff("view_auditlog", name="a").get(button(author)).status_code == 403
    assert "Ann" in words(page(staff("view_author", name="b"), button(author)))


def order_with_lines() -> Order:
    """An order whose lines were added, changed and deleted; another has one, too."""
    order, other = (Order.objects.create(ref=ref) for ref in ("A", "B"))
    tea, coffee = (Line.objects.create(order=order, item=item) for item in ("tea", "coffee"))
    Line.objects.create(order=other, item="milk")
    Line.objects.filter(pk=tea.pk).update(quantity=3)
    coffee.delete()
    return order


@pytest.mark.proof
@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.usefixtures("declared")
def test_what_an_admin_class_names_belongs_to_the_history(reader: Client, stored: bool) -> None:
    order = order_with_lines()
    if stored:
        call_command("backfill_reprs", verbosity=0)
    html = page(reader, of(order))
    text = words(html)
    assert "added 1xtea of A" in text
    assert "quantity: 1 → 3" in text
    assert "deleted 1xcoffee of A" in text
    assert "milk" not in text
    assert f"{LOG}object/?table_name=app_line" in html
    assert "searched" not in text
    hidden = page(reader, f"{LOG}object/{link(html, 'Hide what belongs to it')}")
    assert "added 1xtea of A" not in words(hidden)


@pytest.mark.proof
@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.usefixtures("declared")
def test_what_belongs_to_it_does_not_name_it_by_an_earlier_name(
    reader: Client, stored: bool
) -> None:
    order = order_with_lines()
    Order.objects.filter(pk=order.pk).update(ref="Z")
    order.lines.all().delete()
    if stored:
        call_command("backfill_reprs", verbosity=0)
    text = words(page(reader, of(order)))
    assert "deleted 1xcoffee of A" in text
    assert "deleted 3xtea of Z" in text
    assert "order: " not in text
    line = AuditLog.objects.filter(table_name="app_line", action="D").latest("pk")
    assert "Order Z" in words(page(reader, f"{LOG}{line.pk}/change/"))


@pytest.mark.proof
@pytest.mark.parametrize("stored", [True, False])
def test_one_click_shows_what_belongs_to_it(reader: Client, stored: bool) -> None:
    order = order_with_lines()
    if stored:
        call_command("backfill_reprs", verbosity=0)
    html = page(reader, of(order))
    assert "quantity: 1 → 3" not in words(html)
    text = words(page(reader, f"{LOG}object/{link(html, 'Show what belongs to it')}"))
    assert "quantity: 1 → 3" in text
    assert "deleted 1xcoffee of A" in text
    assert "milk" not in text
    assert "only the newest events were searched" in text
    assert "Line" in text.split("only the newest events")[0]


def test_one_click_searches_a_bounded_number_of_events(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = Order.objects.create(ref="A")
    tea = Line.objects.create(order=order, item="tea")
    for n in range(5):
        Line.objects.filter(pk=tea.pk).update(quantity=n)
    monkeypatch.setattr(related_objects, "LOOKED_AT", 2)
    assert words(page(reader, of(order, related=1))).count("quantity: ") == 2


def test_what_the_reader_may_not_see_stays_hidden() -> None:
    order = order_with_lines()
    client = staff("view_auditlog", "view_order")
    assert "quantity: 1 → 3" not in words(page(client, of(order, related=1)))


@pytest.mark.proof
def test_changes_of_many_to_many_fields_are_in_the_history_of_both(reader: Client) -> None:
    book, tag = Book.objects.create(title="Emma"), Tag.objects.create(label="old")
    book.tags.add(tag)
    for one in (book, tag):
        assert "Emma: tags + old" in words(page(reader, of(one)))


@pytest.mark.proof
@pytest.mark.usefixtures("declared")
def test_a_long_history_with_what_belongs_to_it_comes_in_pages(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = Order.objects.create(ref="A")
    for n in range(5):
        Line.objects.create(order=order, item=f"item{n}")
        Order.objects.update(ref=f"A{n}")
    call_command("backfill_reprs", verbosity=0)
    monkeypatch.setattr(timeline, "PAGE", 3)
    html, seen = page(reader, of(order)), []
    while True:
        seen += [n for n in range(5) if f"added 1xitem{n} of" in words(html)]
        later = link(html, "Later")
        if later is None:
            break
        html = page(reader, f"{LOG}object/{later}")
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.proof
def test_takes_as_many_queries_however_much_belongs_to_it(reader: Client, declared: None) -> None:
    order = Order.objects.create(ref="A")
    for n in range(3):
        Line.objects.create(order=order, item=str(n))
    call_command("backfill_reprs", verbosity=0)

    def queries() -> int:
        with CaptureQueriesContext(connection) as sent:
            page(reader, of(order))
        return len(sent)

    queries()
    few = queries()
    for n in range(30):
        Line.objects.create(order=order, item=str(n))
    call_command("backfill_reprs", verbosity=0)
    assert queries() <= few


def test_an_object_without_events_shows_what_it_has_been(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    AuditLog.objects.all().delete()
    Coverage.objects.filter(table_name="app_author").update(
        since_event=0, recorded_at="2026-05-03T10:00:00+00:00"
    )
    text = words(page(reader, of(author)))
    since = "No changes recorded since 2026-05-03 10:00:00+00:00. Since then it has been: Ann"
    assert since in text
    assert "No events recorded" not in text


@pytest.mark.proof
def test_a_history_that_began_late_shows_what_the_object_was_before(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    AuditLog.objects.all().delete()
    Coverage.objects.filter(table_name="app_author").update(
        since_event=0, recorded_at="2026-05-03T10:00:00+00:00"
    )
    Author.objects.update(name="Anna")
    text = words(page(reader, of(author)))
    assert "Recorded since 2026-05-03 10:00:00+00:00." in text
    assert "Before its first recorded change it was: Ann " in text
    assert "name: Ann → Anna" in text
    added = Author.objects.create(name="Bob")
    assert "Before its first" not in words(page(reader, of(added)))


@pytest.mark.proof
def test_a_gap_stands_between_the_events(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    next_moment()
    Author.objects.update(name="Anna")
    triggers.remove("default")
    Coverage.objects.all().delete()
    triggers.install("default")
    Coverage.objects.filter(table_name="app_author").update(
        reason="missing", recorded_at="2026-05-03T10:00:00+00:00"
    )
    AuditLog.objects.filter(action="U").update(occurred_at="2026-05-02T10:00:00+00:00")
    Author.objects.update(name="Annie")
    text = words(page(reader, of(author)))
    gap = (
        "Recording of Author was interrupted between 2026-05-02 10:00:00+00:00 and"
        " 2026-05-03 10:00:00+00:00 (triggers were missing): changes may be missing here."
    )
    assert gap in text
    assert text.index("Ann → Anna") < text.index(gap) < text.index("Anna → Annie")


def test_a_gap_that_is_still_open_stands_at_the_end(reader: Client) -> None:
    author = Author.objects.create(name="Ann")
    Coverage.objects.filter(table_name="app_author").update(
        since_event=None, reason="disabled", recorded_at="2026-05-03T10:00:00+00:00"
    )
    text = words(page(reader, of(author)))
    assert text.rindex("interrupted since 2026-05-03 10:00:00+00:00") > text.index("added Ann")


@pytest.mark.usefixtures("declared")
def test_a_truncate_is_the_end_of_the_object(reader: Client) -> None:
    author, later = Author.objects.create(name="Ann"), None
    if connection.vendor == "postgresql":
        sql("TRUNCATE app_author CASCADE")
    else:
        AuditLog.objects.create(table_name="app_author", action="T")
        sql("DELETE FROM app_author")
        AuditLog.objects.filter(action="D").delete()
    later = Author.objects.create(name="Bob")
    AuditLog.objects.create(table_name="app_author", action="T")
    text = words(page(reader, of(author)))
    assert text.count("emptied all rows") == 1
    assert text.index("added Ann") < text.index("emptied all rows")
    assert words(page(reader, of(later))).count("emptied all rows") == 1
    assert "emptied" not in words(page(reader, of(Author(pk=4711))))
