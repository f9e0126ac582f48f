"""Tests that context travels from the application to its own events, and to no others."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from contextlib import nullcontext
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection, connections, transaction
from django.db.models import F

import auditrepr
from auditrepr.attribution import instrumentation
from auditrepr.models import AuditLog
from tests.app.models import Author, Book, Tag
from tests.capturing import shell, sql

pytestmark = pytest.mark.django_db(transaction=True)


def contexts(using: str = "default") -> list[Any]:
    return list(AuditLog.objects.using(using).order_by("pk").values_list("context", flat=True))


def undone(label: str) -> None:
    """A write that is rolled back, to a savepoint where there is a transaction."""
    with transaction.atomic():
        Tag.objects.create(label=label)
        transaction.set_rollback(True)


def test_orm_bulk_and_raw_writes_carry_it_and_what_comes_after_does_not():
    with auditrepr.context(reason="import"):
        author = Author.objects.create(name="a")
        Author.objects.bulk_create([Author(name="b"), Author(name="c")])
        Author.objects.update(name=F("name"))
        Author.objects.filter(pk=author.pk).update(name="z")
        sql("INSERT INTO app_author (name) VALUES ('100%')")
        sql("WITH gone AS (SELECT 1) DELETE FROM app_author WHERE name = 'b'")
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO app_author (name) VALUES (%s)", ["d"])
            assert cursor.rowcount == 1
            cursor.executemany("INSERT INTO app_author (name) VALUES (%s)", [["e"], ["f"]])
        author.delete()
    assert contexts() == [{"reason": "import"}] * 10
    Author.objects.create(name="later")
    assert contexts()[-1] is None


def test_what_a_statement_gives_back_is_its_own():
    """The statement's own rows, count and description: not those of what goes with it."""
    with auditrepr.context(reason="x"):
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO app_author (name) VALUES ('100%') RETURNING name")
            assert cursor.description[0][0] == "name"
            assert cursor.fetchall() == [("100%",)]
            cursor.execute("UPDATE app_author SET name = 'b' -- comment")
            assert cursor.rowcount == 1
        assert Author.objects.update(name="c") == 1
        assert Author.objects.bulk_create([Author(name="x")])[0].pk


def test_nested_contexts_merge_and_end():
    with auditrepr.context(reason="import", source="file"):
        with auditrepr.context(reason=None, line=3):
            Tag.objects.create(label="inner")
        Tag.objects.create(label="outer")
    assert contexts() == [{"source": "file", "line": 3}, {"reason": "import", "source": "file"}]


def test_an_inner_user_does_not_get_the_outer_ones_name(django_user_model):
    user = django_user_model(pk=7, username="ann")
    with auditrepr.context(user=user), auditrepr.context(user="importer"):
        Tag.objects.create(label="x")
    assert contexts() == [{"user": "importer"}]


def test_a_user_is_kept_by_key_and_name_and_found_by_the_actor(django_user_model):
    user = django_user_model(pk=7, username="ann")
    with auditrepr.context(user=user):
        Tag.objects.create(label="x")
    Tag.objects.create(label="y")
    assert contexts() == [{"user": "7", "user_name": "ann"}, None]
    assert [event.actor for event in AuditLog.objects.order_by("pk")] == ["7", None]


def test_a_user_of_any_length_costs_no_write_and_is_found():
    """PostgreSQL refuses entries of an index that are longer than a third of a page."""
    user = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    with auditrepr.context(user=user):
        Tag.objects.create(label="x")
    assert AuditLog.objects.by(user).get().context == {"user": user}


def test_within_one_transaction_each_write_has_the_context_of_its_own_time():
    with transaction.atomic():
        Tag.objects.create(label="before")
        with auditrepr.context(reason="one"):
            Tag.objects.create(label="one")
        Tag.objects.create(label="between")
        with auditrepr.context(reason="two"):
            Tag.objects.create(label="two")
    assert contexts() == [None, {"reason": "one"}, None, {"reason": "two"}]


def test_a_rollback_to_a_savepoint_takes_no_context_away_and_leaves_none_behind():
    with transaction.atomic():
        with auditrepr.context(reason="kept"):
            undone("undone")
            Tag.objects.create(label="kept")
        undone("undone too")
        Tag.objects.create(label="after")
    assert contexts() == [{"reason": "kept"}, None]


def test_after_a_transaction_that_failed_the_next_one_carries_it_again():
    with auditrepr.context(reason="again"):
        undone("undone")
        Tag.objects.create(label="done")
    assert contexts() == [{"reason": "again"}]


def test_a_statement_that_fails_leaves_no_context_behind():
    Tag.objects.create(label="x")
    with auditrepr.context(reason="fails"), pytest.raises(Exception, match=r"(?i)unique"):
        Tag.objects.create(label="x")
    Tag.objects.create(label="y")
    assert contexts() == [None, None]


def test_nothing_is_sent_before_reads_nor_without_a_context(django_assert_num_queries):
    Author.objects.create(name="a")
    with django_assert_num_queries(1) as plain:
        list(Author.objects.all())
    with auditrepr.context(reason="x"), django_assert_num_queries(1) as read:
        list(Author.objects.all())
    assert [q["sql"] for q in plain] == [q["sql"] for q in read]
    with django_assert_num_queries(1) as written:
        Author.objects.update(name="b")
    assert "set_config" not in written[0]["sql"]


def test_a_write_costs_no_query_more(django_assert_num_queries):
    with auditrepr.context(reason="x"), django_assert_num_queries(1):
        Author.objects.update(name="b")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_every_database_gets_it():
    with auditrepr.context(reason="x"):
        Tag.objects.using("other").create(label="x")
        Tag.objects.create(label="x")
    assert contexts("other") == contexts() == [{"reason": "x"}]


def test_another_program_has_none_and_its_role_is_noted():
    with auditrepr.context(reason="mine"):
        Tag.objects.create(label="mine")
        shell("INSERT INTO app_tag (label) VALUES ('theirs');")
    mine, theirs = AuditLog.objects.order_by("pk")
    assert (mine.context, mine.writer) == ({"reason": "mine"}, None)
    expected = "postgres (psql)" if connection.vendor == "postgresql" else None
    assert (theirs.context, theirs.writer) == (None, expected)


def test_another_thread_has_a_context_of_its_own():
    def write():
        Tag.objects.create(label="theirs")
        connection.close()

    with auditrepr.context(reason="mine"):
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert contexts() == [None]


def test_as_a_decorator_it_is_there_for_each_call_nested_ones_included():
    @auditrepr.context(reason="called")
    def write(depth):
        Tag.objects.create(label=str(depth))
        if depth:
            write(depth - 1)

    write(1)
    Tag.objects.create(label="after")
    assert write.__name__ == "write"
    assert contexts() == [{"reason": "called"}, {"reason": "called"}, None]


def test_as_a_decorator_of_coroutine_functions_it_lasts_until_they_end():
    @auditrepr.context(reason="awaited")
    async def write(label):
        await asyncio.sleep(0)
        await Tag.objects.acreate(label=label)

    async def both():
        await asyncio.gather(write("a"), write("b"))
        await Tag.objects.acreate(label="after")
        await sync_to_async(connections.close_all)()

    asyncio.run(both())
    assert contexts() == [{"reason": "awaited"}, {"reason": "awaited"}, None]


def test_any_value_becomes_json_that_the_database_takes(django_user_model):
    odd = "NUL \0, surrogate \ud800, 'quote', back\\slash, 100%s, %, ünï {x}"
    with auditrepr.context(text=odd, numbers=[1, 2.5, float("nan")], more={"when": 1j}):
        Tag.objects.create(label="x")
        sql("INSERT INTO app_tag (label) VALUES ('y')")
    seen = odd.replace("\0", "␀").replace("\ud800", "\\ud800")
    expected = {"text": seen, "numbers": [1, 2.5, "nan"], "more": {"when": "1j"}}
    assert contexts() == [expected, expected]


def test_a_value_can_be_a_function_that_is_asked_at_the_write_and_may_itself_write():
    def ask():
        Tag.objects.create(label="asked")
        return Tag.objects.count()

    with auditrepr.context(tags=ask, reason="x"):
        Author.objects.count()
        assert contexts() == []
        Author.objects.create(name="a")
    assert contexts() == [None, {"tags": 1, "reason": "x"}]


@pytest.mark.postgresql
def test_a_function_of_the_database_that_writes_carries_it():
    sql(
        "CREATE FUNCTION writes() RETURNS void LANGUAGE sql AS"
        " $$ INSERT INTO app_tag (label) VALUES (random()) $$"
    )
    try:
        with auditrepr.context(reason="x"):
            sql("SELECT writes()")
            sql("DO $$ BEGIN PERFORM writes(); COMMIT; END $$")
            with transaction.atomic():
                sql("DO $$ BEGIN PERFORM writes(); END $$")
    finally:
        sql("DROP FUNCTION writes")
    assert contexts() == [{"reason": "x"}, None, {"reason": "x"}]


def test_related_rows_that_go_along_carry_it():
    author = Author.objects.create(name="a")
    Book.objects.create(title="b", author=author)
    with auditrepr.context(reason="clean up"):
        author.delete()
    assert contexts()[2:] == [{"reason": "clean up"}] * 2


@pytest.mark.postgresql
@pytest.mark.parametrize("autocommit", [True, False])
def test_composed_statements_and_server_side_binding_carry_it(autocommit):
    from psycopg.sql import SQL, Identifier

    settings = connection.settings_dict["OPTIONS"]
    with auditrepr.context(reason="x"):
        with connection.cursor() as cursor:
            insert = SQL("INSERT INTO {} (label) VALUES (%s)").format(Identifier("app_tag"))
            cursor.execute(insert, ["a"])
        connection.close()
        settings["server_side_binding"] = True
        try:
            with nullcontext() if autocommit else transaction.atomic():
                Tag.objects.create(label="b")
                Tag.objects.bulk_create([Tag(label="c"), Tag(label="d")])
                assert Tag.objects.filter(label="d").update(label="e") == 1
        finally:
            settings.pop("server_side_binding")
            connection.close()
    assert contexts() == [{"reason": "x"}] * 5


INSERT = "INSERT INTO app_tag (label) VALUES ('x')"


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "text",
    [
        f"EXPLAIN (ANALYZE) {INSERT}",
        f"; {INSERT}",
        f"BEGIN; {INSERT}; COMMIT",
        f"SET LOCAL work_mem = '1MB'; {INSERT}",
        f"SELECT label FROM app_tag; {INSERT}",
        "COPY app_tag (label) FROM PROGRAM 'echo x'",
    ],
)
def test_whatever_a_text_begins_with_what_it_writes_carries_it(text):
    with auditrepr.context(reason="x"):
        sql(text)
    assert contexts() == [{"reason": "x"}]


@pytest.mark.postgresql
def test_between_statements_the_session_holds_nothing():
    with auditrepr.context(reason="x"), transaction.atomic():
        Tag.objects.create(label="x")
        assert sql("SELECT DISTINCT current_setting('auditrepr.context', true) FROM app_tag") == [
            ("",)
        ]


@pytest.mark.sqlite
def test_the_log_stays_open_to_foreign_shells_while_a_connection_tells_its_context():
    with auditrepr.context(reason="x"):
        Tag.objects.create(label="x")
    assert sql("SELECT name FROM sqlite_master WHERE name LIKE '%context%'") == []
    shell("INSERT INTO app_tag (label) VALUES ('theirs');")
    assert contexts() == [{"reason": "x"}, None]


@pytest.mark.sqlite
def test_where_the_context_cannot_be_told_nothing_is_written_without_it():
    interrupted: list[bool] = []

    def once() -> bool:
        interrupted.append(True)
        return len(interrupted) == 1

    Tag.objects.create(label="before")
    connection.connection.set_progress_handler(once, 1)
    with auditrepr.context(reason="x"), pytest.raises(OperationalError, match="interrupted"):
        Tag.objects.create(label="x")
    connection.connection.set_progress_handler(None, 1)
    assert contexts() == [None]


@pytest.mark.sqlite
def test_a_change_of_the_logs_schema_loses_no_context():
    field = AuditLog._meta.get_field("writer")
    with auditrepr.context(reason="x"):
        Tag.objects.create(label="x")
        with connection.schema_editor() as editor:
            editor.remove_field(AuditLog, field)
            editor.add_field(AuditLog, field)
        Tag.objects.create(label="y")
    assert contexts() == [{"reason": "x"}] * 2


@pytest.mark.sqlite
def test_a_database_without_a_log_is_written_to_as_before():
    sql("DROP TRIGGER auditrepr_insert_app_tag", "ALTER TABLE auditrepr_auditlog RENAME TO away")
    try:
        with auditrepr.context(reason="x"):
            Tag.objects.create(label="x")
    finally:
        sql("ALTER TABLE away RENAME TO auditrepr_auditlog")
        from auditrepr import capture

        capture.install("default")
    assert Tag.objects.count() == 1


@pytest.mark.sqlite
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_statement_that_finds_the_database_locked_fails_with_a_context_as_without_one(
    monkeypatch, mode
):
    """Without a write-ahead log, already telling the context does: it has to read the schema."""
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "timeout", 0.05)
    monkeypatch.setitem(options, "init_command", f"PRAGMA journal_mode={mode}")
    connection.close()
    connection.ensure_connection()  # which sets the file's mode
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        with auditrepr.context(reason="x"):
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(OperationalError, match="locked"):
                Tag.objects.create(label="x")
            other.rollback()
            Tag.objects.create(label="y")
    finally:
        other.close()
        monkeypatch.undo()
        connection.close()
    assert list(AuditLog.objects.values_list("context", flat=True)) == [{"reason": "x"}]


@pytest.mark.sqlite
def test_an_append_only_log_takes_the_context_of_a_new_event_and_no_other_change():
    from auditrepr.capture import append_only
    from auditrepr.vendors.sqlite.triggers import drop_append_only

    append_only.install("default")
    try:
        with auditrepr.context(reason="x"):
            Tag.objects.create(label="x")
        for change in ("context = NULL", "context = '{}'", "writer = 'me'", "id = 5"):
            with pytest.raises(Exception, match="append-only"):
                sql(f"UPDATE auditrepr_auditlog SET {change}")
    finally:
        sql(*drop_append_only())
    assert contexts() == [{"reason": "x"}]


def test_the_actor_is_found_by_an_index_that_events_without_one_are_not_in():
    with auditrepr.context(user="5"):
        Tag.objects.create(label="x")
    query = AuditLog.objects.filter(actor="5").order_by("-pk")
    if connection.vendor == "postgresql":
        sql("SET enable_seqscan = off")
    try:
        plan = query.explain()
    finally:
        connection.close()
    assert "auditrepr_log_actor" in plan


def test_what_is_switched_off_is_not_told_of_tasks_and_is_connected_once(settings, monkeypatch):
    settings.AUDITREPR = {"CONTEXT": []}
    instrumentation._before_task(task_id="1", task=None)
    instrumentation._after_task(task_id="1")
    assert instrumentation._running == {}
    wrapped = BaseCommand.execute
    monkeypatch.setattr(instrumentation, "find_spec", lambda name: None)
    instrumentation.connect()
    assert BaseCommand.execute is wrapped
