"""What docs/context.md shows works as it says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.module_loading import import_string

import auditrepr
from auditrepr.conf import Settings
from auditrepr.models import AuditLog
from tests.app.models import Author, Book, Tag
from tests.examples import examples

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLES = examples("docs/context.md", "python")


def test_its_examples_run_one_after_the_other(django_user_model, settings):
    worked: list[Book] = []
    begin = timezone.now() + timedelta(seconds=1)
    user = django_user_model.objects.create_user("ann")
    book = Book.objects.create(title="A", author=Author.objects.create(name="Ann"))
    book.tags.add(Tag.objects.create(label="x"))
    names = {"user": user, "book": book, "Book": Book, "begin": begin, "end": begin}
    names["work"] = worked.append
    for example in EXAMPLES:
        exec(example, names)
    assert names["old"].price == 0
    assert worked == [book]
    assert names["old"].author.name == "Ann"
    assert auditrepr.doubts(names["old"]) == []
    told = AuditLog.objects.for_model(Book).by(user).get()
    assert told.context == {
        "user": str(user.pk), "user_name": "ann", "reason": "price list of May",
    }  # fmt: skip
    settings.AUDITREPR = names["AUDITREPR"]
    assert Settings.load().CONTEXT == ("user", "request_id", "command")
    assert import_string(names["MIDDLEWARE"][-1]) is auditrepr.AuditContextMiddleware
