"""Tests the log's pages on a project's own admin site, beside the usual one or without it."""

from __future__ import annotations

import re
from datetime import datetime
from io import StringIO

import pytest
from django.conf import settings
from django.contrib.admin import AdminSite, ModelAdmin, site
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from django.urls import path
from django.utils.timezone import localtime

from auditrepr import capture
from auditrepr.admin import AuditHistoryMixin
from auditrepr.admin.audit_log import AuditLogAdmin
from auditrepr.admin.failures import ReprFailureAdmin
from auditrepr.admin.runs import BackfillRunAdmin
from auditrepr.lineage import renames
from auditrepr.models import AuditLog, BackfillRun, ReprFailure
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.pages import event, fail, page

pytestmark = pytest.mark.django_db


class AuthorAdmin(AuditHistoryMixin, ModelAdmin):
    pass


office = AdminSite("office")
office.register(AuditLog, AuditLogAdmin)
office.register(BackfillRun, BackfillRunAdmin)
office.register(ReprFailure, ReprFailureAdmin)
office.register(Author, AuthorAdmin)
shop = AdminSite("shop")
shop.register(Author, AuthorAdmin)
shop.register(BackfillRun, BackfillRunAdmin)

urlpatterns = [path("shop/", shop.urls), path("office/", office.urls)]


class Both:
    urlpatterns = [*urlpatterns, path("admin/", site.urls)]


@pytest.fixture(params=[__name__, Both], ids=["alone", "beside the usual one"])
def browser(request):
    with override_settings(ROOT_URLCONF=request.param):
        client = Client()
        client.force_login(User.objects.create_superuser("reader"))
        yield client


@pytest.fixture
def moved():
    """An object whose key changed, with an event that failed."""
    Author.objects.create(pk=7, name="Ada")
    AuditLog.objects.all().delete()
    event(7, transaction_id=1, context={"user": "5"})
    fail(event(8, object_id="7", previous_object_id="6", action="U", transaction_id=1))


@pytest.mark.parametrize(
    "url",
    [
        "auditrepr/auditlog/",
        "auditrepr/auditlog/8/change/",
        "auditrepr/auditlog/object/?table_name=app_author&object_id=7",
        "auditrepr/backfillrun/",
        "auditrepr/reprfailure/",
        "app/author/7/history/",
    ],
)
def test_every_link_stays_within_the_site(browser, moved, url):
    html = page(browser, f"/office/{url}")
    found = set(re.findall(r'(?:href|action)="(/[^"#]+)"', html)) - {"/"}
    assert {one for one in found if not one.startswith(("/office/", "/static/"))} == set()
    assert any(one.startswith("/office/auditrepr/") for one in found)


def test_an_events_links_lead_where_they_say(browser, moved):
    html = page(browser, "/office/auditrepr/auditlog/7/change/")
    links = set(re.findall(r'href="(/office/auditrepr/auditlog/\?[^"]+)"', html))
    assert links == {
        "/office/auditrepr/auditlog/?transaction_id=1",
        "/office/auditrepr/auditlog/?actor=5",
    }
    for link in links:
        assert browser.get(link).status_code == 200


def test_a_history_on_a_site_without_the_log_links_to_no_page_of_it(browser, moved):
    html = page(browser, "/shop/app/author/7/history/")
    assert "<bdi>Ada</bdi>" in html
    assert "auditlog" not in html


def test_the_job_on_a_site_without_the_failures_links_to_no_list_of_them(browser, moved):
    html = page(browser, "/shop/auditrepr/backfillrun/")
    assert "no such thing" not in html
    assert "reprfailure" not in html


@pytest.fixture
def project(request):
    """A project with these settings, whose triggers are its own."""
    renames._RECENT.clear()  # read with other settings
    with override_settings(**request.param):
        capture.install("default")
        yield
    capture.install("default")


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)  # a connection's time zone is that of its settings
@pytest.mark.parametrize(
    "project",
    [
        {"USE_TZ": False},
        # At any hour it is another day than in Greenwich in one of these.
        {"USE_TZ": False, "TIME_ZONE": "Pacific/Kiritimati"},
        {"USE_TZ": False, "TIME_ZONE": "Etc/GMT+12"},
        {"TIME_ZONE": "Pacific/Kiritimati"},
        {"TIME_ZONE": "Etc/GMT+12"},
        {"USE_I18N": False},
        {"LANGUAGE_CODE": "de", "USE_THOUSAND_SEPARATOR": True},
    ],
    ids=str,
    indirect=True,
)
def test_every_page_stands_with_these_settings(project):
    author = Author.objects.create(name="Ada")
    Author.objects.filter(pk=author.pk).update(name="Eve")
    call_command("backfill_reprs", verbosity=0)
    fail(AuditLog.objects.filter(table_name="app_author").latest("pk"))
    vendor = get_vendor("default")
    vendor.execute(vendor.remove_sql("app_tag"))
    capture.install("default")
    with pytest.raises(CommandError, match=r"(?s)app_tag: the log has a gap.*1 event failed"):
        call_command("backfill_status", stdout=(told := StringIO()))
    client = Client()
    client.force_login(User.objects.create_superuser("reader"))
    first = AuditLog.objects.filter(table_name="app_author").earliest("pk").pk
    assert "Ada" in page(client, "/admin/auditrepr/auditlog/")
    assert "Ada" in page(client, f"/admin/auditrepr/auditlog/{first}/change/")
    timeline = f"object/?table_name=app_author&object_id={author.pk}"
    assert "Eve" in page(client, f"/admin/auditrepr/auditlog/{timeline}")
    today = f"{localtime() if settings.USE_TZ else datetime.now():%Y-%m-%d}"
    days = f"?since={today}&until={today}"
    assert "Ada" in page(client, f"/admin/auditrepr/auditlog/{days}")
    assert "ValueError" in page(client, "/admin/auditrepr/backfillrun/")
    assert "backfill_reprs" in told.getvalue()
