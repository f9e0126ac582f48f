"""Tests free queries: they see whole tables as of the event, or the event is mixed."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.db.models import Count, Exists, Func, IntegerField, Subquery, Window
from django.db.models.functions import Length, RowNumber
from django.forms.models import model_to_dict
from django.test.utils import CaptureQueriesContext

from auditrepr.asof.phases import TODAY
from auditrepr.asof.queries import changed_tables
from auditrepr.asof.queries.past_tables import ORDER
from auditrepr.asof.states.states import BESIDE
from auditrepr.asof.states.truncations import EMPTIED
from auditrepr.models import AuditLog
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.app import asking
from tests.app.asking import Question
from tests.app.fields import ByName, ByPair
from tests.app.models import Author, Book
from tests.app.moment import Slot, Step
from tests.app.relations import Line, Order
from tests.capturing import next_moment, sql

pytestmark = pytest.mark.django_db


@contextmanager
def question(answer):
    """A row whose text is this answer."""
    asking.QUESTIONS["test"] = answer
    try:
        yield Question.objects.create(kind="test")
    finally:
        del asking.QUESTIONS["test"]


def built(of="app_question"):
    rows = AuditLog.objects.filter(table_name=of).order_by("pk")
    return [
        (one.text.removeprefix("test: ") if one.text else one.failure.error_class, one.reason)
        for one in build([Event.of(row) for row in rows], "default")
    ]


def names():
    return list(Author.objects.order_by("pk").values_list("name", flat=True))


def test_rows_that_were_changed_added_and_deleted_since_are_as_they_were():
    one, two = (Author.objects.create(name=name) for name in "ab")
    with question(names):
        one.name = "z"
        one.save()
        two.delete()
        Author.objects.create(name="c")
        assert built() == [("['a', 'b']", "")]


def test_a_change_of_keys_is_undone():
    ByName.objects.create(name="a", note="first")
    ByName.objects.create(name="b", note="second")
    with question(lambda: list(ByName.objects.order_by("name").values_list("name", "note"))):
        sql("UPDATE app_byname SET name = 'c' WHERE name = 'a'")
        sql("UPDATE app_byname SET name = 'a' WHERE name = 'b'")
        assert built() == [("[('a', 'first'), ('b', 'second')]", "")]


def pairs():
    """What queries find in a table whose key has two columns."""
    every = ByPair.objects.order_by("pk")
    return [
        list(every.values_list("pk", "note")),
        [str(one) for one in ByPair.objects.all()],
        every.filter(pk__in=[(1, "a"), (2, "it's")]).count(),
        [one.note for one in ByPair.objects.filter(pk=(1, "a"))],
        list(every.values_list("left").annotate(Count("pk"))),
    ]


def test_a_key_of_several_columns_is_found_as_it_was():
    for left, right in ((1, "a"), (1, "b"), (2, "it's"), (2**31 - 1, '"é"')):
        ByPair.objects.create(left=left, right=right, note=f"{left}")
    then = pairs()
    with question(pairs):
        ByPair.objects.filter(pk=(1, "a")).update(note="new")
        ByPair.objects.filter(right="b").update(left=7)
        ByPair.objects.filter(left=2).update(left=1, right="b")
        ByPair.objects.filter(right='"é"').delete()
        ByPair.objects.create(left=3, right="c", note="later")
        assert built() == [(str(then), "")]


def test_sets_of_what_has_such_a_key_are_as_they_were():
    slot = Slot.objects.create(name="s")
    for number in (1, 2):
        Step.objects.create(slot=slot, number=number, text=f"t{number}")

    def steps():
        found = slot.steps.filter(number__gt=0).order_by("-number")
        return [[one.text for one in found], found.last().pk, slot.steps.get(text="t2").number]

    then = steps()
    with question(steps):
        Step.objects.filter(number=2).update(text="new")
        Step.objects.filter(number=1).update(number=5)
        assert built() == [(str(then), "")]


def test_a_deletion_sees_what_was_there_before_its_own_statement():
    with question(lambda: Question.objects.filter(kind="test").count()):
        next_moment()
        Question.objects.create(kind="test")
        next_moment()
        sql("DELETE FROM app_question WHERE kind = 'test'")
        assert [text for text, _ in built()] == ["1", "2", "2", "2"]


def test_a_row_sees_its_whole_statement_in_its_own_table():
    with question(lambda: Question.objects.filter(kind="test").count()):
        next_moment()
        Question.objects.bulk_create([Question(kind="test")] * 2)
        next_moment()
        sql("DELETE FROM app_question WHERE kind = 'test'")
        assert [text for text, _ in built()] == ["1", *"33333"]
        reasons = {reason for _, reason in built()[1:]}
    assert reasons == ({BESIDE} if connection.vendor == "sqlite" else {""})


def in_order(rows, **locking):
    return rows.order_by("pk").select_for_update(**locking)


LOCKING = {
    "a table": lambda: in_order(Author.objects),
    "a set": lambda: in_order(Author.objects.get(name="a").books, nowait=True),
    "some": lambda: in_order(Book.objects, skip_locked=True, of=["self"]),
}


@pytest.mark.parametrize("ask", LOCKING.values(), ids=LOCKING)
def test_rows_that_live_code_locks_are_read_as_they_were(ask):
    author = Author.objects.create(name="a")
    book = Book.objects.create(title="b", author=author)

    def locked() -> str:
        with transaction.atomic():
            return str([*map(str, ask())])

    then = locked()
    with question(locked):
        Book.objects.filter(pk=book.pk).update(title="later")
        Author.objects.create(name="later")
        assert built() == [(then, "")]


def test_what_get_finds_nothing_of_raises_as_live_code_does():
    with question(lambda: Author.objects.get(name="late").name):
        Author.objects.create(name="late")
        assert built() == [("Author.DoesNotExist", "")]


def test_a_table_that_is_not_audited_is_read_as_it_is_now_and_is_mixed():
    with question(lambda: len(sql("SELECT session_key FROM django_session"))):
        assert built() == [("0", TODAY)]


def test_a_statement_that_cannot_be_read_is_sent_as_it_is_once_and_said():
    Author.objects.create(name="a")
    statement = "SELECT max(n) FROM (VALUES (1), (2)) v (n)"
    if connection.vendor == "sqlite":
        statement = "SELECT max(rowid) > 0 FROM app_author"
    with question(lambda: len(sql(statement))):
        with CaptureQueriesContext(connection) as queries:
            assert built() == [("1", TODAY)]
        assert [q["sql"] for q in queries if q["sql"].startswith("SELECT max")] == [statement]


def test_a_limit_without_an_order_is_mixed():
    Author.objects.bulk_create([Author(name="a"), Author(name="a")])
    with question(lambda: Author.objects.order_by().values_list("name")[:1][0]):
        assert built() == [("('a',)", ORDER)]


def raw(statement):
    """What a statement of the project's own returns."""

    def ask():
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    return ask


OF_ALL_COLUMNS = {
    "cursor": raw("SELECT * FROM app_author ORDER BY id"),
    "objects": lambda: [one.name for one in Author.objects.raw("SELECT * FROM app_author")],
    "qualified": raw("SELECT a.* FROM app_author a WHERE a.name <> '' ORDER BY a.id"),
    "within": raw("SELECT name FROM (SELECT * FROM app_author) a ORDER BY 1"),
    "common": raw("WITH w AS (SELECT * FROM app_author) SELECT name FROM w ORDER BY id"),
    "comment": raw("/* shop */ SELECT name FROM app_author -- all\n ORDER BY id -- and so on"),
    "joined": raw(
        "SELECT a.*, l.* FROM app_author a LEFT JOIN app_line l ON a.id = l.id ORDER BY a.id"
    ),
}


@pytest.mark.parametrize("ask", OF_ALL_COLUMNS.values(), ids=OF_ALL_COLUMNS)
def test_all_columns_are_those_of_then(ask):
    one, _ = (Author.objects.create(name=name) for name in "ab")
    with question(ask) as asked:
        as_then = str(asked).removeprefix("test: ")
        Author.objects.filter(pk=one.pk).update(name="now")
        Author.objects.create(name="later")
        assert built() == [(as_then, "")]


@pytest.mark.parametrize("end", [";", " ;\n", "; -- all of them"])
def test_a_statement_may_end_with_a_semicolon(end):
    Author.objects.create(name="a")
    with question(raw(f"SELECT name FROM app_author ORDER BY id{end}")):
        Author.objects.update(name="later")
        assert built() == [("[('a',)]", "")]


@pytest.mark.postgresql
@pytest.mark.parametrize("bound", [False, True])
def test_statements_that_psycopg_composes_are_read_as_well(bound):
    from psycopg.sql import SQL, Identifier

    named = SQL("SELECT name FROM {} WHERE name <> '%%'").format(Identifier("app_author"))
    some = b"SELECT name FROM app_author WHERE id > %s"

    def ask() -> str:
        with connection.cursor() as cursor:
            cursor.execute(some, [0]) if bound else cursor.execute(named, [])
            return str(cursor.fetchall())

    Author.objects.create(name="a")
    with question(ask):
        Author.objects.update(name="later")
        assert built() == [("[('a',)]", "")]


def test_all_columns_come_in_the_order_of_the_table(monkeypatch):
    """A column that was added to the midst of a model is the table's last one."""
    author = Author.objects.create(name="a")
    fields = Author._meta.local_concrete_fields
    with question(raw("SELECT * FROM app_author")) as asked:
        as_then = str(asked).removeprefix("test: ")
        Author.objects.filter(pk=author.pk).update(name="now")
        monkeypatch.setattr(Author._meta, "local_concrete_fields", (*reversed(fields),))
        assert built() == [(as_then, "")]


def test_all_columns_may_be_some_that_the_log_lacks():
    Book.objects.create(title="x", secret="hidden")
    with question(lambda: [book.title for book in Book.objects.raw("SELECT * FROM app_book")]):
        Book.objects.update(title="y")
        assert built() == [("['x']", "secret is not in the log")]


def test_all_columns_may_be_some_that_the_model_lacks():
    Author.objects.create(name="a")
    sql("ALTER TABLE app_author ADD COLUMN other integer")
    with question(lambda: [one[1] for one in sql("SELECT * FROM app_author")]):
        Author.objects.update(name="now")
        ((text, reason),) = built()
    sql("ALTER TABLE app_author DROP COLUMN other")
    assert (text, reason) == ("['now']", TODAY)


AS_STORED = {
    "columns": raw("SELECT published, title FROM app_book ORDER BY id"),
    "joined": raw(
        "SELECT b.published FROM app_book a JOIN app_book b ON a.id = b.id ORDER BY a.id"
    ),
    "within": raw("SELECT published FROM (SELECT published, id FROM app_book) b ORDER BY id"),
    "a value": raw("SELECT (SELECT published FROM app_book WHERE title = 'x')"),
    "a group": raw("SELECT published, count(id) FROM app_book GROUP BY published ORDER BY 1"),
    "the greatest": raw("SELECT max(published) FROM app_book"),
}


@pytest.mark.parametrize("changed", ["x", "y", "xy"])
@pytest.mark.parametrize("ask", AS_STORED.values(), ids=AS_STORED)
def test_cursors_give_values_of_the_types_that_columns_have(ask, changed):
    for day, title in enumerate("xy", 1):
        Book.objects.create(title=title, published=f"2024-01-0{day}")
    with question(ask) as asked:
        as_then = str(asked).removeprefix("test: ")
        Book.objects.filter(title__in=changed).update(published=None)
        assert built() == [(as_then, "")]


UNORDERED = {
    "objects": lambda: [one.name for one in Author.objects.all()],
    "values": lambda: list(Author.objects.filter(name__lt="z").values_list("name", flat=True)),
    "iterator": lambda: [one.name for one in Author.objects.defer("id").iterator()],
    "raw": raw("SELECT name AS id FROM app_author WHERE (id > 0 AND name IN ('a', 'b', 'c'))"),
    "raw with an alias": raw("SELECT a.name FROM app_author AS a"),
}


@pytest.mark.parametrize("ask", UNORDERED.values(), ids=UNORDERED)
def test_rows_without_an_order_come_as_they_were_inserted(ask):
    one, *_ = (Author.objects.create(name=name) for name in "abc")
    with question(ask) as asked:
        as_then = str(asked).removeprefix("test: ")
        Author.objects.filter(pk=one.pk).update(name="now")
        assert built() == [(as_then, "")]


def books(*order):
    return Book.objects.defer("secret").filter(title__gt="a").order_by(*order)


def after(title, *order):
    """Those after a book of this title, as Django's ``get_next_in_order()`` finds them."""
    there = Subquery(Book.objects.filter(title=title).values("published"))
    return books(*order).filter(published__gt=there)


JOIN = "string_agg" if connection.vendor == "postgresql" else "group_concat"
LEFT_OPEN = {
    "first": lambda: books("price").first().title,
    "latest": lambda: books().latest("price").title,
    "one in the middle": lambda: books("-price")[1].title,
    "a slice": lambda: [b.title for b in books("price")[1:3]],
    "of those with a subquery": lambda: books("price").filter(pk__in=books()).first().title,
    "by an annotation": lambda: books().annotate(n=Length("title")).order_by("n")[0].title,
    "by an expression": lambda: books(Length("title"), "price").values_list("title").first(),
    "a group": lambda: list(
        books().values_list("price", "title").annotate(n=Count("pk")).order_by("n", "price")[:1]
    ),
    "a subquery": lambda: list(
        Author.objects.values_list(Subquery(Book.objects.order_by("price").values("title")[:1]))
    ),
    "a window": lambda: list(
        books("pk").annotate(n=Window(RowNumber(), order_by="price")).values_list("n")
    ),
    "joined texts": raw(f"SELECT {JOIN}(title, ',') FROM app_book"),
}  # fmt: skip
CLOSED = {
    "all have their own": lambda: books("published").first().title,
    "the last of its kind": lambda: books("-published").values_list("title")[0],
    "in the middle": lambda: [b.title for b in books("published")[1:2]],
    "after another": lambda: after("y", "published").first().title,
    "before a subquery": lambda: books("published").annotate(n=Exists(books())).first().title,
    "by a part of it": lambda: books("published__day").filter(published__year=2024).first().title,
    "equal ones left out": lambda: books("-price", "published").values_list("title")[:1][0],
    "by key": lambda: books("price", "pk").first().title,
    "a group": lambda: list(
        books().values_list("price").annotate(n=Count("pk")).order_by("n", "price")[:1]
    ),
    "a subquery": lambda: list(
        Author.objects.values_list(Subquery(Book.objects.order_by("pk").values("title")[:1]))
    ),
    "a window": lambda: list(
        books("pk").annotate(n=Window(RowNumber(), order_by="pk")).values_list("n")
    ),
    "get": lambda: books("price").get(title="x").title,
    "being": lambda: books("price").exists(),
    "joined in order": raw(
        f"SELECT {JOIN}(title, ',' ORDER BY id) FROM app_book"
        if connection.vendor == "postgresql"
        else "SELECT count(title) FROM app_book"
    ),
}


@pytest.mark.parametrize("name", [*LEFT_OPEN, *(f"no {name}" for name in CLOSED)])
def test_which_of_equal_rows_the_database_takes_is_not_known_if_one_changed_since(name):
    closed = name.startswith("no ")
    ask = CLOSED[name[3:]] if closed else LEFT_OPEN[name]
    Author.objects.create(name="a")
    for day, title in enumerate("xyz", 1):
        Book.objects.create(title=title, published=f"2024-01-0{day}")
    with question(ask):
        as_then = str(ask())
        ((text, reason),) = built()
        assert (text, reason) == (as_then, "")  # nothing has changed since
        Book.objects.filter(title="x").update(title="xx", price=3)
        ((text, reason),) = built()
    assert reason == ("" if closed else ORDER)
    assert not closed or text == as_then


def lines(*order):
    return Line.with_hidden.order_by(*order)


def of_a_line(*order):
    found = lines(*order).filter(order__ref="o").values("item")[:1]
    return str(list(Author.objects.values_list(Subquery(found))))


TAKEN = {
    "a joined table's unique column": lambda: lines("order__ref").first().item,
    "the same, within a subquery": lambda: of_a_line("order__ref"),
    "a key, of groups of more": lambda: (
        Order.objects.values_list("pk", "lines__item").annotate(n=Count("lines")).order_by("pk")
    )[0],
    "a key, of different rows of more": lambda: (
        Order.objects.values_list("pk", "lines__item").distinct().order_by("pk").first()
    ),
    "by an annotation": lambda: lines().annotate(n=Length("item")).order_by("n").first().item,
    "the parent's key": lambda: Order.objects.order_by("pk").values_list("lines__item").first()[0],
    "21": lambda: str([line.item for line in lines()[:21]]),
    "21 of all": lambda: [line.item for line in lines()[:21]] and lines().get(item="9").item,
    "str": lambda: str(lines()),
    "an f-string": lambda: f"{lines().filter(pk__gt=0)}",
    "raw": lambda: str(raw("SELECT item FROM app_line LIMIT 21")()),
    "an offset": lambda: str(sorted(line.item for line in lines("quantity")[1:])),
}
NOT_TAKEN = {
    "a key": lambda: lines("pk").select_related("order__parent").first().item,
    "a key, within a subquery": lambda: of_a_line("pk"),
    "a key, with a joined table's column": lambda: lines("order__ref", "pk").first().item,
    "a key, with what is counted": lambda: (
        Order.objects.annotate(n=Count("lines__item")).order_by("-n", "pk").first().ref
    ),
    "a key, with what is counted and joined": lambda: (
        lines("pk").annotate(n=Count("order__children")).values_list("item", "order__ref").first()
    ),
    "a key, of different rows": lambda: (
        Order.objects.filter(lines__item__gt="").distinct().order_by("pk").first().ref
    ),
    "the only one, by an annotation": lambda: (
        lines().filter(item="9").annotate(n=Length("item")).order_by("n").first().item
    ),
    "the only one of different rows": lambda: (
        Order.objects.filter(lines__item__gt="").distinct().order_by("ref").first().ref
    ),
    "a joined table's own values": lambda: (
        Order.objects.order_by("pk").values_list("children__ref", "lines").filter(lines=None)
    ).first(),
    "20": lambda: str(sorted(line.item for line in lines().filter(item__lt="8")[:21])),
    "str": lambda: str(lines("pk")),
    "str of few": lambda: str(lines().filter(item="9")),
    "get": lambda: lines().get(item="9").item,
    "an offset": lambda: str([line.item for line in lines("item")[1:]]),
}


@pytest.mark.parametrize("name", [*TAKEN, *(f"no {name}" for name in NOT_TAKEN)])
def test_which_rows_of_many_the_database_takes(name):
    closed = name.startswith("no ")
    Author.objects.create(name="a")
    order = Order.objects.create(ref="o")
    Order.objects.create(ref="p")
    for n in range(22):
        Line.objects.create(order=order, item=f"{n}")
    with question(NOT_TAKEN[name[3:]] if closed else TAKEN[name]) as asked:
        as_then = str(asked).removeprefix("test: ")
        Line.objects.filter(item="0").update(item="z")
        ((text, reason),) = built()
    assert reason == ("" if closed else ORDER)
    assert not closed or text == as_then


def test_what_get_finds_several_of_raises_as_live_code_does():
    """However many there are: no order would have made it one."""
    Author.objects.bulk_create([Author(name="a")] * 25)
    with question(lambda: Author.objects.get(name="a")):
        Author.objects.update(name="b")
        ((event,),) = [AuditLog.objects.filter(table_name="app_question")]
        (outcome,) = build([Event.of(event)], "default")
    assert (outcome.failure.error_class, outcome.failure.final) == (
        "Author.MultipleObjectsReturned",
        True,
    )


def test_a_column_that_is_excluded_is_neither_shown_nor_called_known():
    Book.objects.create(title="x", secret="hidden")
    with question(lambda: list(Book.objects.values_list("title", "secret"))):
        Book.objects.update(title="y")
        ((text, reason),) = built()
    assert "hidden" not in text
    assert "secret" in reason


def test_more_changes_than_the_bound_are_mixed(monkeypatch):
    monkeypatch.setattr(changed_tables, "MOST", 2)
    with question(names):
        Author.objects.bulk_create([Author(name="a")] * 2)
        assert built() == [("[]", "")]
        Author.objects.create(name="b")
        assert built() == [("['a', 'a', 'b']", TODAY)]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_table_that_was_emptied_since_is_what_the_log_has_of_it_and_may_have_held_more():
    one, two, three, _ = (Author.objects.create(name=name) for name in "abcd")
    Author.objects.filter(pk=one.pk).update(name="z")
    three.delete()
    with question(names):
        Author.objects.filter(pk=two.pk).delete()
        Author.objects.filter(pk=one.pk).update(name="y")
        Author.objects.create(name="late")
        sql("TRUNCATE app_author CASCADE")
        sql(f"INSERT INTO app_author (id, name) VALUES ({one.pk}, 'again')")
        assert built() == [("['z', 'b', 'd']", EMPTIED)]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_what_came_after_an_earlier_emptying_is_known_whole():
    Author.objects.create(name="gone")
    sql("TRUNCATE app_author CASCADE")
    Author.objects.bulk_create([Author(name=name) for name in "ab"])
    with question(names):
        sql("TRUNCATE app_author CASCADE")
        Author.objects.create(name="c")
        Question.objects.update(n=1)
        sql("TRUNCATE app_author CASCADE")
        assert built() == [("['a', 'b']", ""), ("['c']", "")]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_emptied_table_without_any_row_is_empty_in_each_kind_of_query():
    sql("TRUNCATE app_author CASCADE")
    with question(lambda: (names(), Author.objects.count(), Author.objects.exists())):
        Author.objects.create(name="a")
        sql("TRUNCATE app_author CASCADE")
        assert built() == [("([], 0, False)", "")]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_more_events_of_an_emptied_table_than_the_bound_are_said(monkeypatch):
    Author.objects.bulk_create([Author(name="a")] * 3)
    with question(names):
        sql("TRUNCATE app_author CASCADE")
        monkeypatch.setattr(changed_tables, "MOST", 3)
        assert built() == [("[]", TODAY)]
        monkeypatch.setattr(changed_tables, "MOST", 4)
        assert built() == [("['a', 'a', 'a']", EMPTIED)]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_column_that_is_not_known_of_a_row_of_an_emptied_table_is_said():
    Book.objects.create(title="x", secret="hidden")
    with question(lambda: list(Book.objects.values_list("title", "secret"))):
        sql("TRUNCATE app_book CASCADE")
        ((text, reason),) = built()
    assert ("x" in text, "hidden" in text, "secret" in reason) == (True, False, True)


@pytest.mark.parametrize("parameters", [["a%"], {"like": "a%"}, None])
def test_raw_parameters_of_each_kind_are_kept(parameters):
    Author.objects.create(name="ab")
    where = {list: "name LIKE %s", dict: "name LIKE %(like)s", type(None): "name LIKE 'a%'"}

    def ask():
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(id) FROM app_author WHERE {where[type(parameters)]}", parameters
            )
            return cursor.fetchone()[0]

    with question(ask):
        Author.objects.create(name="ac")
        Author.objects.filter(name="ab").update(name="x")
        assert built() == [("1", "")]


@pytest.mark.proof
def test_a_batch_of_any_size_takes_as_many_queries_of_our_own():
    order = Order.objects.create(ref="r")

    def ask():
        return Line.with_hidden.count(), Order.objects.filter(ref="r").exists()

    counts = []
    for size in (3, 60):
        with question(ask):
            for n in range(size):
                Question.objects.create(kind="test")
                Line.objects.create(order=order, item=str(n))
            with CaptureQueriesContext(connection) as queries:
                outcomes = built()
            assert all(reason == "" for _, reason in outcomes)
            theirs = 2 * len(outcomes)
            counts.append(len(queries) - theirs)
        Question.objects.all().delete()
        AuditLog.objects.filter(table_name="app_question").delete()
    assert counts[1] <= counts[0]


@contextmanager
def sent():
    """The statements as the database gets them, whoever rewrites them on their way."""
    statements: list[str] = []
    if connection.vendor == "sqlite":
        connection.connection.set_trace_callback(statements.append)
        yield statements
        connection.connection.set_trace_callback(None)
        return
    with CaptureQueriesContext(connection) as queries:
        yield statements
    statements += [query["sql"] for query in queries]


def test_one_row_is_found_by_the_index():
    """By what the database says of its plan: nothing here depends on time."""
    Author.objects.bulk_create([Author(name=str(n)) for n in range(2000)])
    sql("ANALYZE app_author")
    pk = Author.objects.last().pk

    def ask():
        with connection.cursor() as cursor:
            cursor.execute("SELECT a.name FROM app_author a WHERE a.id = %s", [pk])
            return cursor.fetchall()

    with question(ask), sent() as statements:
        Author.objects.filter(name__in=["1", "2"]).update(name="x")
        assert built() == [("[('1999',)]", "")]
    (asked,) = [one for one in statements if "a.id =" in one and "WITH" in one]
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {asked}")
        plan = "\n".join(str(row) for row in cursor.fetchall())
    index = {"sqlite": "SEARCH live USING INTEGER PRIMARY KEY", "postgresql": "app_author_pkey"}
    assert index[connection.vendor] in plan, plan
    assert "Seq Scan on app_author" not in plan, plan
    assert "SCAN live" not in plan, plan


def one_book():
    return Book.objects.get(title="x")


def loaded(book):
    book.refresh_from_db()
    return book.title


#: Objects of a model with a column that is never recorded, and whether the code reads it.
WHOLE = {
    "get": (lambda: one_book().title, False),
    "all": (lambda: [book.title for book in Book.objects.order_by("pk")], False),
    "iterator": (lambda: [b.title for b in Book.objects.order_by("pk").iterator()], False),
    "of a set": (lambda: [b.title for b in Author.objects.get().books.order_by("pk")], False),
    "an annotated set": (
        lambda: [b.n for b in Author.objects.get().books.annotate(n=Length("title"))],
        False,
    ),
    "what an annotated set reads": (
        lambda: [b.secret for b in Author.objects.get().books.annotate(n=Length("title"))],
        True,
    ),
    "joined": (lambda: [b.title for b in Book.objects.filter(author__name="a")], False),
    "select_related": (lambda: Book.objects.select_related("author").get().author.name, False),
    "annotated": (lambda: Book.objects.annotate(n=Length("title")).get().n, False),
    "prefetched": (
        lambda: [b.title for b in Author.objects.prefetch_related("books").get().books.all()],
        False,
    ),
    "its relation": (lambda: one_book().author.name, False),
    "deferred": (lambda: Book.objects.defer("secret").get().title, False),
    "what is deferred": (lambda: sorted(one_book().get_deferred_fields()), False),
    "equal": (lambda: one_book() == Book(pk=one_book().pk), False),
    "read": (lambda: one_book().secret, True),
    "of all": (lambda: [book.secret for book in Book.objects.all()], True),
    "attributes": (lambda: vars(one_book())["secret"], True),
    "a form": (lambda: model_to_dict(one_book(), ["secret"]), True),
    "a condition": (lambda: [b.title for b in Book.objects.filter(secret="hidden")], True),
    "an order": (lambda: [book.title for book in Book.objects.order_by("secret", "pk")], True),
    "distinct": (lambda: [book.title for book in Book.objects.distinct()], True),
    "a part": (lambda: Book.objects.only("secret").get().title, True),
    "values": (lambda: list(Book.objects.values_list("secret")), True),
    "an expression": (lambda: Book.objects.annotate(n=Length("secret")).get().n, True),
    "raw": (lambda: Book.objects.raw("SELECT id, title, secret FROM app_book")[0].title, True),
    "again": (lambda: loaded(one_book()), False),
}  # fmt: skip


@pytest.mark.parametrize("changed", [True, False])
@pytest.mark.parametrize("name", WHOLE)
def test_objects_of_a_query_are_exact_unless_code_reads_what_is_never_recorded(name, changed):
    ask, reads = WHOLE[name]
    Book.objects.create(title="x", secret="hidden", author=Author.objects.create(name="a"))
    with question(ask) as asked:
        as_then = str(asked).removeprefix("test: ")
        if changed:
            Book.objects.update(title="now", secret="later")
        ((text, reason),) = built()
    assert reason == ("secret is not in the log" if reads else "")
    assert reads or text == as_then


FUNCTIONS = """
CREATE FUNCTION number_of(text) RETURNS bigint LANGUAGE sql STABLE
    AS 'SELECT count(*) FROM app_author WHERE name = $1';
CREATE FUNCTION "Through"(name text) RETURNS text LANGUAGE plpgsql
    AS 'BEGIN RETURN number_of(name); END';
CREATE FUNCTION twice(text) RETURNS text LANGUAGE sql AS 'SELECT $1 || $1';
CREATE SCHEMA other CREATE TABLE others (id int);
CREATE FUNCTION other.atomic() RETURNS bigint LANGUAGE sql
    BEGIN ATOMIC SELECT count(*) FROM app_author; END;
"""
CALLS = {
    "of SQL": raw("SELECT number_of('a')"),
    "of another": raw("""SELECT name, "Through" (name) FROM app_author"""),
    "by Django": lambda: list(
        Author.objects.values_list(Func("name", function="number_of", output_field=IntegerField()))
    ),
    "of a related set": lambda: list(
        Author.objects.get().books.values_list(
            Func("title", function="number_of", output_field=IntegerField())
        )
    ),
    "of another schema": raw("SELECT other.atomic()"),
    "of PostgreSQL": raw("SELECT query_to_xml('SELECT 1', true, true, '')::text"),
}


@pytest.mark.postgresql
@pytest.mark.parametrize("name", CALLS)
def test_a_function_that_reads_tables_reads_them_as_they_are_now_and_is_mixed(name):
    sql(FUNCTIONS)
    author = Author.objects.create(name="a")
    Book.objects.create(title="a", author=author)
    with question(CALLS[name]):
        assert built() == [(str(CALLS[name]()), TODAY)]


@pytest.mark.postgresql
def test_a_function_that_reads_no_table_makes_no_doubt():
    sql(FUNCTIONS)
    Author.objects.create(name="a")
    with question(raw("SELECT twice(name), concat('number_of(', name) FROM app_author")):
        Author.objects.update(name="b")
        assert built() == [("[('aa', 'number_of(a')]", "")]
