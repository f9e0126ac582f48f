from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from auditrepr import context
from auditrepr.admin import AuditHistoryMixin, timeline
from tests.app.models import Author
from tests.app.relations import Diner
from tests.pages import LOG, breadcrumbs, event, link, page, reader, staff, words

__all__ = ["reader"]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class ShelfAdmin(AuditHistoryMixin, admin.ModelAdmin):
    def get_queryset(self, request):
        return super().get_queryset(request).exclude(name__startswith="hidden")

    def get_object(self, request, object_id, from_field=None):
        found = super().get_object(request, object_id, from_field)
        if found and found.name == "broken":
            raise RuntimeError("it cannot be shown")
        return found


site = admin.AdminSite()
site._registry.update(admin.site._registry)
site.register(Author, ShelfAdmin)
site.register(Diner, AuditHistoryMixin)
urlpatterns = [path("admin/", site.urls)]


def history(pk: object, model: str = "author") -> str:
    return f"/admin/app/{model}/{pk}/history/"


def of(table_name: str, object_id: object) -> str:
    return f"{LOG}object/?table_name={table_name}&object_id={object_id}"


def test_goes_from_the_first_event_to_the_last_past_the_objects_deletion(reader: Client) -> None:
    author = Author.objects.create(name="Mary Godwin")
    pk = author.pk
    Author.objects.update(name="Mary Shelley")
    author.refresh_from_db()
    author.delete()
    Author.objects.create(name="somebody else")
    for url in (history(pk), of("app_author", pk)):
        text = words(page(reader, url))
        assert f"History of Author {pk} Mary Shelley" in text
        first, second, third = (
            text.index(w) for w in ("added Mary", "changed Mary", "deleted Mary")
        )
        assert first < second < third
        assert "name: Mary Godwin → Mary Shelley" in text
        assert "somebody else" not in text


def test_a_row_that_changed_its_key_is_followed_from_either_key(reader: Client) -> None:
    event(1, text="Ada", object_id="a", action="I")
    event(2, text="Ada", object_id="b", previous_object_id="a", action="U")
    event(3, text="Ada", object_id="b", action="D")
    before, after = page(reader, of("app_author", "a")), page(reader, of("app_author", "b"))
    assert "added" in words(before)
    assert "deleted" not in words(before)
    assert str(link(before, "History of b")).endswith("object_id=b")
    assert "deleted" in words(after)
    assert str(link(after, "History of a")).endswith("object_id=a")


def test_an_object_whose_row_is_in_several_tables_has_one_history(reader: Client) -> None:
    diner = Diner.objects.create(name="Mel's", stars=1)
    Diner.objects.filter(pk=diner.pk).update(name="Luigi's")
    Diner.objects.filter(pk=diner.pk).update(stars=2)
    text = words(page(reader, history(diner.pk, "diner")))
    assert "name: Mel's → Luigi's" in text
    assert "stars: 1 → 2" in text


@pytest.mark.proof
def test_a_long_history_comes_in_pages(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "PAGE", 2)
    for pk in range(1, 6):
        event(pk, f"name {pk}", text=f"name {pk}", object_id="1", action="U")
    url, seen = of("app_author", 1), ""
    html = page(reader, url)
    assert "name 3" not in words(html)
    while later := link(html, "Later"):
        html = page(reader, f"{LOG}object/{later}")
        seen += words(html)
    assert "name 3" in seen
    assert "name 5" in seen
    first = page(reader, f"{LOG}object/{link(html, 'First')}")
    assert words(first) == words(page(reader, url))


def test_leads_to_the_events_and_to_the_object_now(reader: Client) -> None:
    author = Author.objects.create(name="Ada")
    html = page(reader, history(author.pk))
    assert link(html, "Current object") == f"/admin/app/author/{author.pk}/change/"
    [event_link] = {part for part in html.split('"') if part.startswith(LOG) and "change" in part}
    text = words(page(reader, event_link))
    assert "Added: Author" in text
    assert link(page(reader, event_link), "Object history") == of("app_author", author.pk)


def test_an_object_that_its_own_admin_cannot_get_costs_nothing_but_the_way_there(
    reader: Client, monkeypatch
) -> None:
    monkeypatch.setitem(admin.site._registry, Author, ShelfAdmin(Author, admin.site))
    there, broken = (Author.objects.create(name=name) for name in ("there", "broken"))
    assert link(page(reader, of("app_author", there.pk)), "Current object") is not None
    html = page(reader, of("app_author", broken.pk))
    assert link(html, "Current object") is None
    assert "added" in words(html)


def test_an_object_without_events_says_so(reader: Client) -> None:
    assert "No events recorded for this object." in words(page(reader, of("app_author", 4711)))
    assert "No events recorded for this object." in words(page(reader, of("nowhere", "x")))


def test_takes_as_many_queries_however_long_it_is(reader: Client) -> None:
    author = Author.objects.create(name="0")

    def queries() -> int:
        with CaptureQueriesContext(connection) as sent:
            page(reader, history(author.pk))
        return len(sent)

    Author.objects.update(name="1")
    few = queries()
    for n in range(2, 30):
        Author.objects.update(name=str(n))
    assert queries() == few


def test_takes_the_permission_to_view_the_model() -> None:
    author = Author.objects.create(name="Ada")
    assert staff("view_auditlog").get(history(author.pk)).status_code == 403
    assert staff("view_book", "view_auditlog", name="b").get(of("app_author", 1)).status_code == 403
    assert staff("view_author", name="c").get(of("app_author", 1)).status_code == 403
    client = staff("view_author", name="d")
    html = page(client, history(author.pk))
    assert "Ada" in words(html)
    assert LOG not in html


def test_a_deleted_objects_history_takes_the_permission_to_view_the_log_too() -> None:
    author = Author.objects.create(name="Ada")
    pk = author.pk
    author.delete()
    assert staff("view_author").get(history(pk)).status_code == 403
    html = page(staff("view_author", "view_auditlog", name="b"), history(pk))
    assert "deleted" in words(html)


def test_an_object_that_the_admin_hides_has_no_history_there(reader: Client) -> None:
    author = Author.objects.create(name="hidden Ada")
    answer = reader.get(history(author.pk), follow=True)
    assert answer.redirect_chain
    assert b"hidden Ada" not in answer.content


@pytest.mark.parametrize("key", ["x", "_00", f"{10**30}"])
def test_a_key_that_no_object_can_have_is_not_found(reader: Client, key: str) -> None:
    assert reader.get(history(key), follow=True).status_code == 200


def test_what_the_address_holds_does_not_act(reader: Client) -> None:
    html = page(reader, of("<script>x</script>", "%E2%80%AE<b>"))
    assert "<script>x" not in html
    assert "<b>" not in html
    assert "\u202e" not in html
    assert reader.get(of("app_author", "%00")).status_code == 403


def test_the_history_of_a_user_leads_to_what_they_did(reader: Client) -> None:
    user = User.objects.get(username="reader")
    url = f"{LOG}object/?table_name=auth_user&object_id={user.pk}"
    assert link(page(reader, url), "What this user did") == f"{LOG}?actor={user.pk}"
    other = f"{LOG}object/?table_name=app_author&object_id={user.pk}"
    assert link(page(reader, other), "What this user did") is None


def test_says_who_made_a_change_and_why_and_links_to_what_else_they_did(reader: Client) -> None:
    ann = User.objects.create_user("ann")
    with context(user=ann, reason="married"):
        author = Author.objects.create(name="Ada")
    html = page(reader, history(author.pk))
    assert "ann married added Ada" in words(html)
    assert link(html, "<bdi>ann</bdi>") == f"{LOG}?actor={ann.pk}"
    html = page(staff("view_author", name="without"), history(author.pk))
    assert "ann married added Ada" in words(html)
    assert f"actor={ann.pk}" not in html


def test_its_breadcrumbs_and_those_of_the_pages_behind_it_lead_to_the_log(reader: Client) -> None:
    event(1, object_id="5", text="Ada", action="D")
    asked = "table_name=app_author&object_id=5&event=1"
    for url in (
        of("app_author", 5),
        f"{LOG}object/as-of/?{asked}",
        f"{LOG}object/put-back/?{asked}",
    ):
        assert link(breadcrumbs(page(reader, url)), "Audit events") == LOG, url
