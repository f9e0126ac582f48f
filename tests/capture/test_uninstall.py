"""Tests uninstalling auditrepr and moving a database: what remains, and what works."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from django.db import connection

from tests.missing import could_not_try
from tests.servers import postgres_binaries
from tests.suite.run import WRITE, manage, shell

pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True)]

TRACES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE name LIKE '%auditrepr%'",
    "postgresql": """
        SELECT relname FROM pg_class WHERE relname LIKE '%auditrepr%'
        UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE '%auditrepr%'
        UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE '%auditrepr%'
    """,
}
EVENTS = (
    "from auditrepr.models import AuditLog;"
    " print(*AuditLog.objects.order_by('id').values_list('id', 'action', 'object_id'))"
)


@pytest.fixture
def databases(tmp_path):
    """Makes empty databases; gives what the suite's settings need to use them."""
    made = []

    def make(name):
        if connection.vendor == "sqlite":
            return {"NAME": str(tmp_path / name)}
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS auditrepr_{name}")
            cursor.execute(f"CREATE DATABASE auditrepr_{name}")
        made.append(f"auditrepr_{name}")
        return {"NAME": f"auditrepr_{name}"}

    yield make
    with connection.cursor() as cursor:
        for name in made:
            cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture
def access(databases):
    """A database that the application has written to."""
    access = databases("scratch")
    if connection.vendor == "postgresql":
        extension = "c.cursor().execute('CREATE EXTENSION pg_trgm')"
        shell(access, f"from django.db import connection as c; {extension}")
    manage(access, "migrate", "--run-syncdb", "-v0")
    shell(access, WRITE)
    manage(access, "backfill_reprs", "-v0")
    return access


def query(access, sql):
    code = f"from django.db import connection as c; x = c.cursor(); x.execute({sql!r})"
    return shell(access, f"{code}; print(sorted(x.fetchall()))").strip()


@pytest.mark.parametrize("by_hand", [True, False])
def test_uninstalling_leaves_no_trace_and_a_working_application(access, by_hand):
    assert "auditrepr_repr_trigrams" in query(access, TRACES[connection.vendor])
    if by_hand:
        manage(access, "audit_triggers", "remove")
        assert "auditrepr_repr_trigrams" not in query(access, TRACES[connection.vendor])
    manage(access, "migrate", "auditrepr", "zero", "-v0")
    assert query(access, TRACES[connection.vendor]) == "[]"
    applied = "SELECT name FROM django_migrations WHERE app = 'auditrepr'"
    assert query(access, applied) == "[]"
    shell(access, WRITE)
    assert query(access, "SELECT count(*) FROM suite_shelf") == "[(2,)]"


def test_it_can_be_installed_again(access):
    manage(access, "migrate", "auditrepr", "zero", "-v0")
    manage(access, "migrate", "-v0")
    shell(access, WRITE)
    assert shell(access, EVENTS).count("'U'") == 1


def copy(source, target, tmp_path):
    """Dump the one database and restore it into the other, with the database's own programs."""
    if connection.vendor == "sqlite":
        if not shutil.which("sqlite3"):
            could_not_try("a dump", "no sqlite3 is installed")
        dump = subprocess.run(["sqlite3", source["NAME"], ".dump"], check=True, capture_output=True)
        subprocess.run(["sqlite3", "-bail", target["NAME"]], input=dump.stdout, check=True)
        return
    binaries = postgres_binaries()
    if not (binaries / "pg_restore").exists():
        could_not_try("a dump", "no pg_dump is installed")
    settings = connection.settings_dict
    named = {"-U": settings["USER"], "-h": settings["HOST"], "-p": settings["PORT"]}
    server = [part for item in named.items() if item[1] for part in item]
    file = str(tmp_path / "dump")
    for program, *arguments in (
        ["pg_dump", "-Fc", "-f", file, source["NAME"]],
        ["pg_restore", "--exit-on-error", "-d", target["NAME"], file],
    ):
        subprocess.run([binaries / program, *server, *arguments], check=True)


def test_a_dump_that_is_restored_elsewhere_holds_the_same_log_and_goes_on(
    access, databases, tmp_path
):
    restored = databases("restored")
    copy(access, restored, tmp_path)
    before = shell(access, EVENTS)
    assert shell(restored, EVENTS) == before
    covered = "SELECT table_name, since_event, reason FROM auditrepr_coverage ORDER BY table_name"
    assert "triggers are OK" in manage(restored, "audit_triggers", "check")
    assert query(restored, covered) == query(access, covered)
    shell(restored, WRITE)
    after = shell(restored, EVENTS)
    assert after.startswith(before.strip())
    # One more row, and an update of both that changes only the new one.
    assert after.count("(") == before.count("(") + 2
    manage(restored, "backfill_reprs", "-v0")
    stored = "SELECT count(*), min(fidelity), max(fidelity) FROM auditrepr_instancerepr"
    assert query(restored, stored) == f"[({after.count('(')}, 'E', 'E')]"
    code = (
        "from auditrepr.capture import search_index as i;"
        " from auditrepr.readers import search as s;"
        " from auditrepr.vendors.types import Window as W"
    )
    find = "print(len(s.find('default', i.index('default'), 'low', W(), False).ids))"
    assert "anywhere=True" in shell(restored, f"{code}; print(i.index('default'))")
    assert int(shell(restored, f"{code}; {find}")) > 0


def test_a_fixture_without_the_log_is_captured_as_it_is_loaded(access, databases, tmp_path):
    file = str(tmp_path / "fixture.json")
    manage(access, "dumpdata", "--exclude", "auditrepr", "--output", file)
    loaded = databases("loaded")
    manage(loaded, "migrate", "--run-syncdb", "-v0")
    manage(loaded, "loaddata", file)
    assert shell(loaded, EVENTS).split() == ["(1,", "'I',", "'1')"]
    manage(loaded, "backfill_reprs", "-v0")
    stored = "SELECT instance_repr, fidelity FROM auditrepr_instancerepr"
    assert query(loaded, stored) == "[('Low', 'E')]"


@pytest.mark.postgresql
def test_a_session_in_the_role_of_a_replica_writes_no_event(access):
    """Which takes a superuser, or one who was granted the right to set it."""
    before = shell(access, EVENTS)
    shell(
        access,
        "from django.db import connection as c;"
        " c.cursor().execute('SET session_replication_role = replica');" + WRITE,
    )
    assert shell(access, EVENTS) == before
    assert "triggers are OK" in manage(access, "audit_triggers", "check")


@pytest.mark.postgresql
def test_what_logical_replication_applies_is_in_no_log_of_the_subscriber(tmp_path):
    """Neither the rows of an audited table that arrive, nor anything else; the log can be sent."""
    from tests.servers import PostgresServer

    server = PostgresServer(options="-c wal_level=logical -c fsync=off")
    try:
        here = {"HOST": str(server.folder), "PORT": "", "USER": "postgres", "PASSWORD": ""}
        administer(here, "CREATE DATABASE publisher", "CREATE DATABASE subscriber")
        publisher, subscriber = here | {"NAME": "publisher"}, here | {"NAME": "subscriber"}
        for access in (publisher, subscriber):
            manage(access, "migrate", "--run-syncdb", "-v0")
        administer(
            publisher,
            "CREATE PUBLICATION shelves FOR TABLE suite_shelf",
            "SELECT pg_create_logical_replication_slot('shelves', 'pgoutput')",
        )
        administer(
            subscriber,
            f"CREATE SUBSCRIPTION shelves CONNECTION 'host={server.folder} user=postgres"
            " dbname=publisher' PUBLICATION shelves WITH (create_slot = false)",
        )
        shell(publisher, WRITE)
        arrived = "SELECT count(*) FROM suite_shelf WHERE name = 'Low'"
        for _ in range(60):
            if query(subscriber, arrived) == "[(1,)]":
                break
        assert query(subscriber, arrived) == "[(1,)]"
        assert shell(subscriber, EVENTS).strip() == ""
        assert shell(publisher, EVENTS).count("(") == 2
    finally:
        server.close()


def administer(access, *statements):
    import psycopg

    parameters = {"host": access["HOST"], "user": access["USER"]}
    with psycopg.connect(
        **parameters, dbname=access.get("NAME", "postgres"), autocommit=True
    ) as session:
        for statement in statements:
            session.execute(statement)
