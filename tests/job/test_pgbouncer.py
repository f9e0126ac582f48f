"""Tests PgBouncer in transaction mode: clients share a server session, but no context."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction

import auditrepr
from auditrepr.models import AuditLog, InstanceRepr, Lease, SealEntry
from auditrepr.vendors import get_vendor
from tests import processes
from tests.app.models import Author, Tag
from tests.pgbouncer_server import PORT, bouncing

pytestmark = [pytest.mark.proof, pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def bouncer() -> Iterator[Path]:
    """The folder of PgBouncer's socket; it has one session for all of its clients."""
    with bouncing(sessions=1) as folder:
        yield folder


@pytest.fixture
def clients(bouncer):
    """The ORM's connection, and that of another client, both through PgBouncer."""
    direct = connections["default"]
    through = []
    for name in ("ours", "theirs"):
        client = direct.copy()
        client.settings_dict |= {"HOST": str(bouncer), "PORT": PORT}
        client.settings_dict["OPTIONS"] = {"application_name": name}
        through.append(client)
    connections["default"] = through[0]
    try:
        yield through
    finally:
        connections["default"] = direct
        for client in through:
            client.close()


def session(client) -> int:
    with client.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() FROM pg_class LIMIT 1")
        return cursor.fetchone()[0]


def test_clients_of_one_session_do_not_get_each_others_context(clients):
    ours, theirs = clients

    def interfere(label):
        # Without the wrappers, as any program does it.
        theirs.ensure_connection()
        theirs.connection.execute("INSERT INTO app_tag (label) VALUES (%s)", [label])

    with auditrepr.context(reason="ours"):
        Tag.objects.create(label="1")
        interfere("2")
        with transaction.atomic():
            Tag.objects.create(label="3")
            Author.objects.bulk_create([Author(name="4"), Author(name="5")])
        interfere("6")
        with ours.cursor() as cursor:
            cursor.executemany("INSERT INTO app_tag (label) VALUES (%s)", [["7"], ["8"]])
        interfere("9")
    Tag.objects.create(label="10")
    assert session(ours) == session(theirs)
    found = AuditLog.objects.order_by("pk").values_list("context", "writer")
    told, untold = ({"reason": "ours"}, None), (None, "postgres (theirs)")
    ours_untold = (None, "postgres (ours)")
    assert list(found) == [
        told, untold, told, told, told, untold, told, told, untold, ours_untold,
    ]  # fmt: skip


def test_a_statement_that_fails_leaves_nothing_to_the_next_client(clients):
    ours, theirs = clients
    Tag.objects.create(label="x")
    with auditrepr.context(reason="fails"), pytest.raises(Exception, match=r"duplicate key"):
        Tag.objects.create(label="x")
    with theirs.cursor() as cursor:
        cursor.execute("INSERT INTO app_tag (label) VALUES ('y')")
        cursor.execute("SELECT current_setting('auditrepr.context', true) FROM app_tag")
        assert not any(value for (value,) in cursor)
    assert session(ours) == session(theirs)
    assert AuditLog.objects.latest("pk").context is None


def test_the_job_works_and_leaves_nothing_to_the_next_client(clients):
    ours, theirs = clients
    AuditLog.objects.all().delete()
    Author.objects.bulk_create(Author(name=name) for name in "abc")
    call_command("backfill_reprs", batch_size=2, verbosity=0)
    stored = InstanceRepr.objects.order_by("pk").values_list("instance_repr", flat=True)
    assert list(stored) == ["a", "b", "c"]
    assert session(ours) == session(theirs)
    assert Lease.objects.get().token is None
    with theirs.cursor() as cursor:
        for name in ("transaction_read_only", "statement_timeout",
                     "idle_in_transaction_session_timeout"):  # fmt: skip
            cursor.execute("SELECT current_setting(%s)", [name])
            assert cursor.fetchone()[0] in ("0", "off"), name


@pytest.fixture
def through(bouncer) -> dict[str, str]:
    """What a process needs to reach the database by way of PgBouncer."""
    user = connection.settings_dict["USER"]
    AuditLog.objects.all().delete()
    Author.objects.bulk_create(Author(name=name) for name in "abcde")
    return {"TEST_POSTGRES_URL": f"postgres://{user}@/auditrepr?host={bouncer}&port={PORT}"}


def texts() -> str:
    return "".join(InstanceRepr.objects.order_by("pk").values_list("instance_repr", flat=True))


def test_of_two_jobs_one_works_and_one_that_was_killed_is_replaced_at_once(through, bouncer):
    with processes.start_in_steps(env=through) as job:
        assert job.stdout.readline() == "2\n"
        other = processes.run("backfill_reprs", "--fail-if-locked", env=through)
        assert (other.returncode, texts()) == (75, "ab")
        job.kill()
        job.communicate()
    last = processes.run("backfill_reprs", env=through)
    assert (last.returncode, last.stderr, texts()) == (0, "", "abcde")
    assert (bouncer / "log").read_text().count("login attempt") >= 3, "all of them came this way"


def test_a_job_that_stopped_past_its_lease_commits_nothing(through):
    with processes.start_in_steps(env=through) as job:
        assert job.stdout.readline() == "2\n"
        job.send_signal(signal.SIGSTOP)
        Lease.objects.update(expires_at=get_vendor("default").clock(-1))
        other = processes.run("backfill_reprs", env=through)
        assert (other.returncode, other.stderr, texts()) == (0, "", "abcde")
        job.send_signal(signal.SIGCONT)
        output, errors = job.communicate("\n" * 5, timeout=60)
    assert output.splitlines()[-1].startswith("lease-lost 2 "), errors
    assert texts() == "abcde"


def test_sealing_pruning_and_verifying_leave_nothing_to_the_next_client(clients, settings):
    settings.AUDITREPR = {"SEAL": True}
    _, theirs = clients
    Author.objects.bulk_create(Author(name=f"{n}") for n in range(9))
    call_command("backfill_reprs", verbosity=0)
    call_command("verify_audit_log", verbosity=0)
    middle = AuditLog.objects.order_by("pk")[4].occurred_at
    call_command("prune_audit_log", before=middle, interactive=False, verbosity=0)
    call_command("verify_audit_log", verbosity=0)
    assert SealEntry.objects.exists()
    with theirs.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("off",)
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("read committed",)
