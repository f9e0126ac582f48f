"""A user's own page in the admin leads to what they did."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client

from tests.pages import FAILURES, LOG, event, fail, ids, link, page, reader, staff

__all__ = ["reader"]
pytestmark = pytest.mark.django_db

DID = "What this user did"


def address(user: Any, more: str = "") -> str:
    return f"/admin/auth/user/{user.pk}/change/{more}"


def test_a_users_page_leads_to_their_events(reader: Client) -> None:
    ann, bob = User.objects.create_user("ann"), User.objects.create_user("bob")
    event(1, context={"user": str(ann.pk), "user_name": "ann"})
    event(2, context={"user": str(bob.pk), "user_name": "bob"})
    html = page(reader, address(ann))
    assert link(html, "History")
    its = link(html, DID)
    assert its == f"{LOG}?actor={ann.pk}"
    assert ids(reader, its) == [1]


def test_only_who_may_read_the_log_is_led_there(settings: Any) -> None:
    ann = User.objects.create_user("ann")
    assert DID not in page(staff("view_user"), address(ann))
    both = staff("view_user", "view_auditlog", name="auditor")
    assert DID in page(both, address(ann))
    settings.AUDITREPR = {"HISTORY_BUTTON": False}
    assert DID not in page(both, address(ann))


def test_no_other_page_leads_there(reader: Client) -> None:
    group = "/admin/auth/group/add/"
    for url in ("/admin/auth/user/add/", group, address(User.objects.get(), "?_popup=1")):
        assert DID not in page(reader, url)


@pytest.mark.proof
def test_a_template_of_the_projects_own_is_kept(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    its_admin = admin.site._registry[User]
    monkeypatch.setattr(its_admin, "change_form_template", "auditrepr/record.html")
    html = page(reader, address(User.objects.get()))
    assert "historylink" not in html  # which that template leaves out


def test_a_failures_page_leads_to_its_event_and_the_objects_history(reader: Client) -> None:
    fail(event(7, object_id="77"))
    html = page(reader, f"{FAILURES}7/change/")
    assert link(html, "Event") == f"{LOG}7/change/"
    history = link(html, "Object history")
    assert history == f"{LOG}object/?table_name=app_author&object_id=77"
    assert "ValueError" in page(reader, f"{LOG}7/change/")
    assert ids(reader, history) == [7]
    without = staff("view_reprfailure", "view_author")
    assert link(page(without, f"{FAILURES}7/change/"), "Event") is None
