"""Tests that databases are restored after each test, whatever the test did."""

from __future__ import annotations

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from auditrepr import capture
from auditrepr.capture.state import Status
from auditrepr.models import Coverage
from tests.app.models import Author, Tag
from tests.capturing import sql
from tests.restoring import restore

pytestmark = pytest.mark.django_db(transaction=True)

OF_THE_SCHEMA = {
    "sqlite": "SELECT type, name, sql FROM sqlite_master",
    "postgresql": "SELECT relname, relkind, attname, atttypid, attnotnull, atthasdef"
    " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
    " WHERE relnamespace = 'public'::regnamespace"
    " UNION ALL SELECT tgname, tgenabled, NULL, NULL, NULL, NULL FROM pg_trigger"
    " UNION ALL SELECT proname, 'f', md5(prosrc), NULL, NULL, NULL FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace",
}
#: What a copy of the database tells its triggers from others by is its own.
OWN = {"auditrepr_coverage": "table_name, since_event, reason, columns, recorded_at"}


def everything() -> dict[str, list]:
    """The schema, and the rows of each table."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
    found = {t: sql(f'SELECT {OWN.get(t, "*")} FROM "{t}"') for t in tables}
    found[""] = sql(OF_THE_SCHEMA[connection.vendor])
    return {name: sorted(map(str, rows)) for name, rows in found.items()}


def drop_the_triggers() -> None:
    capture.remove("default")


def put_back_the_triggers() -> None:
    capture.remove("default")
    capture.install("default")


def change_the_schema() -> None:
    sql("ALTER TABLE app_author ADD COLUMN x integer", "CREATE TABLE more (id integer)")


def change_the_first_rows() -> None:
    Coverage.objects.filter(table_name="app_author").update(since_event=None)
    ContentType.objects.filter(model="author").delete()


def write_rows() -> None:
    Author.objects.bulk_create(Author(name=f"{n}") for n in range(10))
    Author.objects.update(name="x")
    Tag.objects.create(label="y")


def write_many_rows() -> None:
    Author.objects.bulk_create(Author(name="x" * 100) for _ in range(10_000))


@pytest.mark.proof
@pytest.mark.parametrize(
    "change",
    [drop_the_triggers, put_back_the_triggers, change_the_schema, change_the_first_rows,
     write_rows, write_many_rows],
    ids=lambda change: change.__name__.replace("_", " "),
)  # fmt: skip
def test_a_database_is_restored_whatever_was_done_to_it(change):
    restore("default")
    before = everything()
    first = Author.objects.create(name="Ann").pk
    restore("default")
    author = ContentType.objects.get_for_model(Author).pk
    change()
    assert everything() != before
    restore("default")
    assert everything() == before
    assert {state.status for state in capture.inspect("default")} <= {Status.OK, Status.ABSENT}
    assert not capture.note_gaps("default")
    assert ContentType.objects.get_for_model(Author).pk == author
    assert Author.objects.create(name="Ann").pk == first, "ids begin anew"
    write_rows()
    restore("default")
    assert everything() == before, "again and again"
