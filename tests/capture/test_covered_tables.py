"""What is covered is looked up once in a run, and again after whatever may have changed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from auditrepr import capture
from auditrepr.capture import covered_tables as module
from auditrepr.models import AuditLog, Coverage, InstanceRepr
from auditrepr.utils.time_limit import TimeLimit
from auditrepr.vendors import get_vendor
from tests.app.models import Author, Book
from tests.capturing import next_moment, sql
from tests.running import run

pytestmark = pytest.mark.django_db(transaction=True)
TABLE = "app_author"


@pytest.fixture(autouse=True)
def _fresh(transactional_db) -> None:
    capture.install("default")
    AuditLog.objects.all().delete()


@pytest.fixture
def looks(monkeypatch) -> list[str]:
    """The databases whose tables were all looked at, in turn."""
    found: list[str] = []
    look = module._look

    def noted(using: str, *arguments: object):
        found.append(using)
        return look(using, *arguments)

    monkeypatch.setattr(module, "_look", noted)
    return found


def elsewhere(*statements: str) -> None:
    """Run the statements in another connection, each by itself."""
    with closing(connections["default"].copy()) as other, other.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def triggers_of(table: str) -> list[str]:
    return get_vendor("default").remove_sql(table)


def remade(table: str) -> list[str]:
    """What drops the triggers of a table, and makes them once more."""
    states = {state.name: state for state in capture.inspect("default")}
    return get_vendor("default").install_sql(states[table].capture)


# --- in a run -------------------------------------------------------------------------------------


def fidelity_where(change: Callable[[], object], after: int = 3, **options: object) -> str:
    """The fidelity of four books, in turn, whose author is looked up; one changes the schema."""
    author = Author.objects.create(name="a")
    for _ in range(4):
        next_moment()
        Book.objects.create(title="t", author=author)
    done = 0

    def told(_: object) -> None:
        nonlocal done
        done += 1
        if done == after:
            change()

    assert not run(batch_size=1, on_progress=told, **options).error
    of_books = InstanceRepr.objects.filter(audit_log__table_name="app_book").order_by("pk")
    return "".join(of_books.values_list("fidelity", flat=True))


def test_a_run_looks_at_the_tables_once(looks):
    assert fidelity_where(lambda: None) == "EEEE"
    assert looks == ["default"]


@pytest.mark.proof
def test_and_the_next_run_once_more(looks):
    fidelity_where(lambda: None)
    fidelity_where(lambda: None)
    assert looks == ["default", "default"]


@pytest.mark.proof
def test_a_run_in_the_transaction_of_its_caller_remembers_nothing(looks):
    with transaction.atomic():
        fidelity_where(lambda: None)
    assert len(looks) >= 4


@pytest.mark.proof
def test_a_trigger_that_is_dropped_between_two_batches_is_missed_by_the_next(looks):
    dropping = triggers_of(TABLE)
    assert fidelity_where(lambda: elsewhere(*dropping)) == "EEMM"
    assert looks == ["default", "default"]


@pytest.mark.proof
def test_so_is_one_that_is_dropped_and_made_again():
    statements = remade(TABLE)
    assert fidelity_where(lambda: elsewhere(*statements)) == "EEMM"


@pytest.mark.proof
def test_so_is_a_table_that_is_renamed_and_another_that_takes_its_place():
    swapping = [
        f"ALTER TABLE {TABLE} RENAME TO {TABLE}_old",
        f"CREATE TABLE {TABLE} (id integer PRIMARY KEY, name varchar(100) NOT NULL)",
    ]
    try:
        assert fidelity_where(lambda: elsewhere(*swapping)) == "EEMM"
    finally:
        elsewhere(f"DROP TABLE {TABLE}", f"ALTER TABLE {TABLE}_old RENAME TO {TABLE}")


@pytest.mark.proof
def test_so_is_a_gap_that_another_process_has_noted():
    noted = f"UPDATE auditrepr_coverage SET since_event = NULL WHERE table_name = '{TABLE}'"
    assert fidelity_where(lambda: elsewhere(noted)) == "EEMM"


def test_and_a_gap_that_has_ended_is_over_for_the_next():
    ended = Coverage.objects.get(table_name=TABLE)
    Coverage.objects.filter(table_name=TABLE).update(since_event=None)
    again = f"UPDATE auditrepr_coverage SET since_event = {ended.since_event}"
    assert fidelity_where(lambda: elsewhere(again)) == "MMEE"


def test_a_change_of_another_table_is_none_of_its_business(looks):
    fidelity_where(lambda: elsewhere("CREATE TABLE beside (id integer)", "DROP TABLE beside"))
    assert len(looks) == (1 if connection.vendor == "postgresql" else 2)


def test_a_new_connection_looks_again(looks):
    fidelity_where(connection.close)
    assert looks == ["default", "default"]


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_trigger_that_is_disabled_between_two_batches_is_missed_by_the_next():
    disabling = f"ALTER TABLE {TABLE} DISABLE TRIGGER ALL"
    assert fidelity_where(lambda: elsewhere(disabling)) == "EEMM"


@pytest.mark.proof
@pytest.mark.postgresql
def test_so_is_a_function_that_is_replaced():
    function = next(one for one in remade(TABLE) if one.startswith("CREATE OR REPLACE FUNCTION"))
    assert fidelity_where(lambda: elsewhere(function)) == "EEMM"


# --- every change that counts ---------------------------------------------------------------------


@contextmanager
def remembered() -> Iterator[Callable[[], bool]]:
    """Whether what is remembered is what a look would find."""
    with capture.remembering("default"):
        assert TABLE in capture.covered("default")

        def is_true() -> bool:
            with get_vendor("default").reading(TimeLimit(0)):
                found, keyless = module._look("default", module.tracked_tables("default"))[1]
                known, known_keyless = capture.standing("default")
            same = set(known) == set(found) and known_keyless == keyless
            return same and all(
                vars(known[name])[key] == vars(found[name])[key]
                for name in found
                for key in ("since_event", "columns", "triggers", "pruned_id", "reason")
            )

        assert is_true()
        yield is_true


@pytest.mark.parametrize(
    "change",
    [
        [f"ALTER TABLE {TABLE} ADD COLUMN more integer"],
        [f"ALTER TABLE {TABLE} RENAME COLUMN name TO title"],
        ["ALTER TABLE app_book DROP COLUMN secret"],
        ["UPDATE auditrepr_coverage SET pruned_id = 7"],
        ["UPDATE auditrepr_coverage SET columns = '{}'"],
        ["DELETE FROM auditrepr_coverage"],
        ["DROP TABLE app_book_tags"],
    ],
)
def test_what_is_remembered_is_what_a_look_finds(change: list[str]):
    with remembered() as is_true:
        elsewhere(*change)
        assert is_true()


@pytest.mark.postgresql
def test_a_primary_key_that_is_dropped_is_a_change():
    with remembered() as is_true:
        elsewhere("ALTER TABLE app_book_tags DROP CONSTRAINT app_book_tags_pkey")
        assert is_true()
        assert "app_book_tags" in capture.standing("default").keyless


@pytest.mark.proof
@pytest.mark.postgresql
def test_another_table_that_the_search_path_finds_first_is_a_change():
    with remembered() as is_true:
        elsewhere("CREATE SCHEMA ahead", f"CREATE TABLE ahead.{TABLE} (LIKE {TABLE})")
        try:
            assert is_true()
            sql("SET search_path = public, ahead")
            assert is_true()
            sql("CREATE TEMPORARY TABLE app_tag (id integer)")
            assert is_true()
            assert "app_tag" not in capture.covered("default")
        finally:
            sql("RESET search_path", "DROP SCHEMA ahead CASCADE", "DROP TABLE pg_temp.app_tag")


def test_a_change_that_is_taken_back_and_another_are_two():
    """SQLite numbers both schemas alike."""
    with transaction.atomic(), capture.remembering("default"):
        before = set(capture.covered("default"))
        with transaction.atomic():
            sql(*triggers_of("app_tag"))
            assert before - set(capture.covered("default")) == {"app_tag"}
            transaction.set_rollback(True)
        sql(*triggers_of(TABLE))
        assert before - set(capture.covered("default")) == {TABLE}


def test_to_ask_whether_anything_changed_takes_two_statements_at_most():
    with capture.remembering("default"):
        capture.covered("default")
        with CaptureQueriesContext(connection) as asked:
            capture.covered("default")
    assert len(asked) == (1 if connection.vendor == "postgresql" else 2)
