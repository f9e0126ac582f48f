"""The people who keep the gazetteer, and a user for looking around in the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import reverse
from django.utils.crypto import get_random_string

import auditrepr

VISITOR = "visitor"
PASSWORD_LENGTH = 16


class Editor(NamedTuple):
    """Somebody who keeps a part of the gazetteer."""

    username: str
    first_name: str
    last_name: str


ADA = Editor("ada", "Ada", "Brandt")  # countries
LUC = Editor("luc", "Luc", "Moreau")  # subdivisions
SOFIA = Editor("sofia", "Sofia", "Rossi")  # organizations


def add_editors() -> None:
    """Save the editors; none of them can log in."""
    for editor in (ADA, LUC, SOFIA):
        get_user_model().objects.create_user(**editor._asdict())


def promote() -> None:
    """Make Sofia an administrator, as the admin does: through a request."""
    sofia = get_user_model().objects.get(username=SOFIA.username)
    sofia.is_staff = sofia.is_superuser = True
    by_request(ADA, reverse("admin:auth_user_change", args=[sofia.pk]), sofia.save)


def by_request(editor: Editor, path: str, change: Callable[[], object]) -> None:
    """Make a change in a request by this editor, with the middleware around it."""
    request = RequestFactory().post(path, headers={"x-request-id": uuid4().hex[:12]})
    request.user = get_user_model().objects.get(username=editor.username)

    def view(_: object) -> HttpResponse:
        change()
        return HttpResponse(status=204)

    auditrepr.AuditContextMiddleware(view)(request)


def create_visitor() -> str | None:
    """Create the user; return the password, or None if the user exists already."""
    users = get_user_model().objects
    if users.filter(username=VISITOR).exists():
        return None
    password = get_random_string(PASSWORD_LENGTH)
    users.create_superuser(VISITOR, password=password)
    return password
