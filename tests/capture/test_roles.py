"""Tests the roles of docs/security.md: runs the SQL of that page on the server."""

from __future__ import annotations

import json
import re

import psycopg
import pytest
from django.apps import apps
from django.db import connection
from psycopg.errors import InsufficientPrivilege, RaiseException

from tests.examples import examples
from tests.suite import run

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

PREFIX = "auditrepr_test_shop"
ROLES = ("owner", "app", "job", "reader")
SQL = [block.replace("shop", PREFIX) for block in examples("docs/security.md", "sql")]
(MAKING,) = examples("docs/partitions.md", "sql")


def connect(role=None, name=PREFIX):
    """A connection to the shop: as one of its roles, or as a superuser."""
    parameters = connection.get_connection_params()
    kept = ("host", "port", "password")
    found = psycopg.connect(
        **{key: parameters[key] for key in kept if key in parameters},
        user=parameters.get("user"),
        dbname=name,
        autocommit=True,
    )
    if role:
        found.execute(f"SET SESSION AUTHORIZATION {PREFIX}_{role}")
    return found


def manage(role, *arguments, code=0):
    """Run manage.py as one of the roles."""
    secret = connection.settings_dict["PASSWORD"]
    access = {"NAME": PREFIX, "USER": f"{PREFIX}_{role}", "PASSWORD": secret}
    return run.manage(access, *arguments, code=code)


def drop(cursor):
    cursor.execute(f"DROP DATABASE IF EXISTS {PREFIX} WITH (FORCE)")
    for role in ROLES:
        cursor.execute(f"DROP ROLE IF EXISTS {PREFIX}_{role}")


@pytest.fixture(scope="module")
def _shop(django_db_setup, django_db_blocker):
    """A database that was set up by the book."""
    cluster, database, tables = SQL
    with django_db_blocker.unblock(), connect(name="postgres") as cursor:
        drop(cursor)
        for statement in cluster.split(";")[:-1]:  # CREATE DATABASE stands alone
            cursor.execute(statement)
        for role in ROLES:
            secret = connection.settings_dict["PASSWORD"]
            if secret:
                cursor.execute(f"ALTER ROLE {PREFIX}_{role} PASSWORD '{secret}'")
        with connect() as inside:
            inside.execute(database)
        manage("owner", "migrate", "--run-syncdb", "-v", "0")
        with connect("owner") as owner:
            owner.execute(tables)
        yield
        drop(cursor)


@pytest.fixture
def shop(_shop):
    """The shop with one event in its log; gives a connection for each role."""
    opened = {role: connect(role) for role in ROLES}
    opened["app"].execute("INSERT INTO suite_shelf (name) VALUES ('Top')")
    yield opened
    for session in opened.values():
        session.close()


def log(shop):
    found = shop["reader"].execute("SELECT * FROM auditrepr_auditlog ORDER BY id")
    return found.fetchall()


@pytest.mark.proof
def test_the_application_s_writes_are_in_the_log(shop):
    before = len(log(shop))
    app = shop["app"]
    app.execute("UPDATE suite_shelf SET name = 'Low'")
    app.execute("DELETE FROM suite_shelf")
    assert len(log(shop)) >= before + 2


@pytest.mark.parametrize("role", ["app", "job", "reader"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO auditrepr_auditlog (table_name, action) VALUES ('suite_shelf', 'I')",
        "UPDATE auditrepr_auditlog SET action = 'D'",
        "DELETE FROM auditrepr_auditlog",
        "TRUNCATE auditrepr_auditlog",
        "TRUNCATE suite_shelf CASCADE",
        "DROP TABLE auditrepr_auditlog",
        "ALTER TABLE suite_shelf DISABLE TRIGGER ALL",
        "DROP TRIGGER auditrepr_insert_public ON suite_shelf",
        "DROP TRIGGER append_only_auditrepr_change ON auditrepr_auditlog",
        "UPDATE auditrepr_coverage SET since_event = 0",
        "SET session_replication_role = replica",
        "CREATE TABLE public.mine (id int)",
        "CREATE FUNCTION public.auditrepr_same(record) RETURNS record LANGUAGE sql AS 'SELECT $1'",
    ],
)
def test_only_the_owner_touches_the_log_or_what_writes_it(shop, role, statement):
    before = log(shop)
    shop[role].execute("SET auditrepr.pruning = on; SET auditrepr.erasing = on")
    with pytest.raises(InsufficientPrivilege):
        shop[role].execute(statement)
    assert log(shop) == before


@pytest.mark.parametrize(
    "table", ["instancerepr", "changedvalues", "reprfailure", "checkpoint", "lease"]
)
def test_the_application_cannot_forge_what_is_stored_next_to_the_log(shop, table):
    with pytest.raises(InsufficientPrivilege):
        shop["app"].execute(f"DELETE FROM auditrepr_{table}")


@pytest.mark.parametrize(
    "statement",
    ["UPDATE auditrepr_auditlog SET action = 'D'", "DELETE FROM auditrepr_auditlog",
     "TRUNCATE auditrepr_auditlog"],
)  # fmt: skip
def test_a_slip_of_the_owner_fails_too(shop, statement):
    with pytest.raises((InsufficientPrivilege, RaiseException), match="append-only"):
        shop["owner"].execute(statement)


@pytest.mark.proof
def test_the_right_to_delete_is_not_enough_to_prune(shop):
    """The setting that lets the owner through does nothing for anybody else."""
    shop["owner"].execute(f"GRANT DELETE ON auditrepr_auditlog TO {PREFIX}_app")
    try:
        shop["app"].execute("SET auditrepr.pruning = on")
        with pytest.raises(InsufficientPrivilege, match="append-only"):
            shop["app"].execute("DELETE FROM auditrepr_auditlog")
        said = manage("app", "prune_audit_log", "--before", "2024-01-01", "--no-input", code=1)
        assert f"Role {PREFIX}_app may not delete from the audit log" in said
    finally:
        shop["owner"].execute(f"REVOKE DELETE ON auditrepr_auditlog FROM {PREFIX}_app")


@pytest.mark.proof
def test_the_owner_erases_in_an_append_only_log(shop):
    found = shop["app"].execute("INSERT INTO suite_shelf (name) VALUES ('Ada') RETURNING id")
    (key,) = found.fetchone()
    shop["app"].execute("DELETE FROM suite_shelf WHERE id = %s", [key])
    manage("owner", "erase_from_audit_log", "--object", f"suite.Shelf:{key}", "--no-input")
    assert "Ada" not in str(log(shop))
    assert shop["reader"].execute("SELECT events FROM auditrepr_erasure").fetchall() == [(2,)]


@pytest.mark.proof
def test_the_right_to_update_is_not_enough_to_erase(shop):
    shop["owner"].execute(f"GRANT UPDATE ON auditrepr_auditlog TO {PREFIX}_app")
    try:
        shop["app"].execute("SET auditrepr.erasing = on")
        with pytest.raises(InsufficientPrivilege, match="append-only"):
            shop["app"].execute("UPDATE auditrepr_auditlog SET action = 'D'")
        arguments = ("--object", "suite.Shelf:1", "--no-input")
        said = manage("app", "erase_from_audit_log", *arguments, code=1)
        assert f"Role {PREFIX}_app may not change the events" in said
    finally:
        shop["owner"].execute(f"REVOKE UPDATE ON auditrepr_auditlog FROM {PREFIX}_app")


@pytest.mark.proof
def test_the_job_runs_with_its_own_role(shop):
    manage("job", "backfill_reprs", "--verbosity", "0")
    pending = shop["reader"].execute(
        "SELECT count(*) FROM auditrepr_auditlog WHERE action <> 'T'"
        " AND id NOT IN (SELECT audit_log_id FROM auditrepr_instancerepr)"
    )
    assert pending.fetchone() == (0,)
    exact = shop["reader"].execute(
        "SELECT DISTINCT fidelity FROM auditrepr_instancerepr WHERE reason NOT LIKE '%was erased%'"
    )
    assert exact.fetchall() == [("E",)]
    assert shop["reader"].execute("SELECT settled_id > 0 FROM auditrepr_checkpoint").fetchone()[0]


def test_the_job_changes_no_audited_table(shop):
    with pytest.raises(InsufficientPrivilege):
        shop["job"].execute("DELETE FROM suite_shelf")


@pytest.mark.proof
@pytest.mark.parametrize(
    ("command", "right"),
    [
        (["backfill_reprs"], r"INSERT, UPDATE, DELETE on .*auditrepr_lease"),
        (["backfill_reprs", "--workers=2"], r"INSERT, UPDATE, DELETE on .*auditrepr_lease"),
        (["backfill_status", "--cancel"], r"INSERT, UPDATE, DELETE on .*auditrepr_share"),
        (["rebuild_reprs"], r"INSERT, UPDATE, DELETE on .*auditrepr_lease"),
        (["prune_audit_log", "--before", "2024-01-01", "--no-input"], "may not delete"),
        (
            ["erase_from_audit_log", "--object", "suite.Shelf:1", "--no-input"],
            "may not change the events",
        ),
        (["audit_triggers", "install"], "Run this as the role that owns"),
        (["audit_triggers", "remove"], "Run this as the role that owns"),
        (
            ["backfill_status", "--release-lock", "--no-input"],
            r"INSERT, UPDATE, DELETE on .*auditrepr_lease",
        ),
    ],
    ids=lambda one: one[0] if isinstance(one, list) else "",
)
def test_who_may_read_but_not_write_is_told_which_right_is_missing(shop, command, right):
    shop["owner"].execute(f"GRANT SELECT ON SEQUENCE auditrepr_auditlog_id_seq TO {PREFIX}_reader")
    shop["job"].execute(
        "INSERT INTO auditrepr_lease (name, token, expires_at)"
        " VALUES ('backfill', gen_random_uuid(), now() - interval '1 hour')"
        " ON CONFLICT (name) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at"
    )
    if command[:2] == ["audit_triggers", "install"]:
        shop["owner"].execute("ALTER TABLE suite_shelf DISABLE TRIGGER USER")
    try:
        said = manage("reader", *command, code=1)
    finally:
        shop["owner"].execute("ALTER TABLE suite_shelf ENABLE TRIGGER USER")
        if command[:2] == ["audit_triggers", "install"]:
            manage("owner", "audit_triggers", "install", "--verbosity", "0")  # notes the gap
    (line,) = said.splitlines()
    assert re.search(right, line)


@pytest.mark.proof
def test_who_may_read_is_told_by_the_check_what_it_could_not_note(shop):
    assert "all triggers are OK" in manage("reader", "audit_triggers", "check")
    shop["owner"].execute("ALTER TABLE suite_shelf DISABLE TRIGGER USER")
    try:
        said = manage("reader", "audit_triggers", "check", code=1)
    finally:
        shop["owner"].execute("ALTER TABLE suite_shelf ENABLE TRIGGER USER")
        manage("owner", "audit_triggers", "install", "--verbosity", "0")
    assert f"Role {PREFIX}_reader may not do this" in said
    assert "INSERT, UPDATE, DELETE on auditrepr_coverage" in said


@pytest.mark.proof
def test_who_may_read_asks_for_the_status(shop):
    """The gaps that other tests left are known, and no longer news."""
    assert "pending" in manage("reader", "backfill_status", "--window=0s")


@pytest.mark.proof
def test_who_may_read_exports_the_log(shop):
    *_, last = manage("reader", "export_audit_log", "--format=jsonl").splitlines()
    assert json.loads(last)["end"] == "complete"
    followed = manage("reader", "export_audit_log", "--format=jsonl", "--follow-from=0")
    assert json.loads(followed.splitlines()[-1])["end"] == "complete"


@pytest.mark.proof
def test_the_owner_checks_migrates_and_prunes(shop):
    assert "triggers are OK" in manage("owner", "audit_triggers", "check")
    manage("owner", "migrate", "-v", "0")
    said = manage("owner", "prune_audit_log", "--before", "2024-01-01", "--no-input")
    assert "Deleted 0 events" in said
    with connect() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE auditrepr_auditlog SET occurred_at = '2020-01-01'")
    manage("owner", "prune_audit_log", "--before", "2024-01-01", "--no-input")
    assert log(shop) == []
    shop["app"].execute("INSERT INTO suite_shelf (name) VALUES ('Low')")
    with pytest.raises(InsufficientPrivilege, match="append-only"):
        shop["owner"].execute("DELETE FROM auditrepr_auditlog")


HIJACK = """
CREATE {temp} TABLE {schema}.auditrepr_auditlog (LIKE public.auditrepr_auditlog);
CREATE {temp} TABLE {schema}.jsonb_each (key text, value jsonb);
CREATE FUNCTION {schema}.auditrepr_row(record, oid) RETURNS jsonb LANGUAGE plpgsql
    AS $$BEGIN RAISE 'hijacked'; END$$;
CREATE FUNCTION {schema}.to_jsonb(anyelement) RETURNS jsonb LANGUAGE plpgsql
    AS $$BEGIN RAISE 'hijacked'; END$$;
CREATE FUNCTION {schema}.to_jsonb(record) RETURNS jsonb LANGUAGE plpgsql
    AS $$BEGIN RAISE 'hijacked'; END$$;
CREATE FUNCTION {schema}.clock_timestamp() RETURNS timestamptz LANGUAGE sql
    AS $$SELECT '2000-01-01'::timestamptz$$;
CREATE FUNCTION {schema}.txid_current() RETURNS bigint LANGUAGE sql AS $$SELECT 1::bigint$$;
CREATE FUNCTION {schema}.never(jsonb, text) RETURNS text LANGUAGE sql AS $$SELECT 'forged'$$;
CREATE OPERATOR {schema}.->> (leftarg = jsonb, rightarg = text, function = {schema}.never);
"""


@pytest.mark.parametrize("place", ["mine", "pg_temp"])
def test_nothing_in_front_of_the_path_comes_between_a_write_and_the_log(shop, place):
    """The application may make objects in a schema of its own, and temporary ones."""
    with connect() as admin:
        admin.execute(f"GRANT TEMPORARY ON DATABASE {PREFIX} TO {PREFIX}_app")
        admin.execute(f"CREATE SCHEMA IF NOT EXISTS mine AUTHORIZATION {PREFIX}_app")
    app = shop["app"]
    app.execute(HIJACK.format(schema=place, temp="TEMP" if place == "pg_temp" else ""))
    app.execute(f"SET search_path = {place}, pg_catalog, public")
    before = len(log(shop))
    app.execute("INSERT INTO public.suite_shelf (name) VALUES ('Real')")
    *_, event = shop["reader"].execute(
        "SELECT table_name, action, row_data ->> 'name', occurred_at > now() - interval '1 hour',"
        " transaction_id > 1, object_id <> 'forged' FROM auditrepr_auditlog ORDER BY id"
    )
    assert event == ("suite_shelf", "I", "Real", True, True, True)
    assert len(log(shop)) == before + 1
    with connect() as admin:
        admin.execute("DROP SCHEMA mine CASCADE")


def test_no_role_puts_the_trigger_functions_on_its_own_table(shop):
    """Else what he writes there would be in the log as if it were the audited table's."""
    with connect() as admin:
        admin.execute(f"GRANT TEMPORARY ON DATABASE {PREFIX} TO {PREFIX}_app")
    app = shop["app"]
    functions = app.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE prosecdef AND proname ~ '^auditrepr_on_'"
    ).fetchall()
    assert functions
    app.execute("CREATE TEMP TABLE forged (id int, name text)")
    for (function,) in functions:
        with pytest.raises(InsufficientPrivilege):
            app.execute(
                "CREATE TRIGGER forging AFTER INSERT ON forged REFERENCING NEW TABLE AS"
                f" auditrepr_new EXECUTE FUNCTION {function}"
            )


def test_the_page_names_every_table_of_auditrepr():
    tables = {model._meta.db_table for model in apps.get_app_config("auditrepr").get_models()}
    revoked = re.search(r"REVOKE INSERT, UPDATE, DELETE ON(.+?)FROM", SQL[2], re.DOTALL)[1]
    assert {name.strip() for name in revoked.split(",")} == tables | {"django_migrations"}


SEAL = (
    "INSERT INTO auditrepr_sealentry (number, format, kind, after_id, upto_id, events, sealed_at,"
    " digest) VALUES (1000, 1, 'sealed', 0, 0, 0, '', '')"
)


@pytest.mark.proof
def test_the_job_seals_and_a_reader_exports_and_verifies(shop):
    assert len(log(shop)) > 0
    manage("job", "backfill_reprs", "-v", "0")
    manage("job", "seal_audit_log")
    lines = manage("reader", "seal_audit_log", "--export", "-", "--no-seal").splitlines()
    assert json.loads(lines[0])["number"] == 1
    manage("reader", "verify_audit_log")
    manage("reader", "seal_audit_log", code=1)
    shop["app"].execute("INSERT INTO suite_shelf (name) VALUES ('Side')")
    manage("job", "backfill_reprs", "-v", "0")
    manage("job", "seal_audit_log")
    manage("reader", "verify_audit_log")


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("app", SEAL),
        ("reader", SEAL),
        ("job", "UPDATE auditrepr_sealentry SET events = 0"),
        ("job", "DELETE FROM auditrepr_sealentry"),
        ("job", "TRUNCATE auditrepr_sealentry"),
    ],
)
def test_seals_are_added_by_the_job_and_changed_by_no_role(shop, role, statement):
    shop[role].execute("SET auditrepr.pruning = on")
    with pytest.raises(InsufficientPrivilege):
        shop[role].execute(statement)


@pytest.mark.proof
def test_the_owner_changes_no_seal_by_mistake(shop):
    manage("job", "backfill_reprs", "-v", "0")
    manage("job", "seal_audit_log")
    with pytest.raises(InsufficientPrivilege, match="append-only"):
        shop["owner"].execute("DELETE FROM auditrepr_sealentry")


@pytest.mark.proof
def test_a_partitioned_log_is_as_protected(shop):
    manage("owner", "partition_audit_log", "--size", "10000")
    with pytest.raises(InsufficientPrivilege):
        shop["job"].execute("SELECT partitions_auditrepr_ahead()")
    shop["owner"].execute(MAKING.replace("shop", PREFIX))
    # As a new table of the application needs it: for partitions, too.
    shop["owner"].execute(SQL[2])
    shop["app"].execute(
        "INSERT INTO auditrepr_auditlog_rest (id, table_name, action) VALUES"
        " (1000000000, 'suite_shelf', 'T')"
    )
    shop["owner"].execute(
        "SET auditrepr.pruning = on; DELETE FROM auditrepr_auditlog_rest;"
        "SET auditrepr.pruning = off"
    )
    manage("owner", "audit_triggers", "install")
    for role in ("app", "job", "reader"):
        for statement in (
            "INSERT INTO auditrepr_auditlog_p0 (table_name, action) VALUES ('suite_shelf', 'T')",
            "SELECT FROM auditrepr_auditlog_p0",
            "DELETE FROM auditrepr_auditlog_p0",
            "TRUNCATE auditrepr_auditlog_p1",
            "SELECT partitions_auditrepr_ahead(1)",
        ):
            with pytest.raises(InsufficientPrivilege):
                shop[role].execute(statement)
    assert log(shop)


@pytest.mark.proof
def test_the_job_makes_partitions_with_the_owner_s_rights(shop):
    manage("owner", "partition_audit_log")
    count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'auditrepr_auditlog'::regclass"
    before = shop["owner"].execute(count).fetchone()
    shop["owner"].execute("SELECT setval('auditrepr_auditlog_id_seq', 25000)")
    shop["app"].execute("INSERT INTO suite_shelf (name) VALUES ('Top')")
    shop["owner"].execute(
        f"GRANT EXECUTE ON FUNCTION partitions_auditrepr_ahead(bigint) TO {PREFIX}_job"
    )
    manage("job", "backfill_reprs")
    assert shop["owner"].execute(count).fetchone() > before
    owners = (
        shop["owner"]
        .execute(
            "SELECT DISTINCT pg_get_userbyid(relowner), relacl FROM pg_class"
            " JOIN pg_inherits ON inhrelid = oid WHERE inhparent = 'auditrepr_auditlog'::regclass"
        )
        .fetchall()
    )
    assert {owner for owner, _ in owners} == {f"{PREFIX}_owner"}
    shop["app"].execute("SET search_path = pg_temp")
    shop["app"].execute("INSERT INTO public.suite_shelf (name) VALUES ('Low')")
