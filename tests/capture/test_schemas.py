"""Tests several logs in one PostgreSQL database, each in its own schema: sites and tenants."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError
from django.db import connection

from auditrepr import capture
from auditrepr.capture.state import Status
from auditrepr.job import logs
from auditrepr.job.locks.file import FileLock, default_path
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog, Lease
from auditrepr.vendors import get_vendor
from auditrepr.vendors.postgresql.quoting import trigger_name
from tests import restoring
from tests.app.models import Author, Tag
from tests.capturing import covered_since
from tests.schemas import at, execute, migrate, run, schemas
from tests.sizes import tries

__all__ = ["schemas"]
pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def triggers(schema: str) -> int:
    """How many triggers have their functions in this schema."""
    (row,) = execute(
        "SELECT count(*) FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid"
        f" WHERE pronamespace = '\"{schema}\"'::regnamespace"
    )
    return int(str(row[0]))


def texts(schema: str) -> list[tuple[object, ...]]:
    return execute(
        f'SELECT action, table_name, object_id FROM "{schema}".auditrepr_auditlog ORDER BY id'
    )


@pytest.mark.proof
def test_migrate_and_install_leave_the_triggers_of_the_other_site_alone(schemas):
    for name in ("one", "two", "one", "two"):
        migrate(name)
    for name in ("one", "two"):
        with at(name):
            author = Author.objects.create(name=name)
            Author.objects.update(name="new")
            assert texts(name) == [
                ("I", "app_author", str(author.pk)),
                ("U", "app_author", str(author.pk)),
            ]
            run("audit_triggers", "install", "--database=default")
    for name in ("one", "two"):
        with at(name):
            assert "all triggers are OK" in run("audit_triggers", "check", "--database=default")
            run("backfill_reprs")
            reprs = AuditLog.objects.order_by("pk").values_list(
                "instance_repr__instance_repr", "instance_repr__fidelity"
            )
            assert list(reprs) == [(name, "E"), ("new", "E")]


@pytest.mark.proof
def test_removing_one_sites_triggers_leaves_the_others(schemas):
    migrate("one")
    migrate("two")
    with at("one"):
        assert "app_author" in run("audit_triggers", "remove", "--database=default")
    assert triggers("one") == 0
    with at("two"):
        Author.objects.create(name="x")
        assert len(texts("two")) == 1
        assert "all triggers are OK" in run("audit_triggers", "check", "--database=default")


@pytest.fixture
def shared(schemas) -> None:
    """Authors are in a schema that both sites see; each has its own tags."""
    with at("common"), connection.schema_editor() as editor:
        editor.create_model(Author)
    migrate("one", "common")
    migrate("two", "common")


@pytest.mark.proof
def test_a_table_that_two_sites_share_is_in_the_logs_of_both(shared):
    with at("one", "common"):
        Author.objects.create(pk=1, name="x")
        Tag.objects.create(pk=2, label="y")
    assert texts("one") == [("I", "app_author", "1"), ("I", "app_tag", "2")]
    assert texts("two") == [("I", "app_author", "1")]
    for name in ("one", "two"):
        with at(name, "common"):
            assert "all triggers are OK" in run("audit_triggers", "check", "--database=default")


@pytest.mark.proof
def test_one_site_that_goes_leaves_the_shared_tables_triggers_of_the_other(shared):
    with at("one", "common"):
        run("audit_triggers", "remove", "--database=default")
    execute("DROP SCHEMA one CASCADE")
    with at("two", "common"):
        Author.objects.create(pk=1, name="x")
        assert "all triggers are OK" in run("audit_triggers", "check", "--database=default")
    assert texts("two") == [("I", "app_author", "1")]


@pytest.mark.proof
def test_a_connection_that_does_not_see_the_shared_tables_leaves_their_triggers_alone(shared):
    """As django-tenants migrates."""
    before = triggers("one")
    with at("one"):
        run("migrate", "auditrepr", "-v0")
        states = {state.name: state.status for state in capture.inspect("default")}
        assert states["app_author"] is not Status.LEFTOVER
    assert triggers("one") == before
    with at("one", "common"):
        assert "app_author" in covered_since("default")


@pytest.mark.proof
def test_a_shared_table_that_is_audited_no_longer_loses_the_triggers_of_this_log_alone(
    shared, settings
):
    settings.AUDITREPR = {"MODELS": ["-app.Author"]}
    with at("one"):
        capture.install("default")
    execute("INSERT INTO common.app_author (name) VALUES ('x')")
    assert (len(texts("one")), len(texts("two"))) == (0, 1)


@pytest.mark.proof
def test_truncating_one_log_with_a_shared_table_is_in_the_other_log(shared):
    with at("one", "common"):
        Author.objects.create(pk=1, name="x")
        execute(
            "TRUNCATE one.auditrepr_auditlog, one.auditrepr_instancerepr,"
            " one.auditrepr_reprfailure, common.app_author"
        )
    assert texts("one") == []
    assert texts("two") == [("I", "app_author", "1"), ("T", "app_author", None)]


@pytest.mark.proof
def test_a_partitioned_table_that_two_sites_share_is_logged_once_in_each(schemas):
    execute(
        "CREATE TABLE common.app_author (id bigint PRIMARY KEY, name varchar(100) NOT NULL)"
        " PARTITION BY RANGE (id)",
        "CREATE TABLE common.low PARTITION OF common.app_author FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE common.high PARTITION OF common.app_author FOR VALUES FROM (10) TO (20)",
    )
    migrate("one", "common")
    migrate("two", "common")
    execute(
        "INSERT INTO common.app_author VALUES (1, 'x')",
        "UPDATE common.app_author SET id = 11",
        "INSERT INTO common.low VALUES (2, 'y')",
        "TRUNCATE common.high",
        "DELETE FROM common.low",
    )
    expected = [
        ("I", "app_author", "1"),
        ("U", "app_author", "11"),
        ("I", "app_author", "2"),
        ("D", "app_author", "11"),
        ("D", "app_author", "2"),
    ]
    assert texts("one") == texts("two") == expected


@pytest.mark.proof
@pytest.mark.parametrize(
    "command",
    [
        ["audit_triggers", "check"],
        ["audit_triggers", "install"],
        ["backfill_reprs"],
        ["backfill_reprs", "--dry-run"],
        ["backfill_status"],
        ["backfill_status", "--release-lock", "--no-input"],
        ["rebuild_reprs"],
        ["prune_audit_log", "--before=2020-01-01", "--no-input"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("path", [("two",), ("two", "one")], ids=",".join)
def test_a_schema_without_the_tables_says_what_to_do_and_touches_no_other(schemas, command, path):
    restoring.prepare("sites", _one_of_two)
    before = triggers("one")
    with at(*path), pytest.raises(CommandError) as raised:
        run(*command, "--database=default")
    said = str(raised.value)
    assert "manage.py migrate --database default" in said
    assert "two" in said or path == ("two",)
    assert triggers("one") == before
    with at("one"):
        assert not AuditLog.objects.filter(instance_repr__isnull=False)
        assert Lease.objects.get().holder == {"pid": 1}


def _one_of_two() -> None:
    migrate("one")
    with at("one"):
        Author.objects.create(name="x")
        Lease.objects.update_or_create(name=DatabaseLock.NAME, defaults={"holder": {"pid": 1}})


@pytest.mark.proof
def test_removing_where_there_is_no_log_removes_nothing_of_the_next_schema(schemas):
    migrate("one")
    before = triggers("one")
    with at("two", "one"):
        assert "removed the triggers of 0 tables" in run(
            "audit_triggers", "remove", "--database=default"
        )
    assert triggers("one") == before
    with at("one"):
        assert "app_author" in covered_since("default")


@pytest.mark.proof
def test_each_schema_has_a_lock_and_a_lock_file_of_its_own(schemas, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    migrate("one")
    migrate("two")
    with at("one"):
        in_one = default_path("default")
        lock = FileLock("default")
        lock.__enter__()
        Lease.objects.update_or_create(name=DatabaseLock.NAME, defaults={"holder": {"pid": 1}})
    with at("two"):
        assert default_path("default") != in_one
        with FileLock("default") as file, DatabaseLock("default") as lease:
            assert file
            assert lease
    lock.__exit__(None, None, None)
    assert "one" in in_one.name


@pytest.mark.proof
def test_status_names_the_schema(schemas):
    migrate("one")
    with at("one"):
        first, *_ = run("backfill_status").splitlines()
        assert first == f"database    {logs.named('default')} (schema one)"
        (document,) = json.loads(run("backfill_status", "--format=json"))
        assert document["schema"] == "one"
        lines = run("backfill_status", "--format=prometheus")
    assert 'auditrepr_pending_rows{database="default",schema="one"} 0' in lines


@pytest.mark.proof
def test_the_log_of_a_later_schema_is_not_this_connections(schemas):
    migrate("one")
    migrate("two")
    identities = []
    for path in (["one", "two"], ["two", "one"], ["common", "one"]):
        with at(*path):
            identities.append(get_vendor("default").log_identity()[0])
    one, two, common = identities
    assert None not in (one, two)
    assert one != two
    assert common is None


@pytest.mark.sized
def test_tenants_that_come_one_after_the_other_keep_their_triggers(schemas, settings):
    names = [f"tenant {n}" for n in range(tries(quick=4, full=40))]
    execute(*(f'CREATE SCHEMA "{name}"' for name in names))
    for name in names:
        migrate(name)
    counts = {triggers(name) for name in names}
    for name in (names[0], names[len(names) // 2], names[-1]):
        migrate(name)
    assert counts == {triggers(name) for name in names} == {triggers(names[0])}
    for n, name in enumerate(names):
        execute(f"INSERT INTO \"{name}\".app_author (id, name) VALUES ({n + 1}, 'x')")
    assert [texts(name) for name in names] == [
        [("I", "app_author", str(n + 1))] for n in range(len(names))
    ]


@pytest.mark.proof
def test_a_tenants_schema_that_is_dropped_takes_its_triggers_along(shared):
    execute("DROP SCHEMA two CASCADE")
    execute("INSERT INTO common.app_author (id, name) VALUES (1, 'x')")
    assert texts("one") == [("I", "app_author", "1")]


@pytest.mark.proof
def test_names_from_before_schemas_were_in_them_are_replaced(schemas):
    migrate("one")
    with at("one"):
        before = triggers("one")
        for kind in ("insert", "update", "delete", "truncate"):
            execute(f"ALTER TRIGGER auditrepr_{kind}_one ON app_author RENAME TO auditrepr_{kind}")
        note = '{"name": "app_author", "fingerprint": "old", "triggers": 4, "excluded": []}'
        execute(f"COMMENT ON TRIGGER auditrepr_insert ON app_author IS '{note}'")
        states = {state.name: state.status for state in capture.inspect("default")}
        assert states["app_author"] is Status.OUTDATED
        assert "app_author" in run("audit_triggers", "install", "--database=default")
        assert triggers("one") == before
        Author.objects.create(name="x")
        assert len(texts("one")) == 1
        names = execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'app_author'::regclass"
            " AND NOT tgisinternal ORDER BY 1"
        )
    assert [name for (name,) in names] == [
        f"auditrepr_{kind}_one" for kind in ("delete", "insert", "truncate", "update")
    ]


@pytest.mark.proof
@pytest.mark.parametrize(
    "names",
    [("Kunde-1", 'it"s'), ("x" * 62 + "1", "x" * 62 + "2"), ("ü" * 31, "ü" * 30)],
    ids=["quoted", "long", "bytes"],
)
def test_whatever_schemas_are_called_their_triggers_are_told_apart(schemas, names):
    with at("common"), connection.schema_editor() as editor:
        editor.create_model(Author)
    quoted = [name.replace('"', '""') for name in names]
    execute(*(f'CREATE SCHEMA "{name}"' for name in quoted))
    try:
        for name in quoted:
            migrate_quoted(name)
        execute("INSERT INTO common.app_author (id, name) VALUES (1, 'x')")
        assert [texts(name) for name in quoted] == [[("I", "app_author", "1")]] * 2
        for name in quoted:
            execute(f'SET search_path = "{name}", common')
            assert "all triggers are OK" in run("audit_triggers", "check", "--database=default")
    finally:
        execute("RESET search_path")
        for name in quoted:
            execute(f'DROP SCHEMA "{name}" CASCADE')


def migrate_quoted(name: str) -> None:
    execute(f'SET search_path = "{name}", common')
    run("migrate", "--run-syncdb", "-v0")


def test_a_triggers_name_fits_and_differs():
    names = {trigger_name("enter_truncate", "x" * 62 + end) for end in "12"}
    assert len(names) == 2
    assert all(len(name.encode()) <= 63 for name in names)


@pytest.mark.proof
def test_a_log_elsewhere_in_the_search_path_is_not_this_connections(schemas):
    migrate("one")
    with at("two", "one"):
        assert get_vendor("default").log_schema() == "two"
        assert capture.inspect("default") == []
        assert not capture.holds_log("default")
