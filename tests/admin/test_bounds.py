"""Tests that a page of the list sends a bounded number of queries and shows no later name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from auditrepr.admin.event_lines import describe
from auditrepr.asof.held import at_hand, held
from auditrepr.models import AuditLog
from auditrepr.tracking import tracked_tables
from auditrepr.utils.model_meta import own_fields
from auditrepr.utils.table_names import model_for_table
from auditrepr.utils.time_limit import TimeLimit
from tests.app.changing import CHANGED
from tests.app.fields import Everything
from tests.app.models import Author, Book
from tests.pages import event, page, reader, words

__all__ = ["reader"]
pytestmark = pytest.mark.django_db

#: Models whose code does something to the process or transaction that reads, or sends queries.
OTHERS = ("hostile", "troubled", "virtual", "remember")
MODULES = ("conversion", "making", "odd_keys", "playlists", "racks", "trays")
TEXTS = ("CharField", "TextField")


def fifty(*, stored: bool) -> None:
    """Events of as many models as there are, which change what their foreign keys lead to."""
    tables = [t.name for t in tracked_tables("default") if not _is_other(t.name)]
    assert len(tables) >= 44
    for number, table in enumerate(tables[:50], start=1):
        new: dict[str, Any] = {}
        old: dict[str, Any] = {}
        for field in own_fields(model_for_table(table)):
            if field.is_relation and field.target_field.get_internal_type().endswith("AutoField"):
                new[field.column], old[field.column] = 1000 + number, 2000 + number
                if stored:
                    _stored(field.target_field.model._meta.db_table, 1000 + number)
                    _stored(field.target_field.model._meta.db_table, 2000 + number)
            elif not field.is_relation and field.get_internal_type() in TEXTS:
                new[field.column], old[field.column] = "new", "old"
            elif field.primary_key and not field.is_relation:
                new[field.column] = number
        values = {"row_data": new, "changed_from": old or {"gone": 1}, "object_id": str(number)}
        text = f"object of {table}" if stored else None
        event(10_000 + number, text=text, table_name=table, action="U", **values)


def _is_other(table: str) -> bool:
    module = model_for_table(table).__module__.rpartition(".")[2]
    return module in MODULES or any(other in table for other in OTHERS)


def _stored(table: str, key: int) -> None:
    known = {"table_name": table, "object_id": str(key)}
    if not AuditLog.objects.filter(**known).exists():
        pk = AuditLog.objects.filter(pk__lt=9_000).count() + 1
        event(pk, text=f"{table}-{key}", row_data={"id": key}, **known)


def sent_for_a_page(reader: Client) -> tuple[int, str]:
    page(reader)  # what a process looks up once
    with CaptureQueriesContext(connection) as sent:
        text = words(page(reader))
    return len(sent), text


@pytest.mark.proof
def test_fifty_events_of_fifty_models_take_fifteen_queries_where_they_are_stored(
    reader: Client,
) -> None:
    fifty(stored=True)
    sent, text = sent_for_a_page(reader)
    assert sent <= 15
    assert text.count("object of app_") >= 40
    assert re.search(r"author: app_author-2(\d+) → app_author-1\1 ", text)


@pytest.mark.proof
def test_fifty_events_of_fifty_models_take_forty_five_where_all_are_pending(reader: Client) -> None:
    fifty(stored=False)
    sent, text = sent_for_a_page(reader)
    assert sent <= 45
    assert text.count("(not stored yet)") >= 44
    assert re.search(r"\w \(not stored yet\)", text.replace(" 1 (not", "")), "some are built"


@pytest.mark.proof
def test_a_page_of_few_models_is_built_whole(reader: Client) -> None:
    author = Author.objects.create(name="Ada")
    book = Book.objects.create(title="Notes", author=author)
    Book.objects.filter(pk=book.pk).update(author=Author.objects.create(name="Bea"))
    _, text = sent_for_a_page(reader)
    assert "Notes (Bea) (not stored yet)" in text
    assert "author: Ada → Bea" in text
    assert "Ada (not stored yet)" in text


def test_a_related_object_has_the_name_of_that_time(reader: Client) -> None:
    event(1, object_id="7", text="Mary Godwin")
    change = {"table_name": "app_book", "action": "U", "object_id": "1"}
    rows = {"row_data": {"id": 1, "author_id": 7}, "changed_from": {"author_id": None}}
    event(2, text="Frankenstein", **change, **rows)
    event(3, object_id="7", text="Mary Shelley")
    text = words(page(reader))
    assert "author: (none) → Mary Godwin" in text


def test_a_mixed_name_is_built_as_of_the_event(reader: Client) -> None:
    event(1, "Mary Godwin", object_id="7", text="Mary, 53 today", mixed="age read live")
    change = {"table_name": "app_book", "action": "U", "object_id": "1"}
    rows = {"row_data": {"id": 1, "author_id": 7}, "changed_from": {"author_id": None}}
    event(2, text="Frankenstein", **change, **rows)
    assert "author: (none) → Mary Godwin" in words(page(reader))


@pytest.mark.postgresql
def test_a_name_that_the_events_transaction_could_not_see_is_not_shown(reader: Client) -> None:
    event(1, object_id="7", text="Mary Godwin", transaction_id=100, snapshot="100:100:")
    # Committed after the snapshot of event 3 was taken, although its ID is lower.
    event(2, object_id="7", text="Mary Shelley", transaction_id=105, snapshot="105:105:")
    change = {"table_name": "app_book", "action": "U", "object_id": "1"}
    rows = {"row_data": {"id": 1, "author_id": 7}, "changed_from": {"author_id": None}}
    seen = {"transaction_id": 104, "snapshot": "104:106:105"}
    event(3, text="Frankenstein", **change, **rows, **seen)
    event(4, text="Valperga", **change, **rows, transaction_id=107, snapshot="107:107:")
    text = words(page(reader))
    assert "Valperga author: (none) → Mary Shelley" in text
    assert "Frankenstein author: (none) → Mary Godwin" in text


def test_values_at_hand_are_those_that_a_query_gives() -> None:
    one = Everything.objects.create(**{name: old for name, (old, _) in CHANGED.items()})
    for name, (_, new) in CHANGED.items():
        setattr(one, name, new)
    one.save()
    changed = AuditLog.objects.filter(table_name="app_everything", action="U").latest("pk")
    columns = {changed.pk: [*changed.row_data]}
    known = {(v.column, v.before): v.value for v in held([changed], "default")}
    hand = {
        (v.column, v.before): v.value for v in at_hand([changed], columns, "default", TimeLimit(5))
    }
    assert len(hand) >= 15
    assert hand == {place: known[place] for place in hand}
    assert {k: type(v) for k, v in hand.items()} == {k: type(known[k]) for k in hand}


def test_a_line_is_described_without_a_query_for_its_values() -> None:
    event(1, text="Ada", action="U", changed_from={"name": "Eve"})
    [one] = AuditLog.objects.prefetch_related("instance_repr", "repr_failure")
    describe([one], "default")
    with CaptureQueriesContext(connections["default"]) as sent:
        describe([one], "default")
    assert [str(change) for change in one.changes_in_words] == ["name: Eve → Ada"]
    assert len(sent) == 0
