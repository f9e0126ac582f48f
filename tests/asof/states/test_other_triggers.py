"""Tests events of statements that an application's own triggers extend."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F

from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import build
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import Event
from tests.app.asking import QUESTIONS, Question
from tests.app.models import Author, Book
from tests.capturing import audit, next_moment, sql
from tests.oracle import Oracle

pytestmark = pytest.mark.django_db(transaction=True)

#: What a trigger does for each row, after it was inserted or updated.
TRIGGERS = {
    "the same row again": (
        "app_author", "NEW.name NOT LIKE '%+'",
        "UPDATE app_author SET name = NEW.name || '+' WHERE id = NEW.id",
    ),
    "and back": (
        "app_author", "NEW.name LIKE 'c%' AND NEW.name NOT LIKE '%+'",
        "UPDATE app_author SET name = 'cc+' WHERE id = NEW.id;"
        " UPDATE app_author SET name = 'c+' WHERE id = NEW.id",
    ),
    "what was there before": (
        "app_author", "NEW.name = 'c'",
        "UPDATE app_author SET name = 'd' WHERE id = NEW.id",
    ),
    "what it refers to": (
        "app_book", "1 = 1",
        "UPDATE app_author SET name = name || '.' WHERE id = NEW.author_id",
    ),
    "what refers to it": (
        "app_author", "1 = 1",
        "UPDATE app_book SET title = title || '.' WHERE author_id = NEW.id",
    ),
}  # fmt: skip


@pytest.fixture(params=TRIGGERS.values(), ids=TRIGGERS)
def _trigger(request):
    table, condition, statements = request.param
    for event in ("INSERT", "UPDATE"):
        if connection.vendor == "postgresql":
            sql(
                f"CREATE FUNCTION others_{event}() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN IF {condition} THEN {statements}; END IF; RETURN NULL; END $$",
                f"CREATE TRIGGER others_{event} AFTER {event} ON {table}"
                f" FOR EACH ROW EXECUTE FUNCTION others_{event}()",
            )
        else:
            sql(
                f"CREATE TRIGGER others_{event} AFTER {event} ON {table}"
                f" WHEN {condition} BEGIN {statements}; END"
            )
    yield
    for event in ("INSERT", "UPDATE"):
        if connection.vendor == "postgresql":
            sql(f"DROP FUNCTION others_{event} CASCADE")
        else:
            sql(f"DROP TRIGGER others_{event}")


BOOKS = "INSERT INTO app_book (price, secret, id, title, author_id) VALUES (0, '', {})"
STATEMENTS = [
    "INSERT INTO app_author (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    BOOKS.format("1, 'x', 1), (0, '', 2, 'y', 1), (0, '', 3, 'z', 3"),
    "UPDATE app_author SET name = 'd' WHERE id <> 2",
    BOOKS.format("4, 'v', 2), (0, '', 5, 'w', 3"),
    "UPDATE app_author SET name = 'c'",
    "UPDATE app_book SET title = 'u'",
    "DELETE FROM app_book WHERE id = 5",
    BOOKS.format("6, 't', 2"),
]
A_MINUTE_LATER = ["UPDATE app_author SET name = 'e+'", BOOKS.format("7, 's', 3")]


def exact(oracle):
    """The outcomes that are called exact; none of them is untrue."""
    events = AuditLog.objects.filter(pk__in=oracle.expected).order_by("pk")
    outcomes = build([Event.of(event) for event in events], "default")
    exact = [outcome for outcome in outcomes if outcome.fidelity == Fidelity.EXACT]
    said = oracle.expected
    assert [(o.id, said[o.id], o.text) for o in exact if o.text != said[o.id]] == []
    return [outcome.text for outcome in exact]


@pytest.mark.usefixtures("_trigger")
@pytest.mark.parametrize("in_one", [False, True])
def test_what_third_party_triggers_do_is_never_untrue(in_one):
    oracle = Oracle([Author, Book])
    with oracle.listening(), transaction.atomic() if in_one else nullcontext():
        sql(*STATEMENTS)
        AuditLog.objects.update(occurred_at=F("occurred_at") - timedelta(minutes=1))
        sql(*A_MINUTE_LATER)
    assert len(exact(oracle)) > 3


@pytest.mark.usefixtures("_trigger")
def test_nor_is_what_was_before_the_first_event_of_a_row():
    sql("INSERT INTO app_author (id, name) VALUES (1, 'z+'), (2, 'y+')")
    AuditLog.objects.all().delete()
    oracle = Oracle([Author, Book])
    with oracle.listening():
        sql(BOOKS.format("1, 'x', 1), (0, '', 2, 'y', 2"))
        sql("UPDATE app_author SET name = 'c' WHERE id = 1")
    assert "y (y+)" in exact(oracle) or AuditLog.objects.filter(object_id="2", action="U").exists()


@pytest.mark.usefixtures("_trigger")
def test_nor_is_what_a_query_reads_of_a_whole_table(monkeypatch):
    def names() -> list[str]:
        return list(Author.objects.order_by("pk").values_list("name", flat=True))

    monkeypatch.setitem(QUESTIONS, "names", names)
    oracle = Oracle([Question])
    with oracle.listening():
        for statement in (*STATEMENTS, *A_MINUTE_LATER):
            Question.objects.create(kind="names")
            sql(statement)
        Question.objects.create(kind="names")
    assert f"names: {names()}" in exact(oracle)


# --- SQLite: what a trigger can write -----------------------------------------------------------

FULL_TEXT = [
    "CREATE VIRTUAL TABLE words USING fts5(name, content='app_author', content_rowid='id')",
    "CREATE TRIGGER words_i AFTER INSERT ON app_author BEGIN"
    " INSERT INTO words (rowid, name) VALUES (NEW.id, NEW.name); END",
    "CREATE TRIGGER words_d AFTER DELETE ON app_author BEGIN"
    " INSERT INTO words (words, rowid, name) VALUES ('delete', OLD.id, OLD.name); END",
    "CREATE TRIGGER words_u AFTER UPDATE OF name ON app_author WHEN NEW.name <> OLD.name BEGIN"
    " INSERT INTO words (words, rowid, name) VALUES ('delete', OLD.id, OLD.name);"
    " INSERT INTO words (rowid, name) VALUES (NEW.id, NEW.name); END",
]
NOTES = "CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT UNIQUE)"
HARMLESS = {
    "a full-text index": FULL_TEXT,
    "a table of its own": [
        NOTES,
        "CREATE TRIGGER noting AFTER UPDATE ON app_author BEGIN"
        " INSERT INTO notes (note) SELECT name FROM app_author WHERE true"
        " ON CONFLICT (note) DO UPDATE SET note = excluded.note; END",
    ],
    "nothing": [
        "CREATE TRIGGER refusing BEFORE DELETE ON app_tag WHEN OLD.label = 'kept'"
        " BEGIN SELECT RAISE(ABORT, 'kept'); END"
    ],
    "a foreign key that changes another table": [
        "CREATE TABLE shelf (id INTEGER PRIMARY KEY,"
        " author INTEGER REFERENCES app_author (id) ON DELETE CASCADE)"
    ],
}
WRITES = "UPDATE app_author SET name = name || '!' WHERE name = 'x'"
REACHING = {
    "by itself": [f"CREATE TRIGGER t AFTER INSERT ON app_book BEGIN {WRITES}; END"],
    "its own table": [f"CREATE TRIGGER t AFTER UPDATE OF name ON app_author BEGIN {WRITES}; END"],
    "through another trigger": [
        NOTES,
        f"CREATE TRIGGER t AFTER DELETE ON notes BEGIN {WRITES}; END",
        "CREATE TRIGGER u AFTER INSERT ON app_book BEGIN DELETE FROM notes; END",
    ],
    "through a view": [
        "CREATE VIEW named AS SELECT id, name FROM app_author",
        f"CREATE TRIGGER t INSTEAD OF INSERT ON named BEGIN {WRITES}; END",
        NOTES,
        "CREATE TRIGGER u AFTER INSERT ON notes BEGIN INSERT INTO named VALUES (1, 'a'); END",
    ],
    "by an upsert": [
        NOTES,
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN INSERT INTO app_author (id, name)"
        " VALUES (NEW.id, NEW.note) ON CONFLICT (id) DO UPDATE SET name = 'z'; END",
    ],
    "by an upsert that fires it": [
        NOTES,
        f"CREATE TRIGGER t AFTER UPDATE ON notes BEGIN {WRITES}; END",
        "CREATE TRIGGER u AFTER INSERT ON app_book BEGIN INSERT INTO notes VALUES (1, 'a')"
        " ON CONFLICT (id) DO UPDATE SET note = 'b'; END",
    ],
    "by a foreign key": [
        "CREATE TABLE shelf (id INTEGER PRIMARY KEY)",
        "CREATE TABLE board (id INTEGER PRIMARY KEY,"
        " shelf INTEGER REFERENCES shelf (id) ON DELETE CASCADE)",
        f"CREATE TRIGGER t AFTER DELETE ON board BEGIN {WRITES}; END",
    ],
    "from the log": [f"CREATE TRIGGER t AFTER INSERT ON auditrepr_auditlog BEGIN {WRITES}; END"],
    "what cannot be compiled here": [
        NOTES,
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN SELECT elsewhere(NEW.note); END",
    ],
}


def reaches() -> bool:
    return get_vendor("default").statement_reaches_beyond()


@pytest.mark.sqlite
@pytest.mark.parametrize("made", HARMLESS.values(), ids=HARMLESS)
def test_a_trigger_that_writes_no_audited_table_makes_no_doubt(made: list[str]):
    assert not reaches()
    sql(*made)
    assert not reaches()
    author = Author.objects.create(name="a")
    book = Book.objects.create(title="t", author=author)
    for name in "bcbcb":
        next_moment()
        Author.objects.filter(pk=author.pk).update(name=name)
        next_moment()
        Book.objects.filter(pk=book.pk).update(title=name)
    outcomes = build([Event.of(event) for event in AuditLog.objects.order_by("pk")], "default")
    assert {(o.fidelity, o.reason) for o in outcomes} == {(Fidelity.EXACT, "")}


@pytest.mark.sqlite
@pytest.mark.parametrize("made", REACHING.values(), ids=REACHING)
def test_one_that_may_write_an_audited_table_does(made: list[str]):
    assert not reaches()
    sql(*made)
    assert reaches()


@pytest.mark.sqlite
def test_what_a_trigger_may_write_is_found_once_for_a_schema(django_assert_num_queries):
    sql(*FULL_TEXT)
    reaches()
    with django_assert_num_queries(1):
        reaches()


@pytest.mark.sqlite
def test_a_full_text_index_whose_own_table_is_audited_makes_doubt():
    sql(*FULL_TEXT)
    assert not reaches()
    audit("words_content" if "words_content" in tables() else "words_data")
    assert reaches()


def tables() -> list[str]:
    return [name for (name,) in sql("SELECT name FROM sqlite_master WHERE type = 'table'")]


@pytest.mark.sqlite
def test_what_a_trigger_did_in_a_statement_of_another_moment_makes_no_doubt():
    """One second is long: only what has the same time can have come in the same statement."""
    sql(*REACHING["its own table"])
    author = Author.objects.create(name="a")
    for name in "bababa":
        next_moment()
        Author.objects.filter(pk=author.pk).update(name=name)
    next_moment()
    Book.objects.create(title="t", author=author)
    outcomes = build([Event.of(event) for event in AuditLog.objects.order_by("pk")], "default")
    assert [o.reason for o in outcomes] == [""] * 8


@pytest.mark.sqlite
def test_all_that_a_statement_does_has_one_time_however_long_it_takes():
    sql(
        NOTES,
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN"
        " INSERT INTO app_author (id, name) VALUES (NEW.id, 'x'); END",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO notes SELECT i, i FROM n RETURNING id",
    )
    times = AuditLog.objects.filter(table_name="app_author").values_list("occurred_at", flat=True)
    assert (len(times), len(set(times))) == (3000, 1)
