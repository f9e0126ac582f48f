"""Tests that pages show values and choices of fields whose code does not behave as Django's."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from auditrepr.models import AuditLog
from tests.app import stubborn
from tests.app.stubborn import Array, Silent, Stubborn
from tests.pages import LOG, page, reader, words

__all__ = ["reader"]
pytestmark = pytest.mark.django_db

ANN = {"array": Array("ab"), "silent": Silent("s"), "kind": "a", "owner": "Ann"}
BOB = {"array": Array("bc"), "silent": Silent("t"), "kind": "b", "owner": "Bob"}
OBJECT = "table_name=app_stubborn&object_id={object}"
PAGES = {
    "list": LOG,
    "event": f"{LOG}{{last}}/change/",
    "history": f"{LOG}object/?{OBJECT}",
    "two moments": f"{LOG}object/as-of/?{OBJECT}&event={{first}}&to=2099-01-01",
    "what is put back": f"{LOG}object/put-back/?{OBJECT}&event={{first}}",
}


@pytest.fixture(autouse=True)
def _choices_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stubborn, "table_is_there", True)


def changed() -> dict[str, int]:
    """Return an object of which each value has changed, with its first and last event."""
    for name in ("Ann", "Bob"):
        Stubborn.objects.create(name=name, **ANN)
    Stubborn.objects.filter(name="Bob").update(**BOB)
    _, first, last = AuditLog.objects.order_by("pk").values_list("pk", flat=True)
    return {"object": Stubborn.objects.get(name="Bob").pk, "first": first, "last": last}


@pytest.mark.parametrize("where", PAGES)
def test_they_are_shown_as_far_as_they_can_be(where: str, reader: Client) -> None:
    text = words(page(reader, PAGES[where].format(**changed())))
    old, new = ("BOB", "ANN") if where == "what is put back" else ("ANN", "BOB")
    assert re.search(f"owner:? {old} (→ )?{new}", text, re.IGNORECASE)
    assert "<Silent>" in text


@pytest.mark.parametrize("where", ["list", "event", "history"])
def test_choices_are_read_once_for_a_page(where: str, reader: Client) -> None:
    url = PAGES[where].format(**changed())
    with CaptureQueriesContext(connection) as sent:
        page(reader, url)
    asked = [one["sql"] for one in sent if 'FROM "app_stubborn"' in one["sql"]]
    assert len([sql for sql in asked if "auditrepr" not in sql and "WITH" not in sql]) <= 1
