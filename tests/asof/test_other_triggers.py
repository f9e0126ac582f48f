"""What triggers of the application's own do with a statement: never untrue, and exact beside it."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F

from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book
from tests.capturing import sql
from tests.oracle import Oracle

pytestmark = pytest.mark.django_db(transaction=True)

#: What a trigger does for each row, after it was inserted or updated.
TRIGGERS = {
    "the same row again": (
        "app_author", "NEW.name NOT LIKE '%+'",
        "UPDATE app_author SET name = NEW.name || '+' WHERE id = NEW.id",
    ),
    "and back": (
        "app_author", "NEW.name LIKE 'c%' AND NEW.name NOT LIKE '%+'",
        "UPDATE app_author SET name = 'cc+' WHERE id = NEW.id;"
        " UPDATE app_author SET name = 'c+' WHERE id = NEW.id",
    ),
    "what was there before": (
        "app_author", "NEW.name = 'c'",
        "UPDATE app_author SET name = 'd' WHERE id = NEW.id",
    ),
    "what it refers to": (
        "app_book", "1 = 1",
        "UPDATE app_author SET name = name || '.' WHERE id = NEW.author_id",
    ),
    "what refers to it": (
        "app_author", "1 = 1",
        "UPDATE app_book SET title = title || '.' WHERE author_id = NEW.id",
    ),
}  # fmt: skip


@pytest.fixture(params=TRIGGERS.values(), ids=TRIGGERS)
def _trigger(request):
    table, condition, statements = request.param
    for event in ("INSERT", "UPDATE"):
        if connection.vendor == "postgresql":
            sql(
                f"CREATE FUNCTION others_{event}() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN IF {condition} THEN {statements}; END IF; RETURN NULL; END $$",
                f"CREATE TRIGGER others_{event} AFTER {event} ON {table}"
                f" FOR EACH ROW EXECUTE FUNCTION others_{event}()",
            )
        else:
            sql(
                f"CREATE TRIGGER others_{event} AFTER {event} ON {table}"
                f" WHEN {condition} BEGIN {statements}; END"
            )
    yield
    for event in ("INSERT", "UPDATE"):
        if connection.vendor == "postgresql":
            sql(f"DROP FUNCTION others_{event} CASCADE")
        else:
            sql(f"DROP TRIGGER others_{event}")


BOOKS = "INSERT INTO app_book (price, secret, id, title, author_id) VALUES (0, '', {})"
STATEMENTS = [
    "INSERT INTO app_author (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    BOOKS.format("1, 'x', 1), (0, '', 2, 'y', 1), (0, '', 3, 'z', 3"),
    "UPDATE app_author SET name = 'd' WHERE id <> 2",
    BOOKS.format("4, 'v', 2), (0, '', 5, 'w', 3"),
    "UPDATE app_author SET name = 'c'",
    "UPDATE app_book SET title = 'u'",
    "DELETE FROM app_book WHERE id = 5",
    BOOKS.format("6, 't', 2"),
]
A_MINUTE_LATER = ["UPDATE app_author SET name = 'e+'", BOOKS.format("7, 's', 3")]


def exact(oracle):
    """The outcomes that are called exact; none of them is untrue."""
    events = AuditLog.objects.filter(pk__in=oracle.expected).order_by("pk")
    outcomes = build([Event.of(event) for event in events], "default")
    exact = [outcome for outcome in outcomes if outcome.fidelity == Fidelity.EXACT]
    said = oracle.expected
    assert [(o.id, said[o.id], o.text) for o in exact if o.text != said[o.id]] == []
    return [outcome.text for outcome in exact]


@pytest.mark.usefixtures("_trigger")
@pytest.mark.parametrize("in_one", [False, True])
def test_what_third_party_triggers_do_is_never_untrue(in_one):
    oracle = Oracle([Author, Book])
    with oracle.listening(), transaction.atomic() if in_one else nullcontext():
        sql(*STATEMENTS)
        AuditLog.objects.update(occurred_at=F("occurred_at") - timedelta(minutes=1))
        sql(*A_MINUTE_LATER)
    assert len(exact(oracle)) > 3


@pytest.mark.usefixtures("_trigger")
def test_nor_is_what_was_before_the_first_event_of_a_row():
    sql("INSERT INTO app_author (id, name) VALUES (1, 'z+'), (2, 'y+')")
    AuditLog.objects.all().delete()
    oracle = Oracle([Author, Book])
    with oracle.listening():
        sql(BOOKS.format("1, 'x', 1), (0, '', 2, 'y', 2"))
        sql("UPDATE app_author SET name = 'c' WHERE id = 1")
    assert "y (y+)" in exact(oracle) or AuditLog.objects.filter(object_id="2", action="U").exists()
