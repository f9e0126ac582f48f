"""Tests the import of logs that are one table: supa_audit, logged actions and its forks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from auditrepr.exceptions import EventsUnfit, SourceUnavailable, SourceUnreadable
from auditrepr.job import importing
from auditrepr.job.importing import Request
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog, InstanceRepr, PlannedEvent
from auditrepr.sources import find
from auditrepr.sources.tables.places import _log_name
from auditrepr.vendors import get_vendor
from auditrepr.vendors.import_types import Selection
from tests.app.fields import Everything
from tests.app.models import Author, Book
from tests.capturing import next_moment, sql
from tests.old_log import begin
from tests.running import run
from tests.table_logs import ALL, FORMER_ACTIONS, LOGGED_ACTIONS, SUPA_AUDIT, WITH_JSON, TableLog
from tests.two_logs import TABLES, recorded, story

pytestmark = pytest.mark.django_db(transaction=True)

on_postgresql = pytest.mark.postgresql


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Iterator[TableLog]:
    """One of the logs, which records from now on."""
    chosen: TableLog = ALL[request.param] if isinstance(request.param, str) else request.param
    sql("CREATE EXTENSION IF NOT EXISTS hstore")
    chosen.create()
    chosen.record(TABLES)
    AuditLog.objects.all().delete()
    yield chosen
    chosen.drop()


def each(*names: str) -> Any:
    """Run the test for each of these logs; by default for all, the oldest one at length only."""
    every = [pytest.param(n, marks=pytest.mark.proof) if n == "former" else n for n in ALL]
    return pytest.mark.parametrize("log", names or every, indirect=True)


def imported(log: TableLog) -> list[Any]:
    """Let our log begin now, and return what it has after the import."""
    AuditLog.objects.all().delete()
    next_moment()
    begin()
    call_command("import_audit_log", log.source, verbosity=0)
    return recorded()


def values() -> dict[str, Any]:
    """Values of all types; the decimal has zeros that count."""
    return {
        "big_integer": -(2**63), "binary": b"\0\xff", "boolean": True, "char": "NULL",
        "date": date(2026, 1, 31), "date_time": datetime(2026, 1, 31, 12, 0, 0, 120, tzinfo=UTC),
        "decimal": Decimal("1.2000000000"), "duration": timedelta(days=-1, seconds=3),
        "float": 0.1, "generic_ip": "::1", "integer": 0, "json": {"a": [1, None], "b": "x"},
        "text": "é\n\"=>\"", "time": time(1, 2, 3, 4), "uuid": uuid.UUID(int=7), "scrambled": "s",
        "pair": (1, 2), "renamed": "true", "slug": "",
    }  # fmt: skip


@pytest.mark.proof
@on_postgresql
@each()
def test_events_are_what_our_triggers_have_seen(log: TableLog) -> None:
    story()
    seen = recorded()
    for event in seen:
        if event[0] == "app_book":  # the other log has what ours excludes; the import leaves it out
            assert "secret" not in event[4]
    assert imported(log) == seen


@on_postgresql
@each()
def test_values_of_all_types_are_the_same(log: TableLog) -> None:
    Everything.objects.create(**values())
    Everything.objects.create()
    # pg-audit-json writes parts of an object.
    json: Any = [] if log.table == "log" else {"a": [1, None], "b": None}
    Everything.objects.update(boolean=False, decimal="1.3", json=json, date_time=None, float=1e300)
    assert recorded() == imported(log)


@pytest.mark.proof
@on_postgresql
@each()
def test_an_objects_own_values_are_exact_and_what_it_refers_to_is_mixed(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    Book.objects.create(title="Go", author=Author.objects.get())
    Author.objects.update(name="Bea")
    imported(log)
    run()
    stored = InstanceRepr.objects.order_by("pk").values_list("instance_repr", "fidelity")
    assert list(stored) == [("Ann", "E"), ("Go (Ann)", "M"), ("Bea", "E")]


@pytest.mark.proof
@on_postgresql
@each()
def test_a_transaction_that_both_logs_have_seen_is_imported_once(log: TableLog) -> None:
    """It began before ours did, which may be its time there, and wrote afterwards."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT now()")
        Author.objects.create(name="Ann")
        AuditLog.objects.all().delete()
        next_moment()
        begin()
        other.execute("INSERT INTO app_author (name) VALUES ('Bea')")
        with other.transaction():  # a savepoint, which has a number of its own
            other.execute("UPDATE app_author SET name = 'Cid' WHERE name = 'Bea'")
        other.execute("TRUNCATE app_author CASCADE")
    call_command("import_audit_log", log.source, verbosity=0)
    found = AuditLog.objects.filter(table_name="app_author").order_by("pk")
    assert [(row.action, (row.row_data or {}).get("name")) for row in found] == [
        ("I", "Ann"), ("I", "Bea"), ("U", "Cid"), ("T", None),
    ]  # fmt: skip
    assert ["imported_from" in (row.context or {}) for row in found] == [True, False, False, False]


@pytest.mark.proof
@on_postgresql
@each("supa_audit")
def test_the_context_of_supa_audit_says_who(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    sql("SET test.uid = '00000000-0000-0000-0000-000000000007'", "SET test.role = 'editor'")
    Author.objects.update(name="Bea")
    sql("RESET test.uid", "RESET test.role")
    imported(log)
    first, second = AuditLog.objects.order_by("pk")
    assert first.context == {"imported_from": "supa_audit"}
    assert second.actor == "00000000-0000-0000-0000-000000000007"
    assert second.context["auth_role"] == "editor"


@on_postgresql
@each("hstore", "audit_log")
def test_the_context_of_logged_actions_says_from_where(log: TableLog) -> None:
    sql("SET application_name = 'shell'", "SELECT set_config('test.user', 'Eve', false)")
    Author.objects.create(name="Ann")
    sql("RESET application_name", "SELECT set_config('test.user', '', false)")
    imported(log)
    event = AuditLog.objects.get()
    about = dict(event.context)
    # A statement has values in it, also of columns that are excluded.
    assert "client_query" not in about
    assert isinstance(about.pop("transaction_id"), int)
    about.pop("client_addr", None)
    about.pop("client_port", None)
    assert about.pop("session_user_name") == connection.settings_dict["USER"]
    who = {"user": "Eve"} if log.table == "log" else {}
    assert about == {"application_name": "shell", "imported_from": "logged_actions"} | who


@pytest.mark.proof
@on_postgresql
@each("hstore")
def test_the_time_is_that_of_the_change(log: TableLog) -> None:
    """Not that of the transaction or of the statement, which may have begun long before."""
    Author.objects.create(name="Ann")
    ((clock,),) = sql("SELECT action_tstamp_clk FROM audit.logged_actions")
    imported(log)
    assert AuditLog.objects.get().occurred_at == clock


@pytest.mark.proof
@on_postgresql
@each("hstore", "json")
def test_events_of_whole_statements_are_left_out_and_counted(
    log: TableLog, capsys: pytest.CaptureFixture[str]
) -> None:
    sql(
        "CREATE TRIGGER whole AFTER UPDATE ON app_author"
        " EXECUTE FUNCTION audit.if_modified_func('true')"
    )
    try:
        Author.objects.create(name="Ann")
        Author.objects.update(name="Bea")
        sql("TRUNCATE app_author CASCADE")
    finally:
        sql("DROP TRIGGER whole ON app_author")
    AuditLog.objects.all().delete()
    next_moment()
    begin()
    call_command("import_audit_log", "logged_actions", dry_run=True)
    assert "  Left out: 1 event of app_author, of whole statements" in capsys.readouterr().out
    found = find("logged_actions").left_out("default", ["app_book"])
    assert found == {}
    events = [event[3] for event in imported(log) if event[0] == "app_author"]
    assert events == ["I", "U", "T"]


@on_postgresql
@pytest.mark.parametrize("log", [LOGGED_ACTIONS, FORMER_ACTIONS, WITH_JSON], indirect=True)
@pytest.mark.parametrize("kept", [True, False], ids=["triggers", "no triggers"])
def test_ignored_columns_are_not_recorded(log: TableLog, kept: bool) -> None:
    """The first versions have them in the old row of an update, where they become untrue."""
    sql(
        "DROP TRIGGER other_row ON app_everything", "DROP TRIGGER other_statement ON app_everything"
    )
    log.record(["app_everything"], ignored=["text", "odd Column é"])
    one = Everything.objects.create(text="a", renamed="b", char="c")
    one.text, one.char = "changed", "also"
    one.save()
    one.delete()
    if not kept:
        sql("DROP TRIGGER other_row ON app_everything")
    events = imported(log)
    assert [event[3] for event in events] == ["I", "U", "D"]
    for event in events:
        assert not {"text", "odd Column é"} & event[4].keys()
    assert events[1][4]["char"] == "also"
    assert events[1][5]["char"] == "c"


@on_postgresql
@each("hstore")
def test_a_text_that_the_table_no_longer_reads_is_not_recorded(log: TableLog) -> None:
    """What is wrong in one column, or in one event, takes nothing from the others."""
    sql(
        "CREATE TABLE retyped (id int PRIMARY KEY, was_text text, was_long text,"
        " price numeric(9,4), at timestamptz, gone int, same text, naive timestamp)"
    )
    try:
        log.record(["retyped"])
        sql("INSERT INTO retyped VALUES (1, 'seven', 'a long text', 1.2345, now(), 5, 'a', now())",
            "INSERT INTO retyped VALUES (2, '7', 'short', 1.5, '2026-01-31 12:00+2', 6, 'b', NULL)",
            "INSERT INTO retyped VALUES (3, '007', NULL, 2, NULL, NULL, 'c')",
            "UPDATE retyped SET was_text = '8' WHERE id = 1",
            "UPDATE retyped SET was_text = 'eight' WHERE id = 2",
            "TRUNCATE retyped",
            "ALTER TABLE retyped ALTER was_text TYPE int USING 0, ALTER was_long TYPE varchar(6),"
            " ALTER price TYPE numeric(9,2), DROP gone, ALTER naive TYPE timestamptz")  # fmt: skip
        events = imported(log)
    finally:
        sql("DROP TABLE retyped")
    first, second, third, changed, worse, _ = events
    assert [event[1] for event in events] == ["1", "2", "3", "1", "2", None]
    assert first[4].keys() == {"id", "at", "gone", "same"}
    assert second[4] == {
        "id": 2, "was_text": 7, "was_long": "short", "price": 1.5, "gone": "6", "same": "b",
        "at": "2026-01-31T10:00:00+00:00", "naive": None,
    }  # fmt: skip
    assert third[4] == {
        "id": 3,
        "was_long": None,
        "price": 2,
        "at": None,
        "gone": None,
        "same": "c",
        "naive": None,
    }
    # Where the previous value is not known, the new one would pass for it.
    assert "was_text" not in changed[4]
    assert changed[5] == {}
    assert "was_text" not in worse[4]
    assert worse[5] == {"was_text": 7}


@on_postgresql
@each("json", "audit_log")
def test_a_fork_that_writes_parts_or_texts_leaves_columns_out(log: TableLog) -> None:
    one = Everything.objects.create(json={"a": 1, "b": 2}, integer=1)
    Everything.objects.update(json={"a": 1, "b": 3})
    Everything.objects.update(json="text", integer=2)
    Everything.objects.update(json=[1])
    whole = [event[4].get("json", "left out") for event in imported(log)]
    if log.table == "log":
        assert whole == [{"a": 1, "b": 2}, "left out", "left out", [1]]
    else:
        assert whole == [{"a": 1, "b": 2}, {"a": 1, "b": 3}, "left out", [1]]
    before = [event[5] and event[5]["json"] for event in recorded()]
    assert before == [None, {"a": 1, "b": 2}, {"a": 1, "b": 3}, "text"]
    assert one.pk


@on_postgresql
@each("json")
def test_a_log_that_only_looks_alike_is_refused(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    Author.objects.update(name="Bea")
    sql("UPDATE audit.logged_actions SET changed_fields = '{\"old\": {}, \"new\": {}}'"
        " WHERE action = 'U'")  # fmt: skip
    with pytest.raises(CommandError, match="1 have no JSON object as row_data"):
        imported(log)
    found = importing.forecast(Request("default", ["logged_actions"]))
    assert any(isinstance(refusal, EventsUnfit) for refusal in found.refusals)


@on_postgresql
@each("supa_audit", "hstore")
def test_the_log_is_found_in_another_schema(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    sql('ALTER SCHEMA audit RENAME TO "Old logs"')
    try:
        assert [event[4]["name"] for event in imported(log)] == ["Ann"]
    finally:
        sql('DROP SCHEMA "Old logs" CASCADE')


@on_postgresql
@each("hstore")
def test_of_several_logs_the_usual_one_is_read(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    sql("CREATE TABLE audit.year_2020 (LIKE audit.logged_actions INCLUDING ALL)")
    assert len(imported(log)) == 1
    sql("ALTER TABLE audit.logged_actions RENAME TO year_2021")
    with pytest.raises(SourceUnavailable, match="several tables may be meant"):
        find("logged_actions").parts("default")


@pytest.mark.parametrize("name", ["supa_audit", "logged_actions"])
def test_a_source_that_is_not_there_says_so(name: str) -> None:
    reason = (
        "no table has the columns .*, table_name, .* and a primary key"
        if connection.vendor == "postgresql"
        else "Postgre"
    )
    with pytest.raises(SourceUnavailable, match=reason):
        find(name).parts("default")
    with pytest.raises(SourceUnavailable, match=reason):
        importing.forecast(Request("default", [name]))


@on_postgresql
@each("supa_audit", "hstore")
def test_an_empty_log_says_so(log: TableLog) -> None:
    with pytest.raises(SourceUnavailable, match="is empty"):
        find(log.source).parts("default")


@pytest.mark.proof
@on_postgresql
@each("supa_audit", "hstore")
def test_tables_of_other_schemas_and_partitions_have_the_names_of_our_log(log: TableLog) -> None:
    sql(
        "CREATE SCHEMA elsewhere",
        "CREATE TABLE elsewhere.app_author (id int PRIMARY KEY)",
        "CREATE TABLE divided (id int, day int, PRIMARY KEY (day, id)) PARTITION BY LIST (day)",
        'CREATE TABLE elsewhere."Part 1" PARTITION OF divided FOR VALUES IN (1)',
        "CREATE TABLE part_2 PARTITION OF divided FOR VALUES IN (2)",
    )
    try:
        log.record(["elsewhere.app_author", "divided"])
        sql("INSERT INTO elsewhere.app_author VALUES (5)", "INSERT INTO divided VALUES (3, 1)",
            "UPDATE divided SET id = 4", "UPDATE divided SET day = 2")  # fmt: skip
        found = [event[:4] for event in imported(log)]
    finally:
        sql("DROP TABLE divided", "DROP SCHEMA elsewhere CASCADE")
    assert found == [
        ("elsewhere.app_author", "5", None, "I"),
        ("divided", "[1, 3]", None, "I"),
        ("divided", "[1, 4]", "[1, 3]", "U"),
        ("divided", "[1, 4]", None, "D"),  # a trigger of rows sees it go and come
        ("divided", "[2, 4]", None, "I"),
    ]


@on_postgresql
@each("supa_audit", "hstore")
def test_a_table_that_is_gone_is_imported_as_it_is(log: TableLog) -> None:
    sql("CREATE TABLE gone (id int PRIMARY KEY, name text)")
    log.record(["gone"])
    sql("INSERT INTO gone VALUES (1, 'a')", "DROP TABLE gone")
    number: Any = "1" if log is LOGGED_ACTIONS else 1
    assert imported(log) == [("gone", None, None, "I", {"id": number, "name": "a"}, None)]


@on_postgresql
@each("supa_audit")
def test_an_update_that_changed_nothing_says_so(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    Author.objects.update(name="Ann")
    assert [event[5] for event in imported(log)] == [None, {}]


@on_postgresql
@each("supa_audit", "hstore")
def test_times_of_other_zones_are_the_same_moments(log: TableLog) -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    sql("SET TIME ZONE 'Asia/Kathmandu'")
    try:
        sql(f"INSERT INTO app_everything (date_time) VALUES ('{moment.isoformat()}')")
    finally:
        sql("SET TIME ZONE 'UTC'")
    imported(log)
    run()
    event = AuditLog.objects.get()
    assert event.build_instance_repr().fidelity == "E"
    assert Everything.objects.get().date_time == moment
    past: Any = Everything.objects.get()
    assert SUPA_AUDIT is not log or event.row_data["date_time"].endswith("+05:45")
    assert datetime.fromisoformat(event.row_data["date_time"]) == past.date_time


@pytest.mark.proof
@on_postgresql
@each("supa_audit")
def test_two_logs_that_are_named_together_become_one_order(log: TableLog) -> None:
    sql("DROP TRIGGER other_row ON app_book", "DROP TRIGGER other_statement ON app_book")
    LOGGED_ACTIONS.create("actions")
    try:
        LOGGED_ACTIONS.record(["app_book"], schema="actions")
        author = Author.objects.create(name="Ann")
        for title in ("Go", "Chess", "Checkers"):
            Book.objects.create(title=title, author=author)
            Author.objects.update(name=f"author of {title}")
        seen = recorded()
        AuditLog.objects.all().delete()
        next_moment()
        begin()
        call_command("import_audit_log", "supa_audit", "logged_actions", batch_size=3, verbosity=0)
        assert recorded() == seen
    finally:
        LOGGED_ACTIONS.drop("actions")


@pytest.mark.proof
@on_postgresql
@each()
def test_an_interrupted_import_is_continued(log: TableLog) -> None:
    """The other log goes on meanwhile."""
    story()
    seen = recorded()
    AuditLog.objects.all().delete()
    next_moment()
    begin()
    Author.objects.create(name="later")
    request = Request("default", [log.source])
    options: dict[str, Any] = {"lock": DatabaseLock("default"), "batch_size": 2}
    first = importing.run(request, **options, stop=lambda: True)
    assert first.left == len(seen) - 2
    assert recorded()[:2] == seen[-2:]
    Author.objects.create(name="even later")
    call_command("import_audit_log", log.source, verbosity=0)
    assert recorded()[:-2] == seen
    assert [event[4]["name"] for event in recorded()[-2:]] == ["later", "even later"]


@on_postgresql
@each("supa_audit", "hstore")
def test_a_role_that_may_not_read_the_log_is_told_so(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    sql("CREATE ROLE stranger", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO stranger",
        "SET ROLE stranger")  # fmt: skip
    try:
        with pytest.raises(SourceUnreadable, match="permission denied for schema audit"):
            find(log.source).parts("default")
        sql(
            "RESET ROLE",
            "GRANT USAGE ON SCHEMA audit TO stranger",
            "GRANT SELECT ON ALL TABLES IN SCHEMA audit TO stranger",
            "SET ROLE stranger",
        )
        if log is LOGGED_ACTIONS:
            with pytest.raises(SourceUnreadable, match="permission denied for schema public"):
                find(log.source).parts("default")
        else:
            assert find(log.source).parts("default")
    finally:
        sql("RESET ROLE", "DROP OWNED BY stranger", "DROP ROLE stranger")


@pytest.mark.proof
@on_postgresql
@each("hstore")
def test_the_function_that_reads_texts_is_dropped_with_the_triggers(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    imported(log)
    present = "SELECT count(*) FROM pg_proc WHERE proname = 'auditrepr_from_texts'"
    assert sql(present) == [(1,)]
    call_command("audit_triggers", "remove", verbosity=0)
    assert sql(present) == [(0,)]


@pytest.mark.proof
@on_postgresql
@each("hstore")
def test_a_dry_run_leaves_nothing_and_needs_no_right_to_create(log: TableLog) -> None:
    """The role may add events, but create nothing in the schema of the log."""
    Author.objects.create(name="Ann")
    AuditLog.objects.all().delete()
    next_moment()
    begin()
    before = sql("SELECT oid FROM pg_proc ORDER BY oid")
    sql(
        "CREATE ROLE adder",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO adder",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO adder",
        "GRANT USAGE ON SCHEMA audit TO adder",
        "GRANT SELECT ON ALL TABLES IN SCHEMA audit TO adder",
        "SET ROLE adder",
    )
    try:
        found = importing.forecast(Request("default", [log.source]))
        assert [one.outcome.text for one in found.shown] == ["Ann"]
        assert sql("SELECT oid FROM pg_proc ORDER BY oid") == before
    finally:
        sql("RESET ROLE", "DROP OWNED BY adder", "DROP ROLE adder")


@on_postgresql
@each("hstore")
def test_times_that_lose_digits_are_not_recorded(log: TableLog) -> None:
    sql("CREATE TABLE exact (id int PRIMARY KEY, at timestamptz)")
    try:
        log.record(["exact"])
        sql("INSERT INTO exact VALUES (1, '2026-01-31 12:00:00.5+02')",
            "INSERT INTO exact VALUES (2, '2026-01-31 12:00:00+02')",
            "ALTER TABLE exact ALTER at TYPE timestamptz(0)")  # fmt: skip
        assert [event[4].keys() for event in imported(log)] == [{"id"}, {"id", "at"}]
    finally:
        sql("DROP TABLE exact")


def test_a_name_that_the_server_has_cut_is_the_one_of_the_model() -> None:
    long = "t" * 70
    assert _log_name(("public", long[:63]), True, {long, "other"}) == long
    assert _log_name(("public", "other"), False, {"public.other"}) == "public.other"
    assert _log_name(("public", "other"), True, {"public.other"}) == "public.other"
    assert _log_name(("public", "other"), True, {"other"}) == "other"


@on_postgresql
def test_what_the_log_has_itself_is_recognized_by_its_transaction() -> None:
    """By the number that the rows of both have; a restore gives all rows another one."""
    vendor = get_vendor("default")
    until = timezone.now() - timedelta(minutes=1)
    rows = "(0, 'I', '1'), (1, 'U', '1'), (2, 'I', '2'), (3, 'T', NULL)"
    own = {"table_name": "t", "row_data": {}, "occurred_at": until}

    def planned(numbers: str, restored: int = 0) -> list[int]:
        select = (
            "SELECT position, 't' AS table_name, object_id, action, '{}'::jsonb AS row_data,"
            f" '{until - timedelta(minutes=1)}'::timestamptz AS occurred_at,"
            f" {numbers} AS transaction"
            f" FROM (VALUES {rows}) AS rows (position, action, object_id)"
        )
        chosen = Selection(select, ("transaction",), until, ["t"])
        with transaction.atomic():
            current = vendor.value("SELECT txid_current()") - restored
            for action, key in (("U", "1"), ("T", None)):
                AuditLog.objects.create(object_id=key, action=action, transaction_id=current, **own)
            number = vendor.plan_import([chosen], 0)
            assert sum(one.events for one in vendor.source_tables(chosen, {})) == number
            found = list(PlannedEvent.objects.order_by("pk").values_list("position", flat=True))
            transaction.set_rollback(True)
        return found

    here = "txid_current()"
    assert planned(here) == [0, 2]
    assert planned(f"{here} - 1") == [0, 1, 2, 3]
    assert planned(here, restored=2_000_000) == [0, 1, 2, 3]


@on_postgresql
@each("supa_audit", "hstore", "json")
def test_zeros_that_a_number_got_are_a_change(log: TableLog) -> None:
    """As for our triggers; JSON in PostgreSQL takes both for the same, and so does its fork."""
    sql("CREATE TABLE zeros (id int PRIMARY KEY, n numeric)")
    try:
        log.record(["zeros"])
        sql("INSERT INTO zeros VALUES (1, 1.0)", "UPDATE zeros SET n = 1.00")
        changes = [event[5] for event in imported(log)]
    finally:
        sql("DROP TABLE zeros")
    assert changes == ([None] if log is WITH_JSON else [None, {"n": 1.0}])


@on_postgresql
@each("supa_audit", "hstore", "json")
def test_a_partition_that_was_emptied_does_not_empty_the_table(log: TableLog) -> None:
    sql(
        "CREATE TABLE divided (id int, day int, PRIMARY KEY (day, id)) PARTITION BY LIST (day)",
        "CREATE TABLE part_1 PARTITION OF divided FOR VALUES IN (1) PARTITION BY LIST (id)",
        "CREATE TABLE part_1_3 PARTITION OF part_1 FOR VALUES IN (3)",
        "CREATE TABLE part_2 PARTITION OF divided FOR VALUES IN (2)",
        "CREATE TABLE alone (id int PRIMARY KEY)",
    )
    statement = f"EXECUTE FUNCTION audit.{log.statement_trigger}()"
    try:
        log.record(["part_1_3", "part_2", "alone"])
        sql(*(f"CREATE TRIGGER emptied AFTER TRUNCATE ON {table} {statement}"
              for table in ("divided", "part_1")))  # fmt: skip
        sql("INSERT INTO divided VALUES (3, 1), (4, 2)", "TRUNCATE part_1", "TRUNCATE alone",
            "UPDATE divided SET id = 5", "TRUNCATE divided")  # fmt: skip
        left = find(log.source).left_out("default")
        found = [event[:4] for event in imported(log)]
    finally:
        sql("DROP TABLE divided, alone")
    assert found == [
        ("divided", "[1, 3]", None, "I"),
        ("divided", "[2, 4]", None, "I"),
        ("alone", None, None, "T"),
        ("divided", "[2, 5]", "[2, 4]", "U"),
        ("divided", None, None, "T"),
    ]
    of = "divided, TRUNCATE of its partition"
    assert left == {f"{of} part_1": 2, f"{of} part_1_3": 2, f"{of} part_2": 1}


@on_postgresql
@each("supa_audit", "hstore", "json")
def test_a_key_that_is_a_time_is_the_same_in_every_zone(log: TableLog) -> None:
    sql("CREATE TABLE moments (at timestamptz PRIMARY KEY, name text)",
        "CREATE TABLE measured (at timestamptz(0), id int, name text, PRIMARY KEY (id, at))",
        "CREATE TABLE texts (at text PRIMARY KEY, name text)")  # fmt: skip
    tables = ("moments", "measured", "texts")
    try:
        log.record(tables)
        for zone in ("Asia/Kathmandu", "UTC", "America/New_York"):
            sql(f"SET TIME ZONE '{zone}'")
            if zone == "Asia/Kathmandu":
                sql("INSERT INTO moments VALUES ('2026-01-31 22:00:00.5+00')",
                    "INSERT INTO measured VALUES ('2026-01-31 22:00+00', 1)",
                    "INSERT INTO texts VALUES ('2026-01-31T22:00:00+05:45')")  # fmt: skip
            sql(*(f"UPDATE {table} SET name = '{zone}'" for table in tables))
        sql("SET TIME ZONE 'UTC'")
        found = imported(log)
    finally:
        sql("SET TIME ZONE 'UTC'", *(f"DROP TABLE {table}" for table in tables))
    assert {(event[0], event[1]) for event in found} == {
        ("moments", "2026-01-31T22:00:00.5+00:00"),
        ("measured", '[1, "2026-01-31T22:00:00+00:00"]'),
        ("texts", "2026-01-31T22:00:00+05:45"),
    }
    assert {event[2] for event in found} == {None}


@on_postgresql
@each("supa_audit", "hstore", "json")
def test_a_key_that_lacks_a_part_is_none(log: TableLog) -> None:
    """Such as in events from before a column came into the key."""
    sql("CREATE TABLE paired (a int, b text, name text)")
    try:
        log.record(["paired"])
        sql("INSERT INTO paired VALUES (NULL, 'x'), (1, 'x'), (1, NULL)",
            "DELETE FROM paired WHERE a IS NULL OR b IS NULL",
            "ALTER TABLE paired ADD PRIMARY KEY (a, b)")  # fmt: skip
        found = imported(log)
    finally:
        sql("DROP TABLE paired")
    assert [event[1] for event in found] == [None, '[1, "x"]', None, None, None]


@on_postgresql
@each("supa_audit", "hstore", "json")
def test_a_time_that_no_calendar_has_is_refused(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    AuditLog.objects.all().delete()
    next_moment()
    begin()
    column = "ts" if log is SUPA_AUDIT else "action_tstamp_clk"
    for time_ in ("infinity", "-infinity"):
        sql(f"UPDATE audit.{log.table} SET {column} = '{time_}'")
        found = importing.forecast(Request("default", [log.source], trial=True))
        (refused,) = (one for one in found.refusals if isinstance(one, EventsUnfit))
        assert "1 have no occurred_at" in str(refused)


@on_postgresql
@each("supa_audit", "json")
def test_a_column_that_was_added_comes_into_the_context_as_it_is(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    table = f"audit.{log.table}"
    nested = {"a": None, "b": [{"c": None}]}
    sql(f"ALTER TABLE {table} ADD request jsonb, ADD lacking jsonb, ADD nothing jsonb,"
        ' ADD "user" text, ADD pair int[]',
        f"UPDATE {table} SET request = '{json.dumps(nested)}', nothing = 'null', \"user\" = 'Eve',"
        " pair = ARRAY[NULL, 1]")  # fmt: skip
    if log is SUPA_AUDIT:
        sql(f"UPDATE {table} SET auth_uid = '{uuid.UUID(int=7)}'")
    imported(log)
    event = AuditLog.objects.get()
    context = event.context
    assert context["request"] == nested
    assert "lacking" not in context
    assert context["nothing"] is None
    assert context["pair"] == [None, 1]
    assert context["user"] == event.actor == "Eve"
    assert log is not SUPA_AUDIT or context["auth_uid"] == str(uuid.UUID(int=7))


@on_postgresql
@each("supa_audit")
def test_a_dry_run_says_how_many_events_have_no_object_id(
    log: TableLog, capsys: pytest.CaptureFixture[str]
) -> None:
    sql("CREATE TABLE gone (id int PRIMARY KEY)")
    log.record(["gone"])
    sql("INSERT INTO gone VALUES (1), (2)", "TRUNCATE gone", "DROP TABLE gone")
    AuditLog.objects.all().delete()
    next_moment()
    begin()
    call_command("import_audit_log", "supa_audit", dry_run=True)
    assert ", 2 without an object ID, which no object's history shows" in capsys.readouterr().out
