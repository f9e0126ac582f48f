"""Tests that docs/admin.md describes the pages as they work."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import path

from auditrepr.tracking import related
from tests.app.models import Author
from tests.examples import examples
from tests.pages import link, page, reader, words
from tests.project import ROOT

__all__ = ["reader"]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

PAGE = (ROOT / "docs" / "admin.md").read_text()
BUTTON, OFFICE = examples("docs/admin.md", "python")
names = {"admin": admin, "Order": Author}
_declared = set(related._declared)
exec(BUTTON, names)
exec(OFFICE, names)
admin.site.unregister(Author)  # for this module's site alone
site = admin.AdminSite()
site._registry.update(admin.site._registry)
site.register(Author, names["OrderAdmin"])
related._declared -= related._declared - _declared  # other tests have no such admin class
office = names["office"]
urlpatterns = [path("admin/", site.urls), path("office/", office.urls)]


def test_its_history_button_leads_to_what_the_log_has_of_the_object(reader: Client):
    author = Author.objects.create(name="Mary Godwin")
    Author.objects.update(name="Mary Shelley")
    button = link(page(reader, f"/admin/app/author/{author.pk}/change/"), "History")
    assert "name: Mary Godwin → Mary Shelley" in words(page(reader, button))


@pytest.mark.proof
def test_its_pages_are_on_another_site_and_where_it_says(reader: Client):
    Author.objects.create(name="Mary Godwin")
    for address in re.findall(r"`/admin/(auditrepr/\w+/)`", PAGE):
        assert reader.get(f"/admin/{address}").status_code == 200
        assert reader.get(f"/office/{address}").status_code == 200
    assert "Mary Godwin" in words(page(reader, "/office/auditrepr/auditlog/"))
