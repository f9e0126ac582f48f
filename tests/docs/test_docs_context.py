"""Runs the examples of docs/context.md and docs/querying.md."""

from __future__ import annotations

import threading
from datetime import date, timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django.utils.module_loading import import_string

import auditrepr
from auditrepr.conf import get_settings
from auditrepr.models import AuditLog, Fidelity, InstanceRepr
from tests.app.models import Author, Book, Tag
from tests.examples import examples

pytestmark = pytest.mark.django_db(transaction=True)

MIDDLEWARE, WRITING, CONTEXT, THREAD = examples("docs/context.md", "python")
QUERIES = examples("docs/querying.md", "python")


@pytest.mark.proof
def test_their_examples_run_one_after_the_other(django_user_model):
    begin = timezone.now() + timedelta(seconds=1)
    user = django_user_model.objects.create_user("ann")
    book = Book.objects.create(title="A", author=Author.objects.create(name="Ann"))
    book.tags.add(Tag.objects.create(label="x"))
    author = book.author
    names = {"user": user, "book": book, "Book": Book, "begin": begin, "end": begin,
             "author": author, "Author": Author}  # fmt: skip
    Author.objects.update(name="Anna")
    Author.objects.update(name="Ann")
    exec(WRITING, names)
    call_command("backfill_reprs", verbosity=0)
    for example in QUERIES:
        exec(example, names)
    assert names["old"].price == 0
    assert names["old"].author.name == "Ann"
    assert auditrepr.doubts(names["old"]) == []
    by_user = AuditLog.objects.for_model(Book).by(user).get()
    assert by_user.context == {
        "user": str(user.pk), "user_name": "ann", "reason": "price list of May",
    }  # fmt: skip
    assert AuditLog.objects.get(context__reason="price list of May") == by_user
    assert set(by_user.changes) == {"price"}
    assert by_user.build_instance_repr().fidelity == Fidelity.EXACT
    InstanceRepr.objects.all().delete()
    with pytest.raises(InstanceRepr.DoesNotExist):
        AuditLog.objects.with_reprs().latest("pk").instance_repr  # noqa: B018


def test_its_settings_are_understood(settings):
    names = {}
    exec(MIDDLEWARE + CONTEXT, names)
    settings.AUDITREPR = names["AUDITREPR"]
    assert get_settings().CONTEXT == ("user", "request_id", "command")
    assert import_string(names["MIDDLEWARE"][-1]) is auditrepr.AuditContextMiddleware


def test_a_thread_takes_the_context_along():
    def work(name: str) -> None:
        try:
            Author.objects.create(name=name)
        finally:
            connection.close()

    started: list[threading.Thread] = []
    start = threading.Thread.start
    with (
        pytest.MonkeyPatch.context() as patch,
        auditrepr.context(reason="price list of May"),
    ):
        patch.setattr(threading.Thread, "start", lambda one: (started.append(one), start(one)))
        exec(THREAD, {"work": work, "book": "Ann"})
        started[0].join()
    event = AuditLog.objects.for_model(Author).get()
    assert event.context == {"reason": "price list of May"}


def test_values_that_json_knows_are_kept_as_they_are_and_others_as_text():
    with auditrepr.context(numbers=[1, 2.5, None], flag=True, day=date(2026, 1, 31)):
        Author.objects.create(name="Ann")
    assert AuditLog.objects.for_model(Author).get().context == {
        "numbers": [1, 2.5, None], "flag": True, "day": "2026-01-31",
    }  # fmt: skip
