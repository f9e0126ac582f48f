"""Fetches the admin's pages as a reader's browser does, and makes events to read."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from auditrepr.lineage import renames
from auditrepr.models import AuditLog, Fidelity, InstanceRepr, ReprFailure

LOG = "/admin/auditrepr/auditlog/"
FAILURES = "/admin/auditrepr/reprfailure/"
RUNS = "/admin/auditrepr/backfillrun/"

#: Until a failure is retried.
DELAY = timedelta(minutes=5)


@pytest.fixture
def reader() -> Client:
    """A superuser's browser. Others have been here: the names of the past are known by now."""
    renames._RECENT.clear()
    renames.recent_renames("default")
    client = Client()
    client.force_login(User.objects.create_superuser("reader"))
    return client


def staff(*codenames: str, name: str = "staff") -> Client:
    """Return the test client of a user who has only these permissions."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def event(
    pk: int, name: str = "Ada", text: str | None = None, mixed: str = "", **values: Any
) -> AuditLog:
    """An event of an author's row, with a representation if a text is given."""
    defaults: dict[str, Any] = {
        "table_name": "app_author",
        "object_id": str(pk),
        "action": "I",
        "row_data": {"id": pk, "name": name},
    }
    made = AuditLog.objects.create(id=pk, **defaults | values)
    if text is not None:
        fidelity = Fidelity.MIXED if mixed else Fidelity.EXACT
        InstanceRepr.objects.create(
            audit_log=made, instance_repr=text, fidelity=fidelity, reason=mixed
        )
    return made


def fail(made: AuditLog, message: str = "no such thing", **values: Any) -> ReprFailure:
    """A failure of this event, which is retried unless the values say otherwise."""
    defaults = {
        "error_class": "ValueError",
        "message": message,
        "next_attempt_at": timezone.now() + DELAY,
    }
    return ReprFailure.objects.create(audit_log=made, **defaults | values)


def page(client: Client, url: str = LOG) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def ids(client: Client, url: str = LOG) -> list[int]:
    """The events that a page lists, in its order."""
    found = re.findall(r'href="/admin/auditrepr/auditlog/(-?\d+)/change/', page(client, url))
    return [int(pk) for pk in found]


def words(html: str) -> str:
    """What a person reads of it, as one line."""
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def breadcrumbs(html: str) -> str:
    """The way to the page, without what is beside it."""
    found = re.search(r'<(div|ol) class="breadcrumbs">(.*?)</\1>', html, re.DOTALL)
    return found[2] if found else ""


def link(html: str, text: str) -> str | None:
    """Where the link with this text leads."""
    found = re.search(rf'<a href="([^"]*)"[^>]*>{text}</a>', html)
    return unescape(found[1]) if found else None
