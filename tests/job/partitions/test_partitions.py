"""Tests a log in partitions: made of one that exists, and ahead of events, while others write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection, transaction

from auditrepr.capture import append_only
from auditrepr.exceptions import LogBusy, NotPartitionable
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.partitions import making, state
from auditrepr.job.partitions.patience import patiently
from auditrepr.models import AuditLog, Checkpoint, InstanceRepr, ReprFailure
from auditrepr.vendors import Vendor, get_vendor
from auditrepr.vendors.base.partitions import LogPartition
from auditrepr.vendors.postgresql import partitions as postgresql
from tests.app.models import Author
from tests.processes import start_python
from tests.sizes import PARTITIONED
from tests.waiting import wait_until
from tests.writers import Writer, writers

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(PARTITIONED, reason="the log is partitioned already"),
]

SIZE = 50
WRITE = """
import itertools, os, random
from django.db import transaction
author = Author.objects.create(name="new")
print("begun", flush=True)
numbers = itertools.count(1)
while not os.path.exists(os.environ["STOP"]):
    with transaction.atomic():
        for _ in range(random.randint(1, 3)):
            author.name = str(number := next(numbers))
            author.save()
print(number, flush=True)
"""


@pytest.fixture
def vendor() -> Vendor:
    return get_vendor("default")


def partition(size: int = SIZE, wait: float = 20) -> making.Partitioned:
    lock = DatabaseLock("default")
    return making.partition("default", size=size, lock=lock, wait=wait)


def skip_to(event: int) -> None:
    """Let the next event have this ID."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('auditrepr_auditlog_id_seq', %s)", [event - 1])


def where() -> dict[str, int]:
    """The number of events in each partition that has some."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text, count(*) FROM auditrepr_auditlog GROUP BY 1"
        )
        return dict(cursor.fetchall())


@contextmanager
def writing(count: int, stop: Path) -> Iterator[list[int]]:
    """This many processes write all the time; the numbers of their events, at the end."""
    found: list[int] = []
    processes = [start_python(WRITE, env={"STOP": str(stop)}) for _ in range(count)]
    try:
        assert [process.stdout.readline() for process in processes] == ["begun\n"] * count
        yield found
        stop.touch()
        for process in processes:
            output, errors = process.communicate(timeout=60)
            assert (errors, process.returncode) == ("", 0)
            found.append(int(output))
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.proof
def test_a_log_that_exists_becomes_the_first_partition():
    Author.objects.create(name="Ann")
    call_command("backfill_reprs", verbosity=0)
    before = list(AuditLog.objects.with_reprs().values_list())
    first = before[0][0]
    done = partition()
    assert list(AuditLog.objects.with_reprs().values_list()) == before
    assert done.adopted
    assert 0 < (done.closed_at or 0) - first <= SIZE
    names = [one.name.removeprefix("auditrepr_auditlog_") for one in done.partitions]
    assert names == ["p0", "p1", "p2", "p3", "rest"]
    assert [one.upper for one in done.partitions[:-1]] == [
        done.closed_at + n * SIZE for n in range(4)
    ]
    Author.objects.create(name="Bob")
    assert AuditLog.objects.latest("pk").pk == first + 1
    call_command("backfill_reprs", verbosity=0)
    texts = InstanceRepr.objects.order_by("pk").values_list("instance_repr", flat=True)
    assert list(texts) == ["Ann", "Bob"]


@pytest.mark.proof
def test_no_event_is_lost_while_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(postgresql, "LARGE", 1)  # as a log that takes long to read
    monkeypatch.setattr(making, "MARGIN", 10_000)
    with writing(3, tmp_path / "stop") as written:
        done = partition(size=1_000)
        assert done.adopted
        seen = AuditLog.objects.latest("pk").pk
        wait_until(lambda: AuditLog.objects.filter(pk__gt=seen + 30).exists())  # they go on
        call_command("backfill_reprs", verbosity=0)
        # They come into the open partition, which is closed while they do.
        skip_to(done.partitions[-1].lower + 500)
        wait_until(lambda: "auditrepr_auditlog_rest" in where())
        again = making.keep_ahead("default")
        assert again is not None
        assert again.closed_at
    events = AuditLog.objects.filter(table_name="app_author")
    assert events.filter(action="I").count() == 3
    assert events.filter(action="U").count() == sum(written)
    assert "auditrepr_auditlog_rest" not in where()
    assert len(where()) > 2
    call_command("backfill_reprs", verbosity=0)
    assert InstanceRepr.objects.count() == AuditLog.objects.count() == sum(written) + 3
    assert Checkpoint.objects.get().settled_id == AuditLog.objects.latest("pk").pk


CATALOG = """
SELECT 'table', relrowsecurity || ' ' || relforcerowsecurity || ' ' || pg_get_userbyid(relowner)
    || ' ' || coalesce(obj_description(oid), '') || ' ' || coalesce((
        SELECT string_agg(acl::text, ' ') FROM aclexplode(relacl) AS acl
        WHERE acl.grantee <> relowner
    ), '')
FROM pg_class WHERE oid = %(table)s::regclass
UNION ALL SELECT attname, concat(format_type(atttypid, atttypmod), attnotnull, attidentity,
    pg_get_expr(adbin, adrelid), attacl, col_description(attrelid, attnum))
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = %(table)s::regclass AND attnum > 0
UNION ALL SELECT 'trigger', concat(pg_get_triggerdef(oid), tgenabled) FROM pg_trigger
WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal
UNION ALL SELECT policyname, concat(permissive, roles, cmd, qual, with_check) FROM pg_policies
WHERE tablename = %(table)s
UNION ALL SELECT 'index', replace(pg_get_indexdef(indexrelid), ' ONLY ', ' ') || indisprimary
FROM pg_index WHERE indrelid = %(table)s::regclass
UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = %(table)s::regclass
UNION ALL SELECT 'sequence', concat(pg_sequence, pg_sequence_last_value(seqrelid),
    (SELECT string_agg(acl::text, ' ') FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = seqrelid AND acl.grantee <> relowner))
FROM pg_sequence WHERE seqrelid = to_regclass(pg_get_serial_sequence(%(table)s, 'id'))
ORDER BY 1, 2
"""


def on_table(name: str) -> list[tuple[str, str]]:
    """What the catalog has of a table, but for OIDs."""
    known = "id" if name.endswith("auditlog") else "audit_log_id"
    with connection.cursor() as cursor:
        cursor.execute(CATALOG.replace("'id'", f"'{known}'"), {"table": name})
        return [
            (kind, text.partition(",")[2] if kind == "sequence" else text)
            for kind, text in cursor.fetchall()
        ]


def test_what_is_on_the_tables_is_on_the_partitioned_ones(vendor: Vendor):
    append_only.install("default")
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE auditrepr_curious")
        try:
            cursor.execute(
                "GRANT SELECT ON auditrepr_auditlog TO auditrepr_curious WITH GRANT OPTION;"
                "GRANT UPDATE (message) ON auditrepr_reprfailure TO auditrepr_curious;"
                "GRANT SELECT ON SEQUENCE auditrepr_auditlog_id_seq TO auditrepr_curious;"
                "GRANT SELECT ON auditrepr_instancerepr TO PUBLIC;"
                "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO auditrepr_curious;"
                "COMMENT ON TABLE auditrepr_auditlog IS 'what''s past';"
                "COMMENT ON COLUMN auditrepr_auditlog.actor IS 'who';"
                "CREATE POLICY part ON auditrepr_auditlog FOR SELECT TO auditrepr_curious"
                "  USING (table_name <> 'x');"
                "ALTER TABLE auditrepr_auditlog ENABLE ROW LEVEL SECURITY;"
                "ALTER TABLE auditrepr_auditlog SET (autovacuum_vacuum_scale_factor = 0.01);"
                "CREATE INDEX own ON auditrepr_auditlog (lower(writer)) WHERE writer IS NOT NULL"
            )
            Author.objects.create(name="Ann")
            tables = [model._meta.db_table for model in (AuditLog, InstanceRepr, ReprFailure)]
            before = {name: on_table(name) for name in tables}
            partition()
            for name, found in before.items():
                assert on_table(name) == found
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
                " AND EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee <> relowner)"
            )
            assert cursor.fetchall() == []  # nobody has rights on a partition
            cursor.execute(
                "SELECT count(*) FROM pg_class WHERE relname LIKE 'auditrepr_auditlog_p%%'"
                " AND relkind = 'r' AND reloptions = '{autovacuum_vacuum_scale_factor=0.01}'"
            )
            assert cursor.fetchone() == (4,)
        finally:
            cursor.execute("DROP OWNED BY auditrepr_curious; DROP ROLE auditrepr_curious")


def test_no_partition_can_be_changed_in_an_append_only_log():
    append_only.install("default")
    Author.objects.create(name="Ann")
    partition()
    with connection.cursor() as cursor:
        for statement in (
            "TRUNCATE auditrepr_auditlog_p0",
            "TRUNCATE auditrepr_auditlog_p2",
            "TRUNCATE auditrepr_auditlog",
            "DELETE FROM auditrepr_auditlog_p0",
            "UPDATE auditrepr_auditlog SET object_id = ''",
        ):
            with pytest.raises(Exception, match="append-only"):
                cursor.execute(statement)
        vendor = get_vendor("default")
        assert vendor.append_only()
        cursor.execute("ALTER TABLE auditrepr_auditlog_p2 DISABLE TRIGGER USER")
        assert not vendor.append_only()
        append_only.install("default")
        assert vendor.append_only()


@pytest.mark.proof
def test_events_after_the_last_partition_are_kept_and_get_one(vendor: Vendor):
    done = partition()
    skip_to(done.partitions[-1].lower + 7)
    Author.objects.create(name="Ann")
    assert where() == {"auditrepr_auditlog_rest": 1}
    assert [one.kind for one in state.findings("default")] == [state.FEW_AHEAD]
    making.make_ahead("default")  # as the job, which may not close it
    assert where() == {"auditrepr_auditlog_rest": 1}
    call_command("migrate", verbosity=0)
    assert where() == {"auditrepr_auditlog_p4": 1}
    assert list(state.findings("default")) == []
    _check_bounds(vendor.log_partitions())


@pytest.mark.proof
def test_the_job_makes_partitions_ahead(vendor: Vendor):
    done = partition()
    skip_to(done.partitions[2].lower)
    Author.objects.create(name="Ann")
    assert state.of("default") == state.PartitionState(5, 1)
    call_command("backfill_reprs", verbosity=0)
    found = vendor.log_partitions()
    assert state.of("default") == state.PartitionState(7, 3)
    _check_bounds(found)
    skip_to(found[-1].lower + 10 * SIZE)  # a jump over the open one
    call_command("backfill_reprs", verbosity=0)
    assert vendor.log_partitions() == found, "nothing was to do"
    making.make_ahead("default")
    assert state.of("default") == state.PartitionState(11, 3)
    _check_bounds(vendor.log_partitions())


def _check_bounds(found: list[LogPartition]) -> None:
    """There is no hole, and the other tables have the same."""
    assert (found[0].lower, found[-1].upper) == (None, None)
    assert [one.upper for one in found[:-1]] == [one.lower for one in found[1:]]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhparent::regclass::text, array_agg(pg_get_expr(relpartbound, oid) ORDER BY 1)"
            " FROM pg_inherits JOIN pg_class ON oid = inhrelid"
            " WHERE inhparent::regclass::text LIKE 'auditrepr%%' AND relkind = 'r' GROUP BY 1"
        )
        bounds = dict(cursor.fetchall())
    assert len(bounds) == 3
    assert len({tuple(sorted(one)) for one in bounds.values()}) == 1


@pytest.mark.proof
def test_it_gives_up_behind_a_long_transaction_and_leaves_nothing(vendor: Vendor):
    with writers(1, [Author]) as (other,):
        other.begin()
        other.sql("INSERT INTO app_author (name) VALUES ('Ann')")
        with pytest.raises(LogBusy):
            partition(wait=0)
        assert vendor.log_partitions() == []
        other.commit()
    assert partition().adopted


@pytest.mark.proof
def test_a_vacuum_is_waited_for_a_little_longer(vendor: Vendor):
    asked: list[str] = []

    def noted(execute: Any, sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE auditrepr_auditlog IN SHARE UPDATE EXCLUSIVE MODE")
        with connection.execute_wrapper(noted), pytest.raises(OperationalError):
            vendor.adopt_as_partition()
    assert "SET LOCAL lock_timeout = '1500ms'" in asked


def test_two_at_once_make_what_is_missing_once(vendor: Vendor):
    done = partition()
    skip_to(done.partitions[2].lower)
    with writers(2, []) as both:
        made = [writer.start(patiently, "default", vendor.make_partitions, 30) for writer in both]
        assert sorted(one.result(timeout=30).made for one in made) == [0, 6]
    _check_bounds(vendor.log_partitions())


def test_closing_that_fails_lets_events_go_on(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "LARGE", 1)
    Author.objects.create(name="Ann")

    def fail(close_at: int | None = None) -> object:
        if close_at is None:
            return made(None)
        assert vendor.bounded_at() == close_at
        raise OperationalError("no space left on device")

    made = vendor.make_partitions
    with monkeypatch.context() as patch:
        patch.setattr(vendor, "make_partitions", fail)
        with pytest.raises(LogBusy if vendor.passes(OperationalError()) else OperationalError):
            partition(wait=0)
    assert vendor.bounded_at() is None


@pytest.mark.proof
def test_what_a_killed_process_has_left_is_reported_and_removed(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
):
    done = partition()
    vendor.bound_open_partition(done.partitions[-1].lower + 10)
    found = list(state.findings("default"))
    assert [one.kind for one in found] == [state.BOUNDED]
    assert f"from event {done.partitions[-1].lower + 10} on, writes" in str(found[0])
    call_command("migrate", verbosity=0)
    assert list(state.findings("default")) == []


@pytest.mark.proof
def test_events_of_a_large_open_partition_jump_behind_it(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postgresql, "LARGE", 1)
    monkeypatch.setattr(making, "MARGIN", 1_000)
    Author.objects.create(name="Ann")
    done = partition()
    assert done.closed_at is not None
    assert done.closed_at > AuditLog.objects.get().pk + 1_000
    Author.objects.create(name="Bob")
    assert AuditLog.objects.latest("pk").pk == done.closed_at
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditLog.objects.create(id=done.closed_at, table_name="x", action="T")
    call_command("backfill_reprs", verbosity=0)
    assert Checkpoint.objects.get().settled_id == done.closed_at


@pytest.mark.parametrize(
    ("make", "drop", "named"),
    [
        (
            "CREATE TABLE note (event bigint REFERENCES auditrepr_auditlog)",
            "DROP TABLE note",
            "foreign key note_event_fkey of note",
        ),
        (
            "CREATE VIEW seen AS SELECT id FROM auditrepr_auditlog",
            "DROP VIEW seen",
            "view seen",
        ),
        (
            "CREATE UNIQUE INDEX once ON auditrepr_instancerepr (instance_repr)",
            "DROP INDEX once",
            "unique index once",
        ),
        (
            "CREATE PUBLICATION told FOR TABLE auditrepr_auditlog",
            "DROP PUBLICATION told",
            "publication told",
        ),
        (
            "CREATE PUBLICATION told FOR TABLE auditrepr_reprfailure"
            " WITH (publish_via_partition_root)",
            "DROP PUBLICATION told",
            "auditrepr_reprfailure: publication told",
        ),
        (
            "CREATE PUBLICATION every FOR ALL TABLES",
            "DROP PUBLICATION every",
            "publication every without publish_via_partition_root",
        ),
        (
            "CREATE PUBLICATION every FOR TABLES IN SCHEMA public",
            "ALTER PUBLICATION every SET (publish_via_partition_root)",
            "publication every without publish_via_partition_root",
        ),
    ],
)
def test_what_would_see_only_the_first_partition_is_named(make: str, drop: str, named: str):
    with connection.cursor() as cursor:
        cursor.execute(make)
        with pytest.raises(NotPartitionable, match=named):
            partition()
        cursor.execute(drop)
        cursor.execute("CREATE SCHEMA elsewhere")
        cursor.execute("CREATE PUBLICATION other FOR TABLES IN SCHEMA elsewhere")
        try:
            assert partition().adopted
        finally:
            cursor.execute("DROP PUBLICATION IF EXISTS every, other")
            cursor.execute("DROP SCHEMA elsewhere")


@pytest.mark.proof
def test_indexes_whose_names_are_long_or_taken_are_no_obstacle(vendor: Vendor):
    long = "i" * 61
    names = [f"{long}a", f"{long}b", "ä" * 31, "short", "short_p0"]
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE INDEX {name} ON auditrepr_auditlog (writer)")
    assert partition().adopted
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE indrelid = 'auditrepr_auditlog'::regclass AND relname = ANY(%s)",
            [names],
        )
        assert {name for (name,) in cursor.fetchall()} == set(names)


@pytest.fixture
def tablespaces() -> Iterator[None]:
    """The log is in one tablespace, and one of its indexes in another."""
    with connection.cursor() as cursor:
        cursor.execute("SET allow_in_place_tablespaces = on")
        cursor.execute("CREATE TABLESPACE big LOCATION ''")
        cursor.execute("CREATE TABLESPACE fast LOCATION ''")
        cursor.execute("ALTER TABLE auditrepr_auditlog SET TABLESPACE big")
        cursor.execute("CREATE INDEX quick ON auditrepr_auditlog (writer) TABLESPACE fast")
        yield
        for space, kind in (("big", "TABLE"), ("fast", "INDEX")):
            cursor.execute(f"ALTER {kind} ALL IN TABLESPACE {space} SET TABLESPACE pg_default")
        cursor.execute("DROP TABLESPACE big")
        cursor.execute("DROP TABLESPACE fast")


@pytest.mark.proof
def test_partitions_and_their_indexes_are_where_those_of_the_log_are(tablespaces: None):
    partition()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT space.spcname, own.spcname, count(*) FROM pg_inherits"
            " JOIN pg_class AS part ON part.oid = inhrelid JOIN pg_index ON indrelid = part.oid"
            " JOIN pg_class AS index ON index.oid = indexrelid"
            " LEFT JOIN pg_tablespace AS space ON space.oid = part.reltablespace"
            " LEFT JOIN pg_tablespace AS own ON own.oid = index.reltablespace"
            " WHERE inhparent = 'auditrepr_auditlog'::regclass"
            " AND pg_get_indexdef(index.oid) LIKE '%(writer)' GROUP BY 1, 2"
        )
        assert cursor.fetchall() == [("big", "fast", 5)]


@pytest.mark.proof
def test_migrations_go_back_and_forth_on_a_partitioned_log():
    Author.objects.create(name="Ann")
    call_command("backfill_reprs", verbosity=0)
    partition()
    before = on_table("auditrepr_reprfailure"), on_table("auditrepr_auditlog")
    call_command("migrate", "auditrepr", "0002_findings", verbosity=0)
    call_command("migrate", "auditrepr", verbosity=0)
    assert (on_table("auditrepr_reprfailure"), on_table("auditrepr_auditlog")) == before
    Author.objects.create(name="Bob")
    call_command("backfill_reprs", verbosity=0)
    assert InstanceRepr.objects.count() == 2


@pytest.mark.proof
def test_uninstalling_leaves_no_trace():
    partition()
    call_command("migrate", "auditrepr", "zero", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname LIKE '%%auditrepr%%'"
            " UNION SELECT proname FROM pg_proc WHERE proname LIKE '%%auditrepr%%'"
        )
        assert cursor.fetchall() == []
    call_command("migrate", verbosity=0)


def test_the_writer_that_waits_for_the_switch_is_recorded(vendor: Vendor):
    """Its statement was planned with the table that has another name now."""
    with writers(2, [Author]) as (first, second):
        for writer in (first, second):
            for _ in range(7):  # until the server keeps the plan
                writer(_write)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE auditrepr_auditlog IN ACCESS EXCLUSIVE MODE")
            waiting = [_start(writer) for writer in (first, second)]
            vendor.adopt_as_partition()
        for one in waiting:
            one.result(timeout=30)
    assert AuditLog.objects.count() == 16


def _write() -> None:
    Author.objects.create(name="x")


def _start(writer: Writer) -> object:
    return writer.start(_write)
