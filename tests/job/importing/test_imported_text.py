"""A text that another log brings is kept, and shown where its events do not have the whole row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

import auditrepr
from auditrepr.exceptions import EventsUnfit, NotRestored, RowNotImported
from auditrepr.job import importing
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog, InstanceRepr
from tests import old_log
from tests.app.models import Author, Book
from tests.capturing import next_moment, sql
from tests.running import run

pytestmark = [pytest.mark.usefixtures("other_log"), pytest.mark.django_db(transaction=True)]

AS_STORED = "as ours stored it"


def select(using: str) -> str:
    return (
        "SELECT number AS position, table_name, object_id, action, row_data, context, occurred_at,"
        " nullif(note, '') AS text FROM old_log"
    )


@pytest.fixture
def sources() -> dict[str, Any]:
    return {"SOURCES": {"ours": f"{__name__}.select"}}


def logged(key: int, text: str, row: dict[str, Any] | None = None, **more: str) -> None:
    """Add an event to the old log; by default, it does not know the row."""
    now = timezone.now()
    values = {"table_name": "app_author", "object_id": str(key), "action": "I", "note": text} | more
    values["occurred_at"] = str(connection.ops.adapt_datetimefield_value(now))
    if row is not None:
        values["row_data"] = json.dumps(row, default=float)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO old_log (number, {', '.join(values)})"
            " SELECT count(*) + 1," + ", ".join(["%s"] * len(values)) + " FROM old_log",
            list(values.values()),
        )
    next_moment()


def do() -> None:
    old_log.begin()
    next_moment()
    importing.run(importing.Request("default", ("ours",)), lock=DatabaseLock("default"))
    run()


def stored() -> list[tuple[Any, ...]]:
    rows = InstanceRepr.objects.order_by("pk")
    return list(rows.values_list("instance_repr", "fidelity", "reason"))


@pytest.mark.proof
def test_it_stands_for_a_row_that_is_not_known_also_after_a_rebuild() -> None:
    logged(5, "Ann, as she was")
    do()
    event = AuditLog.objects.get()
    assert event.context == {"imported_from": "ours", "imported_text": "Ann, as she was"}
    assert event.row_data == {}
    assert stored() == [("Ann, as she was", "M", AS_STORED)]
    InstanceRepr.objects.update(instance_repr="forgotten")
    call_command("rebuild_reprs", verbosity=0)
    assert stored() == [("Ann, as she was", "M", AS_STORED)]


@pytest.mark.proof
def test_it_stands_for_a_row_that_is_known_in_part_and_not_for_a_whole_one() -> None:
    Author.objects.create(name="Bea")
    row = AuditLog.objects.get().row_data
    AuditLog.objects.all().delete()
    logged(5, "Bea, they say", row)
    logged(6, "Ann, they say", {"id": 6, "name": "Ann"} if len(row) > 2 else {"id": 6})
    logged(7, "", row)
    do()
    assert stored() == [("Bea", "E", ""), ("Ann, they say", "M", AS_STORED), ("Bea", "E", "")]
    texts = AuditLog.objects.order_by("pk").values_list("context__imported_text", flat=True)
    assert list(texts) == ["Bea, they say", "Ann, they say", None]


def test_it_stands_for_a_table_without_a_model_and_for_code_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: Author) -> str:
        raise ValueError("no name")

    Author.objects.create(name="Bea")
    row = AuditLog.objects.get().row_data
    AuditLog.objects.all().delete()
    monkeypatch.setattr(Author, "__str__", fail)
    logged(5, "Once", table_name="gone")
    logged(6, "Bea, they say", row)
    do()
    assert stored() == [("Once", "M", AS_STORED), ("Bea, they say", "M", AS_STORED)]


@pytest.mark.proof
def test_no_row_is_made_up() -> None:
    logged(5, "Ann, as she was")
    do()
    event = AuditLog.objects.get()
    with pytest.raises(RowNotImported, match=r"app\.Author 5"):
        auditrepr.as_of(Author, event, pk=5)
    with pytest.raises(NotRestored, match="imported without the field “name”"):
        auditrepr.restore(Author, event, pk=5)
    assert not Author.objects.exists()


def test_what_reads_such_a_row_shows_that_it_is_not_known() -> None:
    author = Author.objects.create(name="Ann")
    Book.objects.create(title="Go", author=author)
    book = AuditLog.objects.get(table_name="app_book")
    row, key = book.row_data, book.object_id
    AuditLog.objects.all().delete()
    logged(author.pk, "Ann, as she was")
    logged(int(key), "", row, table_name="app_book")
    do()
    text, fidelity, _ = stored()[1]
    assert (text, fidelity) == ("Go ([name: not in the imported event])", "M")


@pytest.mark.proof
def test_our_own_events_are_as_exact_as_without() -> None:
    author = Author.objects.create(name="Ann")
    AuditLog.objects.all().delete()
    logged(author.pk, "Ann, as she was")
    old_log.begin()
    Book.objects.create(title="Go", author=author)
    next_moment()
    importing.run(importing.Request("default", ("ours",)), lock=DatabaseLock("default"))
    run()
    assert stored() == [("Ann, as she was", "M", AS_STORED), ("Go (Ann)", "E", "")]


@pytest.mark.proof
def test_an_event_that_says_nothing_is_refused() -> None:
    logged(5, "")
    with pytest.raises(EventsUnfit, match="have no JSON object as row_data"):
        do()
    sql("DELETE FROM old_log")
    logged(5, "a text", {"id": 5}, action="U")
    do()
    assert AuditLog.objects.get().row_data == {"id": 5}
