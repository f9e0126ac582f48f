"""Tests what a moment sees: what the event's transaction saw right after its statement.

For a delete it is what that saw right before. The expected texts come from the writer itself, on
its own connection.
"""

from itertools import product

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app.moment import Leaf, Node, Slot
from tests.capturing import sql
from tests.oracle import Oracle, built
from tests.sizes import FULL
from tests.writers import READ_COMMITTED, REPEATABLE_READ, said, writers

pytestmark = pytest.mark.django_db(transaction=True)

MODELS = [Node, Leaf, Slot]
ISOLATIONS = [READ_COMMITTED, REPEATABLE_READ]
ISOLATION = pytest.mark.parametrize("isolation", ISOLATIONS)


@pytest.fixture(autouse=True)
def _an_empty_log():
    AuditLog.objects.all().delete()


def untrue(expected) -> list[tuple[str, str]]:
    """Texts that claim to be exact and are not; in front, what was said."""
    found = built()
    assert set(expected) & set(found)
    return [
        (text, found[pk].text or found[pk].failure)
        for pk, text in expected.items()
        if pk in found and found[pk].fidelity == Fidelity.EXACT and found[pk].text != text
    ]


def mixed() -> set[str]:
    return {o.reason for o in built().values() if o.fidelity == Fidelity.MIXED}


def assert_all_exact(expected) -> None:
    assert not untrue(expected)
    assert not mixed()


# --- one statement ----------------------------------------------------------------------------


def tree(*names):
    """A chain of nodes, each the parent of the next."""
    parent = None
    for name in names:
        parent = Node.objects.create(name=name, parent=parent)
        Leaf.objects.create(name=name.upper(), node=parent)


STATEMENTS = {
    "all change": "UPDATE app_node SET rank = rank + 1, name = name || 'x'",
    "all move": "UPDATE app_node SET parent_id = NULL",
    "all turn round": """
        UPDATE app_node SET parent_id = (
            SELECT min(other.id) FROM app_node other WHERE other.id > app_node.id)""",
    "children of a moving parent": """
        UPDATE app_node SET rank = 7, parent_id = (SELECT min(id) FROM app_node WHERE name <> 'a')
        WHERE name IN ('b', 'c')""",
    "leaves go, and their node": "DELETE FROM app_leaf",
    "a parent and its children go": "DELETE FROM app_node",
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_rows_of_one_statement_change_together(statement):
    oracle = Oracle(MODELS)
    tree("a", "b", "c", "d")
    if statement.startswith("DELETE FROM app_node"):
        Leaf.objects.all().delete()
    with oracle.listening():
        sql(statement)
    assert oracle.expected
    if connection.vendor == "postgresql":
        assert_all_exact(oracle.expected)
    assert not untrue(oracle.expected)


def test_a_bulk_insert_is_one_statement():
    oracle = Oracle(MODELS)
    with oracle.listening():
        Node.objects.bulk_create(
            [Node(id=1, name="a", parent_id=2), Node(id=2, name="b", parent_id=1)]
        )
    assert not untrue(oracle.expected)
    if connection.vendor == "postgresql":
        assert_all_exact(oracle.expected)


def test_an_upsert_inserts_and_updates_in_one_statement():
    oracle = Oracle(MODELS)
    Slot.objects.create(name="a", note="old")
    with oracle.listening():
        Slot.objects.bulk_create(
            [Slot(name="b", note="1", next_id="a"), Slot(name="a", note="new", next_id="b")],
            update_conflicts=True, unique_fields=["name"], update_fields=["note", "next"],
        )  # fmt: skip
    assert not untrue(oracle.expected)


def test_a_key_that_moves_takes_its_row_along():
    oracle = Oracle(MODELS)
    with oracle.listening():
        Slot.objects.create(name="a", note="1")
        Slot.objects.create(name="b", note="2", next_id="a")
        Slot.objects.filter(name="a").update(name="c")
        Slot.objects.filter(name="b").update(note="3")
        Slot.objects.create(name="a", note="4")
        Slot.objects.filter(name="b").update(note="5")
        Slot.objects.filter(name="c").delete()
        Slot.objects.filter(name="b").update(next_id="c", note="6")
        Slot.objects.filter(name="a").update(name="c")
    assert not untrue(oracle.expected)


@pytest.mark.postgresql
def test_keys_that_are_swapped_swap_their_rows():
    sql(
        "ALTER TABLE app_slot DROP CONSTRAINT app_slot_pkey,"
        " ADD CONSTRAINT app_slot_swap PRIMARY KEY (name) DEFERRABLE"
    )
    try:
        oracle = Oracle(MODELS)
        Slot.objects.create(name="a", note="1", next_id="b")
        Slot.objects.create(name="b", note="2", next_id="a")
        Slot.objects.create(name="c", note="3", next_id="a")
        with oracle.listening():
            sql("UPDATE app_slot SET name = CASE name WHEN 'a' THEN 'b' WHEN 'b' THEN 'c'"
                " ELSE 'a' END")  # fmt: skip
            sql("UPDATE app_slot SET note = note || '!', name = CASE name WHEN 'a' THEN 'b'"
                " WHEN 'b' THEN 'a' ELSE name END")  # fmt: skip
            sql("UPDATE app_slot SET note = note || '?' WHERE name = 'c'")
        assert_all_exact(oracle.expected)
    finally:
        sql(
            "ALTER TABLE app_slot DROP CONSTRAINT app_slot_swap,"
            " ADD CONSTRAINT app_slot_pkey PRIMARY KEY (name)"
        )


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "statement",
    [
        "WITH one AS (UPDATE app_node SET rank = 5 RETURNING id)"
        " UPDATE app_leaf SET name = 'new' FROM one WHERE node_id = one.id",
        "WITH one AS (DELETE FROM app_leaf RETURNING id) UPDATE app_node SET rank = 6",
        "WITH one AS (INSERT INTO app_leaf (name, node_id) SELECT 'i', id FROM app_node)"
        " UPDATE app_node SET rank = 6",
    ],
)
def test_what_one_statement_does_to_two_tables_is_never_untrue(statement):
    oracle = Oracle(MODELS)
    tree("a", "b")
    with oracle.listening():
        sql(statement)
    assert len(oracle.expected) == 4
    assert not untrue(oracle.expected)


@pytest.mark.parametrize("rule", ["CASCADE", "SET NULL"])
@pytest.mark.postgresql
def test_what_the_databases_own_cascade_does_is_never_untrue(rule):
    (name,) = sql(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'app_leaf'::regclass AND contype = 'f'"
    )[0]
    reference = "FOREIGN KEY (node_id) REFERENCES app_node"
    sql(f"ALTER TABLE app_leaf DROP CONSTRAINT {name},"
        f" ADD CONSTRAINT {name} {reference} ON DELETE {rule}")  # fmt: skip
    try:
        oracle = Oracle(MODELS)
        tree("a", "b")
        with oracle.listening():
            sql("DELETE FROM app_node WHERE name = 'b'")
            sql("UPDATE app_node SET rank = 5")
            sql("DELETE FROM app_node")
        assert oracle.expected
        assert not untrue(oracle.expected)
    finally:
        sql(f"ALTER TABLE app_leaf DROP CONSTRAINT {name},"
            f" ADD CONSTRAINT {name} {reference} DEFERRABLE INITIALLY DEFERRED")  # fmt: skip


@pytest.mark.postgresql
def test_statements_of_one_function_are_never_untrue():
    tree("a", "b")
    sql("""
        CREATE FUNCTION app_several() RETURNS int LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE app_leaf SET name = name || '1';
            UPDATE app_node SET rank = rank + 1;
            UPDATE app_leaf SET name = name || '2' WHERE id % 2 = 0;
            UPDATE app_node SET rank = rank + 1;
            DELETE FROM app_leaf WHERE id % 2 = 1;
            UPDATE app_node SET name = name || 'z';
            RETURN 1;
        END $$""")
    try:
        oracle = Oracle(MODELS)
        with oracle.listening():
            sql("WITH one AS (SELECT app_several()) SELECT * FROM one")
        last = AuditLog.objects.filter(table_name="app_node").order_by("-pk")[:2]
        # What the oracle says of the others is the end of the message, not of the statement.
        assert not untrue({row.pk: oracle.expected[row.pk] for row in last})
    finally:
        sql("DROP FUNCTION app_several()")


@pytest.mark.postgresql
def test_truncate_ends_all_objects():
    oracle = Oracle(MODELS)
    tree("a", "b")
    node = Node.objects.create(name="c")
    sql("TRUNCATE app_leaf")
    with oracle.listening():
        Node.objects.update(rank=1)
        Leaf.objects.create(name="new", node=node)
        Node.objects.update(rank=2)
    assert not untrue(oracle.expected)
    assert any(text.endswith("[new]") for text in oracle.expected.values())


# --- several transactions ---------------------------------------------------------------------


@pytest.fixture
def two():
    with writers(2, MODELS) as found:
        yield found


@pytest.fixture
def node():
    return Node.objects.create(name="n")


CHANGES = {
    "update": ("UPDATE app_node SET rank = rank + 1",),
    "key out of the set": ("UPDATE app_leaf SET node_id = NULL WHERE name = 'other'",),
    "new in the set": ("INSERT INTO app_leaf (name, node_id) SELECT 'late', id FROM app_node",),
    "gone from the set": ("DELETE FROM app_leaf WHERE name = 'other'",),
    "twice": ("UPDATE app_node SET rank = rank + 1", "UPDATE app_node SET rank = rank + 1"),
}
EVENTS = {
    "insert": "INSERT INTO app_leaf (name, node_id) SELECT 'mine', id FROM app_node WHERE id > 0",
    "update": "UPDATE app_leaf SET name = name || '!' WHERE name LIKE 'mine%'",
    "delete": "DELETE FROM app_leaf WHERE name LIKE 'mine%'",
    "other table": "UPDATE app_slot SET note = 'x'",
    "related": "UPDATE app_node SET name = 'q' WHERE name = 'm'",
}


OWN = ["insert", "update", "delete"]
ENDS = ["before", "between", "after", "never", "savepoint"]
#: Each change with each end, the rest in turns; all combinations at full size.
CASES = (
    list(product(ENDS, CHANGES, OWN, ISOLATIONS))
    if FULL
    else [
        (end, change, OWN[(first + second) % 3], ISOLATIONS[(first + second) % 2])
        for first, end in enumerate(ENDS)
        for second, change in enumerate(CHANGES)
    ]
)


@pytest.mark.sized
@pytest.mark.postgresql
@pytest.mark.parametrize(("end", "change", "event", "isolation"), CASES)
def test_a_change_counts_once_its_transaction_was_seen(two, node, isolation, event, change, end):
    """The other changes before the event, and commits before it, after, or not at all."""
    mine, other = two
    Leaf.objects.create(name="mine", node=node)
    Leaf.objects.create(name="other", node=node)
    mine.begin(isolation)
    mine(Slot.objects.count)  # what REPEATABLE READ sees is settled here
    other.begin()
    if end == "savepoint":
        other.begin()
    for statement in CHANGES[change]:
        other.sql(statement)
    if end == "savepoint":
        other.roll_back()
        other.sql("UPDATE app_node SET name = 'back'")
    if end in ("before", "savepoint"):
        other.commit()
    mine.sql(EVENTS[event])
    if end == "between":
        other.commit()
    mine.sql(EVENTS["update"])
    if end == "after":
        other.commit()
    mine.sql("UPDATE app_slot SET note = 'x'")
    mine.sql(EVENTS["update"])
    if end == "never":
        other.roll_back()
    mine.commit()
    assert_all_exact(said(two))


@pytest.mark.proof
@pytest.mark.postgresql
@ISOLATION
@pytest.mark.parametrize("event", ["insert", "update", "delete"])
def test_a_change_may_be_committed_while_the_events_statement_runs(two, node, isolation, event):
    mine, other = two
    Leaf.objects.create(name="mine", node=node)
    slow = EVENTS[event] + (" AND " if "WHERE" in EVENTS[event] else " WHERE ")
    mine.begin(isolation)
    running = mine.start(_slowly, slow + "pg_sleep(0.5) IS NOT NULL")
    other.begin()
    other.sql("SELECT pg_sleep(0.2)")
    other.sql("UPDATE app_node SET rank = 9, name = 'during'")
    other.commit()
    running.result(timeout=30)
    mine.commit()
    assert_all_exact(said(two))


def _slowly(statement):
    sql(statement)


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize("event", ["UPDATE app_node SET name = 'w'", "DELETE FROM app_leaf"])
def test_a_statement_that_waits_for_anothers_change_is_never_untrue(two, node, event):
    mine, other = two
    Leaf.objects.create(name="mine", node=node)
    mine.begin()
    other.begin()
    other.sql("UPDATE app_node SET rank = 9")
    other.sql("UPDATE app_leaf SET name = 'theirs'")
    waiting = mine.start(_slowly, event)
    other.sql("SELECT pg_sleep(0.3)")
    other.commit()
    waiting.result(timeout=30)
    mine.sql("UPDATE app_node SET rank = rank + 1")
    mine.commit()
    assert not untrue(said(two))


@pytest.mark.proof
@pytest.mark.postgresql
@ISOLATION
def test_a_long_transaction_sees_what_it_saw(two, node, isolation):
    mine, other = two
    Leaf.objects.create(name="mine", node=node)
    mine.begin(isolation)
    mine(Slot.objects.count)
    for number in range(3):
        other.sql("UPDATE app_node SET rank = rank + 1")
        mine.sql(EVENTS["update"])
        mine.begin()
        mine.sql(EVENTS["update"])
        mine.roll_back()
        other.sql("INSERT INTO app_leaf (name, node_id) SELECT 'theirs', id FROM app_node")
        mine.sql(f"INSERT INTO app_slot (name, note) VALUES ('{number}', '')")
    mine.commit()
    other.sql("DELETE FROM app_leaf")
    assert_all_exact(said(two))


# --- what the log does not know ---------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
def test_objects_without_events_count_as_exact_only_where_they_are_covered(known):
    from auditrepr.models import Coverage

    tree("a", "b")
    AuditLog.objects.all().delete()
    if not known:
        Coverage.objects.filter(table_name="app_leaf").update(since_event=10**9)
    oracle = Oracle(MODELS)
    with oracle.listening():
        Node.objects.update(rank=1)
    assert not untrue(oracle.expected)
    if connection.vendor == "postgresql" or not known:
        assert bool(mixed()) != known


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_log_that_was_restored_into_another_cluster_is_as_exact_as_before():
    from auditrepr.models import Coverage

    tree("a", "b")
    Node.objects.update(rank=1)
    far = 10**9
    sql(
        f"UPDATE auditrepr_auditlog SET transaction_id = transaction_id + {far},"
        f" snapshot = '{far}:' || {far} + split_part(snapshot, ':', 2)::bigint || ':',"
        " occurred_at = occurred_at - interval '1 day',"
        " statement_at = statement_at - interval '1 day'"
    )
    coverage = Coverage.objects.filter(table_name__startswith="app_")
    kept = list(coverage)
    sql(
        f"UPDATE auditrepr_coverage SET transaction_id = transaction_id + {far},"
        " recorded_at = recorded_at - interval '1 day' WHERE table_name LIKE 'app%'"
    )
    try:
        oracle = Oracle(MODELS)
        with oracle.listening():
            Node.objects.filter(name="a").update(rank=2)
            Leaf.objects.update(name="x")
            Node.objects.filter(name="b").delete()
        assert_all_exact(oracle.expected)
    finally:
        for row in kept:
            row.save()


@pytest.mark.proof
@pytest.mark.postgresql
def test_an_unseen_truncate_costs_no_query_for_each_event(two):
    mine, other = two
    tree("a")
    other.begin()
    other.sql("TRUNCATE app_leaf")
    for _ in range(20):
        mine.sql("UPDATE app_slot SET note = note || 'x'")
        Node.objects.update(rank=F("rank") + 1)
    other.commit()
    events = AuditLog.objects.filter(table_name="app_node").order_by("pk")
    counts = []
    for number in (3, 20):
        with CaptureQueriesContext(connection) as queries:
            build([Event.of(event) for event in events[:number]], "default")
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.fixture
def one_node():
    """A node that refers to another one, which others change."""
    parent = Node.objects.create(name="old")
    return Node.objects.create(name="a", parent=parent), parent


def claims(text: str) -> bool:
    """Does the last event say this, for certain?"""
    last = list(built().values())[-1]
    return (last.text, last.fidelity) == (text, Fidelity.EXACT)


@pytest.mark.postgresql
def test_a_transaction_that_lasts_for_minutes_sees_what_it_saw_at_its_beginning(two, one_node):
    node, parent = one_node
    mine, other = two
    mine.begin(REPEATABLE_READ)
    mine.sql("SELECT 1")
    other.sql(f"UPDATE app_node SET name = 'new' WHERE id = {parent.pk}")
    mine.sql(f"UPDATE app_node SET rank = 1 WHERE id = {node.pk}")
    mine.commit()
    sql(
        "UPDATE auditrepr_auditlog SET occurred_at = occurred_at - interval '5 minutes'"
        " WHERE row_data ->> 'name' = 'new'"
    )
    assert claims("a1<old0>()[]")


@pytest.mark.postgresql
def test_what_many_events_look_at_is_not_what_none_of_them_saw(two, one_node):
    """Nothing happens to the parent between them, but its last change was not theirs to see."""
    node, parent = one_node
    mine, other = two
    mine.begin(REPEATABLE_READ)
    mine.sql("SELECT 1")
    other.sql(f"UPDATE app_node SET name = 'new' WHERE id = {parent.pk}")
    for rank in range(1, 5):
        mine.sql(f"UPDATE app_node SET rank = {rank} WHERE id = {node.pk}")
    mine.commit()
    last = build([Event.of(row) for row in AuditLog.objects.order_by("-id")[:4]], "default")
    assert [one.text for one in last] == [f"a{rank}<old0>()[]" for rank in (4, 3, 2, 1)]
    assert {one.fidelity for one in last} == {Fidelity.EXACT}


@pytest.mark.postgresql
@pytest.mark.parametrize("restored", [True, False])
def test_what_was_restored_was_seen_although_its_transaction_id_runs_again(two, one_node, restored):
    node, parent = one_node
    Node.objects.filter(pk=parent.pk).update(name="new")
    if restored:
        # By an older transaction than the one that it names, which is the next that writes.
        sql(
            "UPDATE auditrepr_auditlog SET transaction_id = pg_current_xact_id()::text::bigint + 1"
            " WHERE row_data ->> 'name' = 'new'"
        )
    mine, other = two
    other.begin()
    other.sql("INSERT INTO app_slot (name, note) VALUES ('b', '')")
    if not restored:
        other.sql(f"UPDATE app_node SET name = 'newer' WHERE id = {parent.pk}")
    mine.sql(f"UPDATE app_node SET rank = 1 WHERE id = {node.pk}")
    other.commit()
    assert claims("a1<new0>()[]")


@pytest.mark.postgresql
def test_a_truncate_that_was_restored_was_seen_although_its_transaction_id_runs_again(two):
    tree("a")
    sql("TRUNCATE app_leaf")
    sql(
        "UPDATE auditrepr_auditlog SET transaction_id = pg_current_xact_id()::text::bigint + 1"
        " WHERE action = 'T'"
    )
    mine, other = two
    other.begin()
    other.sql("INSERT INTO app_slot (name, note) VALUES ('b', '')")
    mine.sql("UPDATE app_node SET rank = 1")
    other.commit()
    assert claims("a1<->()[]")
