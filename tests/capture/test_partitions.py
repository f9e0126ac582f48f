"""Tests coverage when partitions are created, attached, truncated, detached and dropped."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from auditrepr import capture
from auditrepr.capture.state import Status
from auditrepr.job.monitoring import findings
from auditrepr.models import AuditLog, Coverage, InstanceRepr
from auditrepr.reprs import build
from auditrepr.utils.time_limit import TimeLimit
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book
from tests.capturing import actions, covered_since, sql
from tests.running import run
from tests.sizes import size

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db]
#: What one transaction does to a table that it has made, the catalog tells otherwise.
committing = pytest.mark.django_db(transaction=True)

TABLE = "app_author"
YEAR = "CREATE TABLE y{0} PARTITION OF app_author FOR VALUES FROM ({0}) TO ({1})"
LIKE = "CREATE TABLE y{0} (LIKE app_author INCLUDING ALL)"
ATTACH = "ALTER TABLE app_author ATTACH PARTITION y{0} FOR VALUES FROM ({0}) TO ({1})"


@pytest.fixture(autouse=True)
def _parted() -> None:
    """Authors are partitioned by their keys; the first hundred have a partition."""
    sql(
        "DROP TABLE app_author CASCADE",
        "CREATE TABLE app_author (id bigint NOT NULL PRIMARY KEY, name varchar(100) NOT NULL)"
        " PARTITION BY RANGE (id)",
        make(0),
    )
    capture.install("default")
    AuditLog.objects.all().delete()


def make(first: int) -> str:
    return YEAR.format(first, first + 100)


def attach(first: int) -> str:
    return ATTACH.format(first, first + 100)


def status() -> Status:
    return {state.name: state.status for state in capture.inspect("default")}[TABLE]


def is_covered() -> bool:
    return TABLE in covered_since("default")


def since() -> int | None:
    return Coverage.objects.get(table_name=TABLE).since_event


def reason() -> str:
    return Coverage.objects.get(table_name=TABLE).reason


def book_of(author: int) -> Event:
    """The event of a book of this author, which need not be there."""
    book = Book.objects.create(title="t", author_id=author)
    return Event.of(AuditLog.objects.get(table_name="app_book", object_id=str(book.pk)))


def said(*events: Event) -> list[tuple[str, str]]:
    return [(str(o.text), str(o.fidelity)) for o in build(events, "default")]


# --- made as a partition: it comes empty --------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        [make(100)],
        [make(100), "ALTER TABLE y100 RENAME TO named"],
        [make(100), "ALTER TABLE y100 SET (fillfactor = 50)", "GRANT SELECT ON y100 TO PUBLIC"],
        [make(100), "ALTER TABLE y100 OWNER TO CURRENT_USER", "CREATE INDEX ON y100 (name)"],
        [make(100), "INSERT INTO app_author VALUES (150, 'x')", "ANALYZE app_author"],
        [make(100), "INSERT INTO y100 VALUES (150, 'x')", "DELETE FROM y100"],
        [make(100), "ALTER TABLE app_author ADD COLUMN more int DEFAULT 5"],
        ["CREATE TABLE rest PARTITION OF app_author DEFAULT"],
        [YEAR.format(100, 200) + " PARTITION BY RANGE (id)",
         "CREATE TABLE below PARTITION OF y100 FOR VALUES FROM (100) TO (150)",
         "CREATE TABLE deeper PARTITION OF y100 DEFAULT"],
        [LIKE.format(100), attach(100)],
        [LIKE.format(100) + " PARTITION BY RANGE (id)", attach(100),
         "CREATE TABLE below (LIKE y100)",
         "ALTER TABLE y100 ATTACH PARTITION below FOR VALUES FROM (100) TO (150)"],
    ],
)  # fmt: skip
def test_a_partition_that_comes_empty_ends_nothing(made: list[str]):
    start = since()
    for statement in made:
        with transaction.atomic():
            sql(statement)
    assert status() in (Status.UNGUARDED, Status.OUTDATED)
    assert is_covered()
    capture.note_gaps("default")
    assert (since(), is_covered()) == (start, True)
    capture.install("default")
    assert (status(), since(), is_covered()) == (Status.OK, start, True)


@committing
def test_nor_does_it_after_the_catalog_was_vacuumed():
    start = since()
    sql(make(100), "INSERT INTO y100 VALUES (150, 'x')", "DELETE FROM y100", "VACUUM y100")
    sql("VACUUM FREEZE pg_inherits", "VACUUM FREEZE pg_attribute", "VACUUM FULL pg_class")
    sql("VACUUM FULL pg_attribute", "VACUUM FULL pg_inherits")
    assert is_covered()
    sql("DROP TABLE y100", "CREATE TABLE full_one (LIKE app_author)")
    sql("INSERT INTO full_one VALUES (150, 'x')", "DELETE FROM full_one", "VACUUM full_one")
    assert sql("SELECT pg_relation_size('full_one')") == [(0,)]
    sql("ALTER TABLE app_author ATTACH PARTITION full_one FOR VALUES FROM (100) TO (200)")
    assert not is_covered()
    capture.install("default")
    assert since() > start


def test_its_truncate_is_recorded_once_it_has_a_guard():
    sql(make(100))
    capture.install("default")
    sql("INSERT INTO app_author VALUES (101, 'x')", "TRUNCATE y100")
    assert actions(TABLE) == "ID"
    assert is_covered()


def test_installing_guards_touches_no_other_partition():
    sql("CREATE TABLE was AS SELECT oid AS id, xmin::text AS written FROM pg_trigger")
    sql(make(100))
    capture.install("default")
    left = "(SELECT oid, xmin::text FROM pg_trigger)"
    assert sql(f"SELECT count(*) FROM was WHERE (id, written) NOT IN {left}") == [(0,)]


# --- emptied, attached, detached, dropped --------------------------------------------------------


@pytest.mark.proof
@committing
def test_one_that_is_emptied_before_it_has_a_guard_ends_coverage():
    sql(make(100), "INSERT INTO app_author VALUES (101, 'x')")
    event = book_of(101)
    assert said(event) == [("t (x)", "E")]
    sql("TRUNCATE y100")
    after = book_of(101)
    assert [fidelity for _, fidelity in said(event, after)] == ["M", "M"]
    capture.note_gaps("default")
    assert (since(), reason()) == (None, Coverage.Reason.PARTITIONS)
    capture.install("default")
    assert is_covered()
    # From where coverage began again, it is certain that the row is gone.
    (outcome,) = build([book_of(101)], "default")
    assert outcome.failure is not None
    assert outcome.failure.final
    sql("INSERT INTO app_author VALUES (102, 'y')")
    assert said(book_of(102)) == [("t (y)", "E")]


FILLED = ["CREATE TABLE y100 (LIKE app_author INCLUDING ALL)", "INSERT INTO y100 VALUES (101, 'x')"]
TAKEN = {
    "attached": [*FILLED, attach(100)],
    "attached, and emptied before": [*FILLED, "TRUNCATE y100", "INSERT INTO y100 VALUES (101, 'x')",
                                     attach(100)],
    "attached with what is below it": [
        "CREATE TABLE y100 (LIKE app_author) PARTITION BY RANGE (id)",
        "CREATE TABLE below PARTITION OF y100 FOR VALUES FROM (100) TO (200)",
        "INSERT INTO below VALUES (101, 'x')", attach(100)],
    "attached below another": [
        YEAR.format(100, 200) + " PARTITION BY RANGE (id)",
        "CREATE TABLE below (LIKE app_author)", "INSERT INTO below VALUES (101, 'x')",
        "ALTER TABLE y100 ATTACH PARTITION below FOR VALUES FROM (100) TO (200)"],
    "detached": ["ALTER TABLE app_author DETACH PARTITION y0"],
    "detached and attached": ["ALTER TABLE app_author DETACH PARTITION y0", attach(0)],
    "dropped": ["DROP TABLE y0"],
    "dropped and made again": ["DROP TABLE y0", make(0)],
    "out of order for a while": ["ALTER TABLE y0 DISABLE TRIGGER ALL",
                                 "ALTER TABLE y0 ENABLE TRIGGER ALL"],
}  # fmt: skip


@pytest.mark.parametrize("changes", TAKEN.values(), ids=TAKEN)
def test_one_that_brings_or_takes_rows_ends_coverage_up_to_then(changes: list[str]):
    start = since()
    for statement in changes:
        with transaction.atomic():
            sql(statement)
    assert not is_covered()
    sql("SELECT nextval(pg_get_serial_sequence('auditrepr_auditlog', 'id'))")
    capture.install("default")
    assert is_covered()
    assert (since() > start, reason()) == (True, Coverage.Reason.PARTITIONS)


def test_one_that_is_made_filled_and_attached_in_one_transaction_brings_rows_too():
    with transaction.atomic():
        sql(*FILLED, attach(100))
    assert not is_covered()


@pytest.mark.proof
@committing
@pytest.mark.parametrize("change", [[*FILLED, attach(100)], ["DROP TABLE y0"]])
def test_nothing_is_built_exact_from_then_to_its_discovery(change: list[str]):
    Author.objects.create(pk=1, name="x")
    event = book_of(1)
    assert said(event) == [("t (x)", "E")]
    sql(*change)
    assert said(event) == [("t (x)", "M")]
    capture.install("default")
    assert said(event) == [("t (x)", "M")]
    sql(make(200))
    Author.objects.create(pk=201, name="y")
    assert said(book_of(201)) == [("t (y)", "E")]


@committing
def test_what_brings_or_takes_rows_may_do_so_concurrently():
    sql("ALTER TABLE app_author DETACH PARTITION y0 CONCURRENTLY")
    assert not is_covered()
    capture.install("default")
    assert is_covered()


def test_the_check_notices_it_too():
    sql("DROP TABLE y0")
    start = since()
    capture.note_gaps("default")
    assert is_covered()
    assert (since() >= start, reason()) == (True, Coverage.Reason.PARTITIONS)


@pytest.mark.proof
@committing
def test_a_detach_that_waits_for_its_end_counts_at_once():
    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT count(*) FROM app_author")
            sql("SET lock_timeout = '100ms'")
            with pytest.raises(Exception, match="lock timeout"):
                sql("ALTER TABLE app_author DETACH PARTITION y0 CONCURRENTLY")
        assert sql("SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'y0'::regclass") == [
            (True,)
        ]
        assert not is_covered()
    finally:
        sql("RESET lock_timeout")
        other.close()


@pytest.mark.sized
@committing
def test_a_table_whose_partitions_come_and_go_for_years_keeps_what_it_can_promise():
    """A partition a month, kept for three months; whoever drops one installs the guards."""
    months = size(quick=6, full=36)
    for month in range(1, months + 1):
        first, start = 100 * month, since()
        sql(make(first))
        Author.objects.create(pk=first, name=f"in {month}")
        event = book_of(first)
        assert said(event) == [(f"t (in {month})", "E")]
        assert since() == start  # it came empty
        if month > 3:
            sql(f"DROP TABLE y{first - 300}")
            assert not is_covered()
            capture.install("default")
            assert since() >= event.id
        else:
            capture.install("default")
    assert sql("SELECT count(*) FROM pg_partition_tree('app_author')") == [(5,)]
    # From where coverage began again, what was not changed since is certain.
    text = f"t (in {months})"
    assert said(event, book_of(first)) == [(text, "M"), (text, "E")]
    Author.objects.filter(pk=first).update(name="again")
    assert said(book_of(first)) == [("t (again)", "E")]


# --- what comes and goes between two installations -----------------------------------------------


BETWEEN = {
    "attached with rows": ([*FILLED, attach(100)], "ALTER TABLE app_author DETACH PARTITION y100"),
    "made and filled": ([make(100), "INSERT INTO app_author VALUES (101, 'x')"], "DROP TABLE y100"),
    "attached again": (
        [make(100), "INSERT INTO y100 VALUES (101, 'x')"],
        f"ALTER TABLE app_author DETACH PARTITION y100; {attach(100)}",
    ),
}


@pytest.mark.proof
@committing
@pytest.mark.parametrize(("comes", "goes"), BETWEEN.values(), ids=BETWEEN)
def test_what_a_run_has_seen_is_missed_when_it_is_gone(comes: list[str], goes: str):
    sql(*comes)
    event = book_of(101)
    assert run().batches == 1
    sql(goes)
    assert not is_covered()
    (outcome,) = build([event], "default")
    # Its author is not there: it would be final if that were known.
    not_known = not outcome.failure.final if outcome.failure else bool(outcome.reason)
    assert not_known, outcome
    run_on_an_event()  # a run that sees less forgets nothing
    assert not is_covered()
    capture.install("default")
    assert is_covered()
    assert reason() == Coverage.Reason.PARTITIONS
    run_on_an_event()
    assert is_covered()


def run_on_an_event() -> None:
    """A run notes what it has seen together with what it stores."""
    book_of(101)
    assert run().batches == 1


@pytest.mark.proof
@committing
def test_the_only_partition_is_missed_likewise_while_other_tables_have_some():
    sql("DROP TABLE y0", "DROP TABLE app_tag CASCADE")
    sql("CREATE TABLE app_tag (id bigint PRIMARY KEY, label varchar(50)) PARTITION BY RANGE (id)")
    sql("CREATE TABLE tags PARTITION OF app_tag DEFAULT")
    capture.install("default")
    sql(make(100), "INSERT INTO app_author VALUES (101, 'x')")
    run_on_an_event()
    sql("DROP TABLE y100")
    assert not is_covered()
    run_on_an_event()
    assert not is_covered()


@pytest.mark.proof
@committing
def test_a_table_without_coverage_has_no_sightings():
    Coverage.objects.filter(table_name=TABLE).delete()
    run_on_an_event()
    assert not is_covered()
    capture.install("default")
    assert is_covered()


@pytest.mark.proof
@committing
def test_one_that_was_away_is_missed_also_where_coverage_knows_no_partitions():
    """That of an earlier version: it takes the partitions that have a guard for its own."""
    Author.objects.create(pk=1, name="x")
    sql("UPDATE auditrepr_coverage SET triggers = split_part(triggers, E'\\n', 1)")
    run_on_an_event()
    sql("ALTER TABLE app_author DETACH PARTITION y0", "DELETE FROM y0")
    sql(attach(0))
    assert actions(TABLE) == "I"
    assert not is_covered()
    run_on_an_event()  # it sees it as it is attached now
    assert not is_covered()
    capture.install("default")
    assert is_covered()


@pytest.mark.proof
@committing
def test_a_run_remembers_no_look_from_before_another_has_seen_more():
    with capture.remembering("default"):
        assert is_covered()
        sql(*FILLED, attach(100))
        book_of(150)
        with ThreadPoolExecutor(1) as other:
            other.submit(in_another_run).result()
        sql("ALTER TABLE app_author DETACH PARTITION y100")
        assert TABLE not in capture.covered("default")


def in_another_run() -> None:
    try:
        run()
    finally:
        connections.close_all()


@committing
def test_a_database_before_its_migration_has_no_sightings():
    sql("ALTER TABLE auditrepr_checkpoint RENAME COLUMN partitions TO later")
    try:
        assert is_covered()
    finally:
        sql("ALTER TABLE auditrepr_checkpoint RENAME COLUMN later TO partitions")


# --- who says so, and who mends it ---------------------------------------------------------------


@pytest.mark.proof
def test_what_has_no_guard_is_found_and_named_and_migrate_adds_it(capsys):
    sql(make(100))
    (found,) = [one for one in findings.of("default") if one.name == TABLE]
    assert "y100" in found.text
    assert "audit_triggers install" in found.remedy
    with pytest.raises(CommandError, match="app_author: triggers missing on a partition"):
        call_command("audit_triggers", "check")
    call_command("migrate", verbosity=0)
    assert [one for one in findings.of("default") if one.name == TABLE] == []
    call_command("audit_triggers", "check", verbosity=0)


@pytest.mark.proof
@committing
def test_looking_writes_nothing():
    sql(make(100))
    before = list(Coverage.objects.values())
    call_command("backfill_reprs", verbosity=0)
    with pytest.raises(CommandError, match="y100"):
        call_command("backfill_status")
    assert list(Coverage.objects.values()) == before
    assert status() is Status.UNGUARDED


@committing
def test_a_migration_that_attaches_rows_ends_coverage_too():
    Author.objects.create(pk=1, name="x")
    event = book_of(1)
    with connection.schema_editor() as editor:
        for statement in [*FILLED, attach(100)]:
            editor.execute(statement)
    capture.install("default")
    assert is_covered()
    assert said(event) == [("t (x)", "M")]


def test_a_log_of_a_version_that_knew_no_partitions_keeps_its_coverage():
    sql(make(100), "INSERT INTO app_author VALUES (101, 'x')")
    sql("UPDATE auditrepr_coverage SET triggers = split_part(triggers, E'\\n', 1)")
    start = since()
    assert is_covered()
    capture.install("default")
    assert (since(), is_covered()) == (start, True)
    sql("DROP TABLE y0")
    assert not is_covered()


# --- what is not a partition any more -------------------------------------------------------------


def guards(table: str) -> int:
    ((count,),) = sql(
        f"SELECT count(*) FROM pg_trigger WHERE tgrelid = '{table}'::regclass"
        " AND tgname LIKE 'auditrepr%'"
    )
    return count


@pytest.mark.proof
def test_a_detached_table_is_emptied_without_events_and_loses_its_guard():
    Author.objects.create(pk=1, name="x")
    sql("ALTER TABLE app_author DETACH PARTITION y0", "TRUNCATE y0")
    assert actions(TABLE) == "I"
    assert guards("y0") == 1
    capture.install("default", force=True)
    assert guards("y0") == 0


@pytest.mark.parametrize("removing", ["remove", "install"])
def test_no_guard_is_left_behind(removing: str):
    sql("ALTER TABLE app_author DETACH PARTITION y0", make(100))
    capture.install("default")
    sql("ALTER TABLE app_author DETACH PARTITION y100")
    if removing == "remove":
        capture.remove("default")
    else:
        sql(make(200))
        capture.install("default")
    assert (guards("y0"), guards("y100")) == (0, 0)


def test_a_partition_of_another_table_is_not_recorded_as_one_of_this():
    sql(
        "CREATE TABLE archive (LIKE app_author) PARTITION BY RANGE (id)",
        "ALTER TABLE app_author DETACH PARTITION y0",
        "ALTER TABLE archive ATTACH PARTITION y0 FOR VALUES FROM (0) TO (100)",
        "INSERT INTO archive VALUES (1, 'x')",
        "TRUNCATE y0",
    )
    assert actions(TABLE) == ""


# --- other ways in which tables hang together --------------------------------------------------


@pytest.fixture
def _heirs() -> None:
    sql(
        "DROP TABLE app_author",
        "CREATE TABLE app_author (id bigint PRIMARY KEY, name varchar(100) NOT NULL)",
    )
    capture.install("default")
    assert is_covered()
    sql("CREATE TABLE heir () INHERITS (app_author)")


@pytest.mark.usefixtures("_heirs")
def test_a_table_from_which_others_inherit_is_never_covered():
    assert not is_covered()
    capture.install("default")
    assert not is_covered()
    recorded = list(Coverage.objects.values())
    capture.install("default")
    assert list(Coverage.objects.values()) == recorded
    sql("DROP TABLE heir")
    capture.install("default")
    assert is_covered()
    assert reason() == Coverage.Reason.PARTITIONS


@pytest.mark.parametrize(
    ("unlogged", "table"),
    [
        ("ALTER TABLE app_question SET UNLOGGED", "app_question"),
        ("ALTER TABLE y0 SET UNLOGGED", TABLE),
    ],
)
def test_nor_is_one_that_a_crash_would_empty(unlogged: str, table: str):
    sql(unlogged)
    assert table not in covered_since("default")
    capture.install("default")
    assert table not in covered_since("default")


def test_nor_is_one_that_is_written_through_another():
    sql(
        "DROP TABLE app_author",
        "CREATE TABLE whole (id bigint NOT NULL, name varchar(100) NOT NULL)"
        " PARTITION BY RANGE (id)",
        "CREATE TABLE app_author PARTITION OF whole FOR VALUES FROM (0) TO (100)",
    )
    capture.install("default")
    assert not is_covered()


def test_nor_is_one_with_a_foreign_partition():
    sql(
        "ALTER TABLE app_author DROP CONSTRAINT app_author_pkey",
        "CREATE FOREIGN DATA WRAPPER nothing",
        "CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing",
        "CREATE FOREIGN TABLE far PARTITION OF app_author FOR VALUES FROM (100) TO (200)"
        " SERVER elsewhere",
    )
    assert not is_covered()
    capture.install("default")
    assert (status(), is_covered()) == (Status.OK, False)
    sql("DROP FOREIGN TABLE far")
    capture.install("default")
    assert is_covered()


# --- while others change them ------------------------------------------------------------------


@contextmanager
def reading_while(change: str) -> Iterator[None]:
    """Read from a snapshot, and have another connection change the partitions meanwhile."""
    vendor, other = get_vendor("default"), connections["default"].copy()
    try:
        with vendor.reading(TimeLimit(0)):
            assert vendor.value("SELECT 1") == 1
            with other.cursor() as cursor:
                cursor.execute(change)
            yield
    finally:
        other.close()


def changes() -> Iterator[str]:
    """What others may do to the partitions, which are there, one after the other."""
    sql(*(make(first) for first in (100, 200, 300)), "CREATE TABLE full_one (LIKE app_author)")
    sql("INSERT INTO full_one VALUES (401, 'x')")
    yield "TRUNCATE y0"
    yield "TRUNCATE app_author"
    yield "ALTER TABLE app_author DETACH PARTITION y200"
    yield "DROP TABLE y300"
    yield "ALTER TABLE app_author ATTACH PARTITION full_one FOR VALUES FROM (400) TO (500)"


@pytest.mark.proof
@committing
def test_a_snapshot_does_not_hide_that_others_changed_something():
    for change in changes():
        capture.install("default")
        assert is_covered()
        with reading_while(change):
            assert not is_covered(), change
    with reading_while("TRUNCATE app_tag CASCADE"):
        assert "app_tag" not in covered_since("default")
    assert "app_tag" in covered_since("default")


@pytest.mark.proof
@committing
def test_nor_does_what_a_run_remembers():
    for change in changes():
        capture.install("default")
        with capture.remembering("default"):
            with reading_while("SELECT 1"):
                assert is_covered()
            with reading_while(change):
                assert not is_covered(), change


@pytest.mark.proof
@committing
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ([make(100)], "EEEE"),
        (
            [
                "CREATE TABLE y100 (LIKE app_author)",
                "INSERT INTO y100 VALUES (101, 'x')",
                attach(100),
            ],
            "EEMM",
        ),
        (["ALTER TABLE app_author DETACH PARTITION y0"], "EEMM"),
        (["ALTER TABLE app_author DETACH PARTITION y0", attach(0)], "EEMM"),
        (["ALTER TABLE y0 DISABLE TRIGGER ALL"], "EEMM"),
        (["CREATE TABLE beside (LIKE app_author)"], "EEEE"),
    ],
)
def test_a_run_notices_what_comes_and_goes_between_two_batches(change: list[str], expected: str):
    author = Author.objects.create(pk=1, name="a")
    for _ in range(4):
        Book.objects.create(title="t", author=author)
    batches = 0

    def told(_: object) -> None:
        nonlocal batches
        batches += 1
        if batches == 3:
            with closing(connections["default"].copy()) as other, other.cursor() as cursor:
                for statement in change:
                    cursor.execute(statement)

    assert not run(batch_size=1, on_progress=told).error
    of_books = InstanceRepr.objects.filter(audit_log__table_name="app_book").order_by("pk")
    assert "".join(of_books.values_list("fidelity", flat=True)) == expected
