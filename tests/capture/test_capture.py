"""Tests every way to write to a table, on both databases: each change is recorded correctly."""

from __future__ import annotations

import json

import pytest
from django.db import transaction
from django.db.models import F

from auditrepr.models import AuditLog
from tests.app.models import Author, Book, Tag
from tests.capturing import actions, audit, events, shell, sql

pytestmark = pytest.mark.django_db

ROW = ("action", "object_id", "row_data", "changed_from")


@pytest.fixture
def ann() -> Author:
    author = Author.objects.create(name="Ann")
    AuditLog.objects.all().delete()
    return author


def test_saving_a_new_object_is_an_insert_with_the_whole_row():
    book = Book.objects.create(title='O\'Neill "q"\nü', price="1.50", secret="s")
    ((action, key, row, before),) = events("app_book", *ROW)
    assert (action, key, before) == ("I", str(book.pk), None)
    assert row.keys() == {"id", "title", "author_id", "price", "published"}
    assert row["title"] == book.title
    assert row["author_id"] is None


def test_saving_a_change_is_an_update_with_the_old_values(ann: Author):
    ann.name = "Bea"
    ann.save()
    new = {"id": ann.pk, "name": "Bea"}
    assert events("app_author", *ROW) == [("U", str(ann.pk), new, {"name": "Ann"})]


def test_changes_of_an_event_are_by_field(ann: Author):
    book = Book.objects.create(title="T", author=ann)
    Book.objects.update(author=None)
    assert AuditLog.objects.get(table_name="app_book", action="U").changes == {
        "author": (ann.pk, None)
    }
    assert book.pk


def test_deleting_an_object_is_a_delete_with_the_row_as_it_was(ann: Author):
    key = ann.pk
    ann.delete()
    assert events("app_author", *ROW) == [("D", str(key), {"id": key, "name": "Ann"}, None)]


def test_a_change_of_nothing_is_no_event(ann: Author):
    ann.save()
    Author.objects.update(name=F("name"))
    assert not AuditLog.objects.exists()


def test_a_change_of_a_left_out_column_alone_is_no_event():
    Book.objects.create(title="T", secret="a")
    Book.objects.update(secret="b")
    assert actions("app_book") == "I"


def test_what_is_rolled_back_leaves_no_event(ann: Author):
    with transaction.atomic():
        ann.delete()
        transaction.set_rollback(True)
    assert not AuditLog.objects.exists()


def test_bulk_create_is_an_insert_for_each_row():
    authors = Author.objects.bulk_create(Author(name=f"a{n}") for n in range(30))
    assert events("app_author") == [("I", str(author.pk)) for author in authors]


def test_bulk_create_with_conflicts_inserts_and_updates(ann: Author):
    authors = [Author(pk=ann.pk, name="Bea"), Author(pk=ann.pk + 1000, name="Cy")]
    fields = {"unique_fields": ["id"], "update_fields": ["name"]}
    Author.objects.bulk_create(authors, update_conflicts=True, **fields)
    found = sorted(events("app_author", "action", "row_data", "changed_from"), key=str)
    assert found == [
        ("I", {"id": ann.pk + 1000, "name": "Cy"}, None),
        ("U", {"id": ann.pk, "name": "Bea"}, {"name": "Ann"}),
    ]


def test_bulk_create_that_ignores_conflicts_inserts_only_what_is_new(ann: Author):
    authors = [Author(pk=ann.pk, name="Bea"), Author(pk=ann.pk + 1000, name="Cy")]
    Author.objects.bulk_create(authors, ignore_conflicts=True)
    assert events("app_author") == [("I", str(ann.pk + 1000))]


def test_bulk_update_is_an_update_for_each_row_that_changes():
    authors = Author.objects.bulk_create(Author(name=f"a{n}") for n in range(5))
    for author in authors[1:]:
        author.name += "!"
    Author.objects.bulk_update(authors, ["name"])
    updates = [event for event in events("app_author", *ROW) if event[0] == "U"]
    assert sorted(updates) == [
        ("U", str(a.pk), {"id": a.pk, "name": a.name}, {"name": a.name[:-1]}) for a in authors[1:]
    ]


def test_update_is_an_update_for_each_row():
    authors = Author.objects.bulk_create(Author(name=f"a{n}") for n in range(5))
    Author.objects.update(name="same")
    updates = [event for event in events("app_author") if event[0] == "U"]
    assert sorted(updates) == sorted(("U", str(author.pk)) for author in authors)


def test_many_to_many_rows_are_events_of_their_own_table():
    book, tag = Book.objects.create(title="T"), Tag.objects.create(label="t")
    book.tags.add(tag)
    book.tags.clear()
    inserted, deleted = events("app_book_tags", "action", "row_data")
    assert inserted[0] + deleted[0] == "ID"
    assert inserted[1] == deleted[1]
    assert (inserted[1]["book_id"], inserted[1]["tag_id"]) == (book.pk, tag.pk)


def test_a_cascade_by_django_is_a_delete_for_each_row(ann: Author):
    Book.objects.bulk_create(Book(title=str(n), author=ann) for n in range(3))
    ann.delete()
    assert actions("app_book") == "IIIDDD"
    assert actions("app_author") == "D"


def test_raw_sql_is_captured(ann: Author):
    sql(
        "INSERT INTO app_author (id, name) VALUES (900001, 'x'), (900002, 'y')",
        "UPDATE app_author SET name = name || '!' WHERE id > 900000",
        "DELETE FROM app_author WHERE id = 900002",
    )
    assert events("app_author", "object_id", "action", "changed_from") == [
        ("900001", "I", None),
        ("900002", "I", None),
        ("900001", "U", {"name": "x"}),
        ("900002", "U", {"name": "y"}),
        ("900002", "D", None),
    ]


def test_an_upsert_is_an_insert_or_an_update_and_no_event_if_nothing_changes(ann: Author):
    sql(
        f"INSERT INTO app_author (id, name) VALUES ({ann.pk}, 'Ann'), (901, 'x')"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        f"INSERT INTO app_author (id, name) VALUES ({ann.pk}, 'Bea'), (901, 'x')"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    )
    assert events("app_author") == [("I", "901"), ("U", str(ann.pk))]


def test_a_change_of_keys_is_one_update_for_each_row_with_its_own_past():
    sql("CREATE TABLE keyed (id integer PRIMARY KEY, label varchar(20))")
    audit("keyed")
    sql("INSERT INTO keyed VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    sql("UPDATE keyed SET id = id + 10")
    found = events("keyed", "action", "previous_object_id", "object_id", "row_data", "changed_from")
    assert sorted(found[3:], key=lambda event: event[2]) == [
        ("U", "1", "11", {"id": 11, "label": "one"}, {"id": 1}),
        ("U", "2", "12", {"id": 12, "label": "two"}, {"id": 2}),
        ("U", "3", "13", {"id": 13, "label": "three"}, {"id": 3}),
    ]


def test_a_key_of_several_columns_is_an_array():
    sql("CREATE TABLE duos (a integer, b varchar(9), c integer, PRIMARY KEY (b, a))")
    audit("duos")
    sql("INSERT INTO duos VALUES (1, 'x', 0)", "UPDATE duos SET c = 1", "UPDATE duos SET a = 2")
    before, after = ["x", 1], ["x", 2]
    found = events("duos", "previous_object_id", "object_id")
    assert [[key and json.loads(key) for key in keys] for keys in found] == [
        [None, before],
        [None, before],
        [before, after],
    ]


def test_cascades_in_the_database_are_one_event_for_each_change():
    sql(
        "CREATE TABLE tops (id integer PRIMARY KEY)",
        "CREATE TABLE owned (id integer PRIMARY KEY, top integer REFERENCES tops (id)"
        " ON DELETE CASCADE)",
        "CREATE TABLE loose (id integer PRIMARY KEY,"
        " a integer REFERENCES tops (id) ON DELETE SET NULL,"
        " b integer REFERENCES tops (id) ON DELETE SET NULL)",
    )
    for table in ("tops", "owned", "loose"):
        audit(table)
    sql(
        "INSERT INTO tops VALUES (1), (2)",
        "INSERT INTO owned VALUES (1, 1), (2, 2)",
        "INSERT INTO loose VALUES (1, 1, 1), (2, 1, 2), (3, 2, 2)",
        "DELETE FROM tops WHERE id = 1",
    )
    assert events("tops")[2:] == [("D", "1")]
    assert events("owned")[2:] == [("D", "1")]
    changed = sorted(events("loose", "object_id", "changed_from")[3:], key=str)
    assert changed == [("1", {"a": 1}), ("1", {"b": 1}), ("2", {"a": 1})]


@pytest.mark.django_db(transaction=True)
def test_a_program_that_knows_nothing_of_django_is_captured():
    shell(
        "INSERT INTO app_author (id, name) VALUES (901, 'it''s');"
        "UPDATE app_author SET name = 'y' WHERE id = 901;"
        "DELETE FROM app_author WHERE id = 901;"
    )
    assert events("app_author", *ROW) == [
        ("I", "901", {"id": 901, "name": "it's"}, None),
        ("U", "901", {"id": 901, "name": "y"}, {"name": "it's"}),
        ("D", "901", {"id": 901, "name": "y"}, None),
    ]


@pytest.mark.parametrize(
    "name", ["order", "Großer Ärger", "x%s%%", "it's", "UPPER", "n" * 63, "a.b", "{curly}"]
)
def test_a_table_may_have_any_name_and_so_may_its_columns(name: str):
    sql(f'CREATE TABLE "{name}" ("{name}" integer PRIMARY KEY, "Secret\'s" text, "old" text)')
    audit(name, excluded=["Secret's"])
    sql(f"INSERT INTO \"{name}\" VALUES (1, 's', NULL)", f'UPDATE "{name}" SET "old" = \'x\'')
    sql(f'DELETE FROM "{name}"')
    new = {name: 1, "old": "x"}
    assert events(name, *ROW) == [
        ("I", "1", {name: 1, "old": None}, None),
        ("U", "1", new, {"old": None}),
        ("D", "1", new, None),
    ]


def test_two_hundred_columns_are_captured():
    columns = [f"column_{n}" for n in range(200)]
    sql(f"CREATE TABLE wide (id integer PRIMARY KEY, {', '.join(f'{c} integer' for c in columns)})")
    audit("wide")
    sql(f"INSERT INTO wide VALUES ({', '.join(map(str, range(201)))})")
    sql("UPDATE wide SET column_7 = -1, column_199 = -1")
    (inserted, _), (updated, before) = events("wide", "row_data", "changed_from")
    assert inserted == {"id": 0} | {c: n for n, c in enumerate(columns, 1)}
    assert updated == inserted | before.fromkeys(before, -1)
    assert before == {"column_7": 8, "column_199": 200}
