"""Tests a log that is attached to another one: what it reads, and what the job stores for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from auditrepr.models import AuditLog, Erasure, InstanceRepr
from tests.app.models import Author, Book
from tests.attaching.attached import attach, command, detach, kind, statements
from tests.capturing import sql
from tests.running import run
from tests.table_logs import ALL, TableLog
from tests.two_logs import TABLES, recorded, story

pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

ATTACHABLE = ("supa_audit", "hstore", "json")
EVERY = [pytest.param(n, marks=[] if n in ATTACHABLE else pytest.mark.proof) for n in ALL]


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Iterator[TableLog]:
    """One of the logs, which records from now on."""
    chosen = ALL[request.param]
    sql("CREATE EXTENSION IF NOT EXISTS hstore")
    chosen.create()
    chosen.record(TABLES)
    AuditLog.objects.all().delete()
    yield chosen
    detach()
    chosen.drop()


def each(*names: str) -> Any:
    return pytest.mark.parametrize("log", names or EVERY, indirect=True)


@each()
def test_events_are_what_our_triggers_have_seen(log: TableLog) -> None:
    story()
    seen = recorded()
    told = attach(log.source)
    assert f"Attached the audit log to audit.{log.table}" in told
    assert kind() == "v"
    assert recorded() == seen


@each()
def test_an_objects_own_values_are_exact_and_what_it_refers_to_is_mixed(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    Book.objects.create(title="Go", author=Author.objects.get())
    attach(log.source)
    Author.objects.update(name="Bea")  # recorded by the other log alone
    run()
    stored = InstanceRepr.objects.order_by("pk").values_list("instance_repr", "fidelity")
    assert list(stored) == [("Ann", "E"), ("Go (Ann)", "M"), ("Bea", "E")]


@each()
def test_detaching_leads_back_to_a_log_of_our_own(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    attach(log.source)
    run()
    assert "Detached the audit log" in command("detach")
    assert (kind(), AuditLog.objects.count(), InstanceRepr.objects.count()) == ("r", 0, 0)
    Author.objects.create(name="Bea")
    run()
    assert InstanceRepr.objects.get().instance_repr == "Bea"
    call_command("audit_triggers", "check", verbosity=0)


TABLE = """
CREATE TABLE IF NOT EXISTS own_log (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, of text, at timestamptz DEFAULT now(),
    what text, key integer, now jsonb, past jsonb, who text
)
"""
SELECT = """
SELECT entry AS position, of AS table_name, key AS object_id, left(what, 1) AS action,
    coalesce(now, past) AS row_data, at AS occurred_at, jsonb_build_object('user', who) AS context
FROM own_log
"""
TRIGGER = """
CREATE OR REPLACE FUNCTION own_log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO own_log (of, what, key, now, past, who) VALUES (
        TG_TABLE_NAME, TG_OP, coalesce(NEW.id, OLD.id), to_jsonb(NEW), to_jsonb(OLD), 'ann'
    );
    RETURN NULL;
END $$;
CREATE TRIGGER own_log AFTER INSERT OR UPDATE OR DELETE ON app_author FOR EACH ROW
    EXECUTE FUNCTION own_log();
"""


@pytest.fixture
def own_log(settings: Any) -> Iterator[None]:
    """A log of ten lines, which records authors from now on."""
    sql(TABLE, TRIGGER)
    settings.AUDITREPR = {"SOURCES": {"ours": lambda using: SELECT}}
    AuditLog.objects.all().delete()
    yield
    detach()
    sql("DROP TRIGGER own_log ON app_author", "DROP FUNCTION own_log", "DROP TABLE own_log")


@pytest.mark.usefixtures("own_log")
def test_a_table_of_the_teams_own_is_attached() -> None:
    author = Author.objects.create(name="Ann")
    key = str(author.pk)
    Author.objects.update(name="Bea")
    assert "Attached the audit log to public.own_log" in attach("ours")
    author.delete()
    run()
    events = AuditLog.objects.with_reprs().order_by("pk")
    assert {(e.object_id, e.actor) for e in events} == {(key, "ann")}
    told = [(e.action, e.instance_repr.instance_repr) for e in events]
    assert told == [("I", "Ann"), ("U", "Bea"), ("D", "Bea")]


@pytest.fixture
def small_log(settings: Any) -> Iterator[None]:
    """A table with few events, whose columns are those of our log: any index is good enough."""
    sql("CREATE TABLE small_log (id bigserial PRIMARY KEY, of text, key varchar(20), row jsonb,"
        " was varchar(20), at timestamptz DEFAULT now())",
        """INSERT INTO small_log (of, key, row) VALUES ('app_author', '1', '{"id": 1}')""",
    )  # fmt: skip
    select = (
        "SELECT id AS position, of AS table_name, key AS object_id, was AS previous_object_id,"
        " 'I' AS action, row AS row_data, at AS occurred_at FROM small_log"
    )
    settings.AUDITREPR = {"SOURCES": {"ours": lambda using: select}}
    yield
    detach()
    sql("DROP TABLE small_log")


@pytest.mark.usefixtures("small_log")
def test_the_indexes_that_were_asked_for_suffice() -> None:
    AuditLog.objects.all().delete()
    wanted = statements("ours")
    assert [one.split()[3] for one in wanted] == [
        f"auditrepr_attached_{name}" for name in ("object", "table", "rekeyed")
    ]
    sql(*(one.replace(" CONCURRENTLY", "") for one in wanted))
    assert "Attached the audit log to public.small_log" in command("attach", "ours")
    call_command("audit_triggers", "check", verbosity=0)


@pytest.mark.usefixtures("supa_audit")
def test_it_says_what_was_erased_from_our_own_log() -> None:
    """The other log never heard of that, and nothing of ours erases there."""
    told = attach("supa_audit")
    assert "erasure" not in told
    detach()
    for subject in (Erasure.Subject.OBJECT, Erasure.Subject.ACTOR):
        Erasure.objects.create(subject=subject, table_name="app_author", by="me", events=1)
    Erasure.objects.update(started_at="2026-02-03 12:00:00+00:00")
    for dry_run in (True, False):
        assert (
            "There were 2 erasures in auditrepr's own log, the last on 2026-02-03 12:00:00+00:00."
            " The other log may still name what was erased: have its owner erase it there."
        ) in command("attach", "supa_audit", dry_run=dry_run)


@pytest.mark.usefixtures("own_log")
@pytest.mark.parametrize("at", ["NULL", "'infinity'", "'0044-03-15 BC'"])
def test_an_event_whose_time_cannot_be_read_stops_nothing(at: str) -> None:
    """It is refused while it is there before, and left out if it comes later."""
    Author.objects.create(name="Ann")
    values = f"'app_author', 'UPDATE', 1, '{{}}', {at}"
    wrong = f"INSERT INTO own_log (of, what, key, now, at) VALUES ({values})"
    sql(wrong)
    AuditLog.objects.all().delete()
    with pytest.raises(CommandError, match="have no occurred_at"):
        command("attach", "ours")
    sql("DELETE FROM own_log WHERE now = '{}'")
    attach("ours")
    run()
    sql(wrong)
    Author.objects.create(name="Bea")
    run()
    assert set(InstanceRepr.objects.values_list("instance_repr", flat=True)) == {"Ann", "Bea"}


@each("supa_audit", "json")
def test_an_event_at_infinity_stops_no_other_log(log: TableLog) -> None:
    attach(log.source)
    time = "ts" if log.source == "supa_audit" else "action_tstamp_clk"
    Author.objects.create(name="Ann")
    sql(f"UPDATE audit.{log.table} SET {time} = 'infinity'")
    Author.objects.create(name="Bea")
    run()
    assert set(InstanceRepr.objects.values_list("instance_repr", flat=True)) == {"Bea"}


@each("supa_audit", "json")
def test_a_key_that_is_a_time_is_the_same_in_every_zone(log: TableLog) -> None:
    """An index can have it, whatever the zone of the session that writes."""
    sql("CREATE TABLE moments (id timestamptz PRIMARY KEY, name text)")
    try:
        log.record(["moments"])
        sql("SET TIME ZONE 'Asia/Kathmandu'",
            "INSERT INTO moments VALUES ('2026-01-31 22:00:00.5+00')")  # fmt: skip
        attach(log.source)
        sql("UPDATE moments SET name = 'a'", "SET TIME ZONE 'UTC'",
            "UPDATE moments SET name = 'b'")  # fmt: skip
        found = {event[1:3] for event in recorded()}
    finally:
        sql("SET TIME ZONE 'UTC'", "DROP TABLE moments")
    assert found == {("2026-01-31T22:00:00.5+00:00", None)}
    assert AuditLog.objects.filter(object_id="2026-01-31T22:00:00.5+00:00").count() == 3


@each("supa_audit")
def test_a_column_that_was_added_comes_into_the_context_as_it_is(log: TableLog) -> None:
    Author.objects.create(name="Ann")
    sql("ALTER TABLE audit.record_version ADD request jsonb, ADD lacking int, ADD \"user\" text",
        """UPDATE audit.record_version SET request = '{"a": null, "b": [{"c": null}]}'""",
        "UPDATE audit.record_version SET \"user\" = 'Eve'")  # fmt: skip
    attach(log.source)
    event = AuditLog.objects.get()
    assert event.context == {"request": {"a": None, "b": [{"c": None}]}, "user": "Eve"}
    assert event.actor == "Eve"
