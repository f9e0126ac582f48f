"""Tables that do not keep their keys unique: exact while one row has a key, mixed while two do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from auditrepr import capture
from auditrepr.asof.states.shared_keys import SHARED
from auditrepr.models import AuditLog
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app import asking
from tests.app.asking import Question
from tests.app.legacy import Sticker, Ware
from tests.capturing import next_moment, sql

pytestmark = pytest.mark.django_db(transaction=True)

WHY = SHARED.format("app_ware")
INK = "INSERT INTO app_ware VALUES (1, 'ink')"


@pytest.fixture(
    autouse=True,
    params=[
        "CREATE TABLE app_ware (number bigint, name varchar(50))",
        "CREATE TABLE app_ware (number bigint, name varchar(50), PRIMARY KEY (number, name))",
    ],
)
def _legacy(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[None]:
    sql(request.param)
    capture.install("default")
    yield
    sql("DROP TABLE app_ware")
    capture.install("default")


def run(*statements: str) -> None:
    for statement in statements:
        next_moment()
        sql(statement)
    next_moment()


def stick(ware: int = 1) -> Event:
    next_moment()
    sticker = Sticker.objects.create(ware_id=ware)
    event = AuditLog.objects.get(table_name="app_sticker", object_id=str(sticker.pk))
    next_moment()
    return Event.of(event)


def said(*events: Event) -> list[tuple[str, str]]:
    return [(one.text or str(one.failure), one.reason) for one in build(events, "default")]


def test_what_refers_to_the_only_row_with_a_key_is_exact():
    run(INK)
    first = stick()
    run("UPDATE app_ware SET name = 'pen'")
    second = stick()
    run("DELETE FROM app_ware")
    third = stick()
    run("INSERT INTO app_ware VALUES (1, 'lid')", "INSERT INTO app_ware VALUES (2, 'cap')")
    assert said(first, second, stick(), stick(2)) == [
        ("ink: 0", ""), ("pen: 0", ""), ("lid: 0", ""), ("cap: 0", ""),
    ]  # fmt: skip
    assert said(third)[0] == ("pen: 0", "app_ware 1 had been deleted")


def test_what_refers_to_one_of_two_rows_with_a_key_is_not():
    run(INK)
    before = stick()
    run("INSERT INTO app_ware VALUES (1, 'pen')")
    during = stick()
    run("DELETE FROM app_ware WHERE name = 'pen'")
    after = stick()
    run("INSERT INTO app_ware VALUES (1, 'lid')", "DELETE FROM app_ware WHERE name = 'ink'")
    last = stick()
    [first, *others] = said(before, during, after, last)
    assert first == ("ink: 0", "")
    # The log's last event of the key is the other row's, which was deleted then.
    assert [why.splitlines()[0] for _, why in others] == [WHY, WHY, WHY]


@pytest.mark.parametrize(
    ("made", "reasons"),
    [
        (["UPDATE app_ware SET number = 2 WHERE name = 'ink'"], ["", "", ""]),
        (["INSERT INTO app_ware VALUES (2, 'pen')", "UPDATE app_ware SET number = 2"],
         ["", "", WHY]),
        (["INSERT INTO app_ware VALUES (2, 'pen')", "UPDATE app_ware SET number = 3 - number"],
         ["", "", ""]),
    ],
)  # fmt: skip
def test_keys_that_rows_are_given_and_lose_count(made: list[str], reasons: list[str]):
    run(INK)
    before = stick()
    run(*made)
    Sticker.objects.filter(pk=before.object_id).update(price=1)
    again = AuditLog.objects.filter(table_name="app_sticker").latest("pk")
    found = [one.reason for one in build([before, Event.of(again), stick(2)], "default")]
    assert found == reasons


@pytest.mark.proof
def test_rows_that_are_older_than_the_log_count():
    run(INK, "INSERT INTO app_ware VALUES (1, 'pen')", "INSERT INTO app_ware VALUES (2, 'lid')")
    AuditLog.objects.all().delete()
    assert said(stick(), stick(2)) == [(said(stick())[0][0], WHY), ("lid: 0", "")]


@pytest.fixture
def names() -> Iterator[Callable[[], Event]]:
    """Makes an event whose text lists all wares."""
    asking.QUESTIONS["test"] = lambda: [w.name for w in Ware.objects.order_by("name", "number")]

    def ask() -> Event:
        next_moment()
        row = Question.objects.create(kind="test")
        next_moment()
        return Event.of(AuditLog.objects.get(table_name="app_question", object_id=str(row.pk)))

    yield ask
    del asking.QUESTIONS["test"]


@pytest.mark.proof
def test_a_query_of_such_a_table_is_exact_until_rows_that_share_a_key_change(names):
    run(INK, "INSERT INTO app_ware VALUES (2, 'lid')")
    alone = names()
    assert said(alone) == [("test: ['ink', 'lid']", "")]
    run("INSERT INTO app_ware VALUES (1, 'pen')")
    shared = names()
    assert said(shared) == [("test: ['ink', 'lid', 'pen']", "")]
    run("UPDATE app_ware SET name = 'cap' WHERE number = 2")
    assert said(shared) == [("test: ['ink', 'lid', 'pen']", "")]
    run("UPDATE app_ware SET name = 'nib' WHERE name = 'pen'")
    assert [why for _, why in said(alone, shared)] == [WHY, WHY]


@pytest.mark.proof
@pytest.mark.postgresql
def test_rows_that_a_truncate_took_are_counted_by_the_log(names):
    run(INK)
    one, listed = stick(), names()
    run("INSERT INTO app_ware VALUES (1, 'pen')")
    two, both = stick(), names()
    run("TRUNCATE app_ware", INK)
    three = stick()
    run("TRUNCATE app_ware")
    # Before the first TRUNCATE, there may have been rows of which the log knows nothing.
    assert [WHY in why for _, why in said(one, two, three)] == [True, True, False]
    assert WHY not in said(listed)[0][1]
    assert WHY in said(both)[0][1]


@pytest.mark.proof
@pytest.mark.postgresql
def test_rows_that_shared_a_key_before_the_log_began_are_not_counted_out_by_a_truncate():
    run(INK, "INSERT INTO app_ware VALUES (1, 'pen')")
    AuditLog.objects.all().delete()
    run("UPDATE app_ware SET name = 'nib' WHERE name = 'pen'")
    event = stick()
    run("TRUNCATE app_ware", INK)
    ((_, why),) = said(event)
    assert WHY in why
    assert said(stick()) == [("ink: 0", "")]


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize("noticed", [capture.install, capture.note_gaps])
def test_a_table_that_got_its_key_later_had_none_before(noticed):
    run(INK)
    alone = stick()
    run("INSERT INTO app_ware VALUES (1, 'pen')")
    shared = stick()
    run("DELETE FROM app_ware WHERE name = 'ink'")
    sql(
        "ALTER TABLE app_ware DROP CONSTRAINT IF EXISTS app_ware_pkey",
        "ALTER TABLE app_ware ADD PRIMARY KEY (number)",
    )
    for _ in range(2):
        (first, second) = said(alone, shared)
        assert first == ("ink: 0", "")
        assert WHY in second[1]
        noticed("default")
    run("UPDATE app_ware SET name = 'nib'")
    assert said(stick()) == [("nib: 0", "")]


@pytest.mark.proof
def test_it_takes_the_same_queries_for_any_number_of_rows():
    said(stick())  # SQLite looks at its triggers once
    counts = []
    for start, number in ((100, 2), (200, 30)):
        keys = range(start, start + number)
        for key in keys:
            sql(f"INSERT INTO app_ware VALUES ({key}, 'x')")
        found = [stick(key) for key in keys]
        with CaptureQueriesContext(connection) as queries:
            assert {why for _, why in said(*found)} == {""}
        counts.append(len(queries))
    assert counts[0] == counts[1]
