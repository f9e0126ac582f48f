"""Relations as of the event."""

import pytest
from django.db import connection

from auditrepr.models import AuditLog, Fidelity
from auditrepr.representation import Event, build
from tests.app.models import Author, Book

pytestmark = pytest.mark.django_db(transaction=True)


def outcomes():
    events = [Event.of(row) for row in AuditLog.objects.order_by("id")]
    return [(o.text or o.failure, o.fidelity, o.reason) for o in build(events, "default")]


def test_a_related_object_is_as_it_was():
    author = Author.objects.create(name="Ann")
    book = Book.objects.create(title="T", author=author)
    Author.objects.update(name="Bea")
    book.title = "U"
    book.save()
    Author.objects.update(name="Cleo")
    book.delete()
    author.delete()
    for row in outcomes():
        print(row)
    assert [text for text, *_ in outcomes()] == [
        "Ann", "T (Ann)", "Bea", "U (Bea)", "Cleo", "U (Cleo)", "Cleo",
    ]  # fmt: skip
    assert {fidelity for _, fidelity, _ in outcomes()} == {Fidelity.EXACT}
