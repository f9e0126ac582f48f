"""Tests the context that requests, management commands and Celery tasks add by themselves."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth import login
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

import auditrepr
from auditrepr.exceptions import InvalidSetting
from auditrepr.models import AuditLog
from tests.app.models import Tag
from tests.missing import could_not_try
from tests.processes import environment

pytestmark = pytest.mark.django_db(transaction=True)


def write(request):
    Tag.objects.create(label="sync")
    return HttpResponse()


async def awrite(request):
    with auditrepr.context(reason="async"):
        await asyncio.sleep(0.01)
        await Tag.objects.acreate(label=request.GET.get("label", "async"))
    return HttpResponse()


def read(request):
    return HttpResponse(Tag.objects.count())


def enter(request):
    from django.contrib.auth.models import User

    login(request, User.objects.get())
    Tag.objects.create(label="entered")
    return HttpResponse()


urlpatterns = [
    path("write/", write),
    path("awrite/", awrite),
    path("read/", read),
    path("enter/", enter),
]
MIDDLEWARE = ["auditrepr.AuditContextMiddleware", *django_settings.MIDDLEWARE]


@pytest.fixture(autouse=True)
def _site(settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = MIDDLEWARE


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ann")


def said(label: str) -> Any:
    return AuditLog.objects.filter(row_data__label=label, action="I").latest("pk").context


def test_a_request_tells_user_id_address_and_path(user):
    client = Client(headers={"X-Request-ID": "abc"})
    client.force_login(user)
    client.get("/write/?secret=1")
    assert said("sync") == {
        "user": str(user.pk),
        "user_name": "ann",
        "request_id": "abc",
        "remote_address": "127.0.0.1",
        "path": "/write/",
    }


def test_a_request_without_an_id_gets_one_and_a_stranger_is_no_user():
    Client().get("/write/")
    context = said("sync")
    assert len(context.pop("request_id")) == 32
    assert context == {"remote_address": "127.0.0.1", "path": "/write/"}


def test_what_a_client_sends_is_cut():
    Client(headers={"X-Request-ID": "x" * 5000}).get("/write/")
    assert said("sync")["request_id"] == "x" * 1000


def test_an_async_view_under_async_middleware_tells_the_same_and_what_it_adds(user):
    async def visit():
        client = AsyncClient()
        await client.aforce_login(user)
        await client.get("/awrite/", headers={"X-Request-ID": "abc"})
        await sync_to_async(connections.close_all)()

    asyncio.run(visit())
    assert said("async") == {
        "user": str(user.pk),
        "user_name": "ann",
        "request_id": "abc",
        "remote_address": "127.0.0.1",
        "path": "/awrite/",
        "reason": "async",
    }


def test_requests_at_once_do_not_share_their_context():
    async def visit():
        await asyncio.gather(
            *(
                AsyncClient().get(f"/awrite/?label={n}", headers={"X-Request-ID": n})
                for n in "abcde"
            )
        )
        await sync_to_async(connections.close_all)()

    asyncio.run(visit())
    assert [said(n)["request_id"] for n in "abcde"] == list("abcde")


def test_a_request_that_reads_asks_for_no_user(user, django_assert_num_queries):
    client = Client()
    client.force_login(user)
    with django_assert_num_queries(1):
        response = client.get("/read/")
    assert "Cookie" not in response.headers.get("Vary", "")


def test_who_logs_in_is_the_user_of_what_comes_after(user):
    Client().get("/enter/")
    assert said("entered")["user_name"] == "ann"


def test_each_part_can_be_left_out(settings, user):
    settings.AUDITREPR = {"CONTEXT": ["path"]}
    client = Client()
    client.force_login(user)
    client.get("/write/")
    assert said("sync") == {"path": "/write/"}
    settings.AUDITREPR = {"CONTEXT": []}
    Tag.objects.all().delete()
    client.get("/write/")
    assert said("sync") is None
    settings.AUDITREPR = {"CONTEXT": ["weather"]}
    with pytest.raises(InvalidSetting, match="a list with any of user, request_id"):
        client.get("/write/")


class Writing(BaseCommand):
    def handle(self, **options):
        Tag.objects.create(label="command")


def test_a_management_command_names_itself(settings):
    with auditrepr.context(reason="cron"):
        call_command(Writing())
    assert said("command") == {"command": "test_middleware", "reason": "cron"}
    Tag.objects.all().delete()
    settings.AUDITREPR = {"CONTEXT": []}
    call_command(Writing())
    assert said("command") is None


def test_a_wrong_setting_is_left_to_the_command_to_say(settings):
    settings.AUDITREPR = {"CONTEXT": ["weather"]}
    call_command(Writing())
    assert said("command") is None


@pytest.mark.proof
def test_so_does_one_of_the_command_line():
    code = "from tests.app.models import Tag; Tag.objects.create(label='shell')"
    shell = [sys.executable, "-m", "django", "shell", "-v0", "-c", code]
    subprocess.run(shell, env=environment(), check=True)
    assert said("shell") == {"command": "shell"}


def test_a_celery_task_names_itself_and_ends():
    if not find_spec("celery"):
        could_not_try("Celery tasks", "celery is not installed")
    from celery import Celery

    app = Celery("tests", set_as_current=False)
    app.conf.task_always_eager = True

    @app.task(name="tests.inner")
    def inner():
        Tag.objects.create(label="inner")

    @app.task(name="tests.outer")
    def outer():
        with transaction.atomic():
            inner.delay()
            Tag.objects.create(label="outer")

    result = outer.delay()
    Tag.objects.create(label="after")
    assert said("inner")["task"] == "tests.inner"
    assert said("outer") == {"task": "tests.outer", "task_id": result.id}
    assert said("after") is None
