"""Tests the as-of facet: rows as of an event, from the log."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, Error, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, IntegerField, Model, TextField

from auditrepr.models import AuditLog
from auditrepr.utils.model_meta import own_fields
from auditrepr.utils.time_limit import TimeLimit
from auditrepr.vendors import Vendor
from auditrepr.vendors.types import NOT_RECORDED, Event, Found, Image, Moment, Name, Row, Step
from tests.app.conversion import Formatted, Owner, OwnFields
from tests.app.fields import ByPair, ByUUID, Everything
from tests.app.large import Volume
from tests.app.models import Author, Book, Tag
from tests.app.odd_keys import ByMany
from tests.app.relations import Badge
from tests.capturing import sql
from tests.pages import event
from tests.vendors.keyed import BY_COLUMN
from tests.vendors.recording import captured, elsewhere, moments

pytestmark = pytest.mark.django_db

PATIENT = 60
ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
LATER = datetime(2030, 1, 1, tzinfo=UTC)

AUTHORS, BOOKS = "app_author", "app_book"


@pytest.fixture
def life(vendor: Vendor) -> list[Event]:
    """An author's events: added, changed twice, deleted."""
    author = Author.objects.create(name="a")
    for name in ("b", "c"):
        Author.objects.filter(pk=author.pk).update(name=name)
    author.delete()
    return moments(AUTHORS)


def at(ids: list[int], *, apart: bool) -> None:
    """Let these events be of one statement, or of statements a minute apart."""
    first = AuditLog.objects.get(pk=ids[0])
    for n, pk in enumerate(ids):
        when = LATER + timedelta(minutes=n) if apart else first.occurred_at
        said = first.statement_at and (when if apart else first.statement_at)
        AuditLog.objects.filter(pk=pk).update(occurred_at=when, statement_at=said)


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_reading_sees_one_moment(vendor: Vendor) -> None:
    with vendor.reading(TimeLimit(PATIENT)):
        assert Author.objects.count() == 0
        elsewhere(lambda: Author.objects.create(name="new"))
        assert Author.objects.count() == 0
    assert Author.objects.count() == 1


def refuses_to_write(vendor: Vendor) -> None:
    with pytest.raises(DatabaseError), vendor.reading(TimeLimit(PATIENT)):
        Author.objects.create(name="refused")


@pytest.mark.django_db(transaction=True)
def test_reading_refuses_to_write(vendor: Vendor) -> None:
    refuses_to_write(vendor)
    Author.objects.create(name="kept")
    assert [author.name for author in Author.objects.all()] == ["kept"]


def test_reading_refuses_to_write_in_the_callers_transaction_and_keeps_that(vendor: Vendor) -> None:
    Author.objects.create(name="before")
    with transaction.atomic():
        refuses_to_write(vendor)
        transaction.set_rollback(True)
    with vendor.reading(TimeLimit(PATIENT)):
        assert Author.objects.count() == 1
    Author.objects.create(name="after")
    assert [author.name for author in Author.objects.order_by("pk")] == ["before", "after"]


def test_reading_ends_a_query_that_runs_for_too_long(vendor: Vendor) -> None:
    limit = TimeLimit(0.2)
    with pytest.raises(DatabaseError), vendor.reading(limit), limit.row():
        sql(ENDLESS)
    assert sql("SELECT 1") == [(1,)]


def test_who_reads_may_show_life(vendor: Vendor) -> None:
    with vendor.reading(TimeLimit(PATIENT)):
        vendor.show_life()
        assert Author.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_broken_connection_can_be_discarded_and_another_serves(vendor: Vendor) -> None:
    with pytest.raises(DatabaseError), vendor.reading(TimeLimit(PATIENT)):
        sql("SELECT 1 FROM there_is_no_such_table")
    vendor.discard()
    assert Author.objects.count() == 0
    connection.close()
    vendor.discard()
    assert Author.objects.count() == 0


# --- rows ----------------------------------------------------------------------------------------


def rows(vendor: Vendor, model: type[Model], *images: Image) -> list[tuple[dict[str, Any], Any]]:
    """The images' values, as Django converts them, by attname; and what is missing."""
    fields = own_fields(model)
    found = vendor.image_rows(model, images)
    converted = vendor.converted(fields, [one.values for one in found])
    return [
        (dict(zip((f.attname for f in fields), values, strict=True)), dict(missing))
        for (_, missing, *_), values in zip(found, converted, strict=True)
    ]


def test_images_are_read_typed_as_the_tables_own_rows(vendor: Vendor) -> None:
    author = Author.objects.create(name="Ann")
    book = Book.objects.create(
        title="One", author=author, price=Decimal("1.50"), published=date(2030, 2, 1), secret="x"
    )
    (event,) = moments(BOOKS)
    ((values, missing),) = rows(vendor, Book, Image(event.id))
    assert values == {
        "id": book.pk,
        "title": "One",
        "author_id": author.pk,
        "price": Decimal("1.50"),
        "published": date(2030, 2, 1),
        "secret": None,
    }
    assert missing == {"secret": NOT_RECORDED}


def test_images_hold_the_state_that_an_event_left_and_that_it_found(
    vendor: Vendor, life: list[Event]
) -> None:
    _, changed, _, deleted = life
    wanted = [Image(changed.id), Image(changed.id, before=True), Image(deleted.id)]
    found = vendor.image_rows(Author, [*wanted, Image(deleted.id + 1000)])
    assert {image: list(values)[1] for image, _, values, _ in found} == dict(
        zip(wanted, ["b", "a", "c"], strict=True)
    )


def test_images_of_columns_with_an_expression_are_read_while_other_statements_are_open(
    vendor: Vendor,
) -> None:
    for name in "ab":
        Formatted.objects.create(name=name)
    still_read = Formatted.objects.iterator(chunk_size=1)
    next(still_read)
    for added, name in zip(moments("app_formatted"), "AB", strict=True):
        ((values, _),) = rows(vendor, Formatted, Image(added.id))
        assert (values["name"], values["length"]) == (f"{name}!", 2)
    assert len(list(still_read)) == 1


def test_images_follow_the_renames_of_columns(vendor: Vendor) -> None:
    author = Author.objects.create(name="Ann")
    (event,) = moments(AUTHORS)
    renamed = Image(event.id, steps=(Step("name", "label"),))
    ((values, missing),) = rows(vendor, Tag, renamed)
    assert (values, missing) == ({"id": author.pk, "label": "Ann"}, {})
    gone = Image(event.id, steps=(Step("name", None),))
    ((_, missing),) = rows(vendor, Author, gone)
    assert missing == {"name": NOT_RECORDED}


def test_images_have_the_types_that_a_cast_gave_their_columns(vendor: Vendor) -> None:
    text, whole = (str(one.db_type(connection)) for one in (TextField(), IntegerField()))
    boolean = str(BooleanField().db_type(connection))
    assert not vendor.needs_cast(text, text)
    assert not vendor.needs_cast(whole, text)
    assert not vendor.needs_cast(f"{whole}[]", f"{whole}[]")
    Everything.objects.create(integer=5)
    (event,) = moments("app_everything")
    row = AuditLog.objects.get(pk=event.id).row_data
    AuditLog.objects.filter(pk=event.id).update(row_data=row | {"integer": True})
    cast = Step("integer", "integer", types=(boolean, whole))
    steps = (cast,) if vendor.needs_cast(boolean, whole) else ()
    ((values, _),) = rows(vendor, Everything, Image(event.id, steps=steps))
    assert values["integer"] == 1


def test_an_image_that_does_not_fit_is_an_error(vendor: Vendor) -> None:
    Book.objects.create(title="One")
    (event,) = moments(BOOKS)
    unfit = {"id": 1, "published": "no date at all"}
    AuditLog.objects.filter(pk=event.id).update(row_data=unfit)
    with pytest.raises((Error, ValueError)), transaction.atomic():
        rows(vendor, Book, Image(event.id))


def test_images_fit_as_far_as_their_unpacked_sizes_allow(vendor: Vendor) -> None:
    for name in ("x" * 90_000, "", "x" * 90_000):
        Volume.objects.create(name="v", text=name)
    ids = [found.id for found in moments("app_volume")]
    known: dict[int, int] = {}
    assert vendor.fitting(ids, 10**6, known) == 3
    assert vendor.fitting(ids, 100_000, known) == 2
    assert vendor.fitting(ids[1:], 100_000, known) == 2
    assert vendor.fitting(ids, 10, known) == 1, "at least one"


def test_rows_weigh_what_their_columns_unpack_to(vendor: Vendor) -> None:
    for text in ("x" * 90_000, "", "x" * 90_000):
        Volume.objects.create(name="v", text=text)
    fields = [field for field in own_fields(Volume) if field.name == "text"]
    assert "%(expressions)s" in vendor.weight_sql()
    assert 180_000 <= vendor.live_weight(Volume.objects.all(), fields) < 181_000
    assert vendor.live_weight(Volume.objects.all(), []) == 0
    assert vendor.live_weight(Volume.objects.none(), fields) == 0


def test_converted_values_are_those_of_a_query(vendor: Vendor) -> None:
    book = Book.objects.create(title="One", price=Decimal("1.50"), published=date(2030, 2, 1))
    fields = own_fields(Book)
    (raw,) = sql(f"SELECT {', '.join(f.column for f in fields)} FROM {BOOKS}")
    (values,) = vendor.converted(fields, [raw])
    assert list(values) == [getattr(Book.objects.get(pk=book.pk), f.attname) for f in fields]


class Document(TextField):
    """A column whose text is JSON, as it was written, where the database has a type for that."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "json"


def test_every_value_that_the_log_holds_otherwise_is_mixed(vendor: Vendor) -> None:
    Everything.objects.create(float=-0.0, decimal=Decimal("1.50"), text='{"b": 1, "a": 2}')
    fields = own_fields(Everything)
    (event,) = moments("app_everything")
    ((values, _),) = rows(vendor, Everything, Image(event.id))
    row = vars(Everything.objects.get())
    kept = {f.attname for f in fields if repr(values[f.attname]) == repr(row[f.attname])}
    assert {f.attname for f in fields if not vendor.loss(f)} <= kept
    for why, loses in filter(None, map(vendor.loss, [*fields, Document()])):
        assert "a column" in why.format("a column")
        assert not loses(None)


# --- the order of events -------------------------------------------------------------------------


def test_events_of_one_statement_name_the_same_or_none(vendor: Vendor) -> None:
    Author.objects.bulk_create([Author(name="a"), Author(name="b")])
    one, other = moments(AUTHORS)
    assert one.statement_at == other.statement_at


def test_a_statement_reaches_beyond_its_rows_where_a_foreign_key_cascades(vendor: Vendor) -> None:
    sql(
        "CREATE TABLE conformance_parent (id integer PRIMARY KEY)",
        "CREATE TABLE conformance_child (id integer PRIMARY KEY,"
        " parent integer REFERENCES conformance_parent (id) ON DELETE CASCADE)",
    )
    child = captured(vendor, table="conformance_child")
    sql(*vendor.support_sql(), *vendor.install_sql(child))
    assert vendor.statement_reaches_beyond() is True


def test_a_delete_that_did_not_wait_is_not_overtaken(vendor: Vendor, life: list[Event]) -> None:
    assert vendor.overtaken([life[-1].id]) == set()
    assert vendor.overtaken([]) == set()


def test_rows_changed_again_by_one_statement_are_told_from_rows_changed_later(
    vendor: Vendor, life: list[Event]
) -> None:
    ids = [event.id for event in life]
    at(ids, apart=True)
    assert vendor.changed_again(ids) == vendor.together(ids) == set()
    at(ids[1:3], apart=False)
    assert vendor.changed_again(ids) == {ids[1]}
    assert vendor.together(ids) == set(ids[1:3])
    assert vendor.together(ids[1:2]) == {ids[1]}  # next to one that was not asked about


def test_events_that_do_not_fit_their_neighbors_are_out_of_order(
    vendor: Vendor, life: list[Event]
) -> None:
    ids = [event.id for event in life]
    at(ids, apart=False)
    assert vendor.out_of_order(ids) == set()
    one, other = (AuditLog.objects.get(pk=pk) for pk in ids[1:3])
    for pk, held in ((one.pk, other), (other.pk, one)):
        AuditLog.objects.filter(pk=pk).update(
            row_data=held.row_data, changed_from=held.changed_from
        )
    assert vendor.out_of_order(ids) >= {one.pk, other.pk}


@pytest.mark.django_db(transaction=True)
def test_restored_events_are_known_where_events_have_a_snapshot(
    vendor: Vendor, life: list[Event]
) -> None:
    event = life[0]
    if event.snapshot is None:
        for ask in (vendor.newest_transaction, lambda: vendor.restored([event.id])):
            with pytest.raises(NotImplementedError):
                ask()
        return
    newest = vendor.newest_transaction()
    assert event.transaction_id < newest
    assert vendor.restored([event.id]) == set()
    AuditLog.objects.filter(pk=event.id).update(transaction_id=newest + 1000)
    assert vendor.restored([one.id for one in life]) == {event.id}


def test_around_each_moment_lie_the_events_that_it_saw_and_those_that_it_did_not(
    vendor: Vendor, life: list[Event]
) -> None:
    key = str(life[0].object_id)
    added, changed, again, deleted = (event.id for event in life)
    found = vendor.around(Name(AUTHORS), [(event.moment, key) for event in life])
    assert [list(ids[:4]) for ids in found] == [
        [added, None, changed, None],
        [changed, None, again, None],
        [again, None, deleted, None],
        [again, None, None, None],
    ]
    assert [ids[4] for ids in found] == [changed, again, deleted, deleted]
    assert vendor.around(Name(AUTHORS), [(life[0].moment, "no such key")]) == [(None,) * 6]


def test_around_a_moment_a_key_may_be_taken(vendor: Vendor) -> None:
    Badge.objects.create(pk=1)
    Badge.objects.filter(pk=1).update(number=2)
    added, taken = moments(Badge._meta.db_table)
    ((last, last_taking, *_),) = vendor.around(Name(Badge._meta.db_table), [(taken.moment, "1")])
    assert (last, last_taking) == (added.id, taken.id)


def test_around_a_moment_only_the_time_of_a_name_counts(vendor: Vendor, life: list[Event]) -> None:
    at([event.id for event in life], apart=True)
    event, key = Event.of(AuditLog.objects.get(pk=life[2].id)), str(life[0].object_id)
    until = Name(AUTHORS, until=LATER + timedelta(minutes=2))
    ((last, _, later, *_),) = vendor.around(until, [(event.moment, key)])
    assert (last, later) == (life[1].id, None)
    since = Name(AUTHORS, since=LATER + timedelta(minutes=3))
    ((last, _, later, *_),) = vendor.around(since, [(event.moment, key)])
    assert (last, later) == (None, life[3].id)


def test_events_are_selected_by_any_number_of_ids(vendor: Vendor, life: list[Event]) -> None:
    ids = [event.id for event in life[:2]]
    for wanted in (ids, [*ids, *range(10**9, 10**9 + 70_000)], []):
        condition, parameters = vendor.is_among(wanted)
        found = vendor.column(
            f"SELECT id FROM {AuditLog._meta.db_table} WHERE {condition}", parameters
        )
        assert set(found) == set(wanted) & set(ids)


# --- relations -----------------------------------------------------------------------------------


def test_a_relation_stands_for_the_models_table(vendor: Vendor) -> None:
    kept = Author.objects.create(name="live")
    gone = Author.objects.create(name="then")
    event = moments(AUTHORS)[-1]
    Author.objects.filter(pk=gone.pk).update(name="now")
    found = [
        Found(Row({"id": gone.pk, "name": "then"}), image=Image(event.id)),
        Found(Row({"id": kept.pk, "name": "live"})),
        Found(None),
    ]
    relation = vendor.relation(Author, found)
    assert relation is not None
    head, parameters = relation
    query = f"WITH {AUTHORS} {head} SELECT id, name, auditrepr_n FROM {AUTHORS}"
    expected = [(gone.pk, "then", 0), (kept.pk, "live", 1)]
    assert sorted(vendor.rows(query, parameters), key=lambda row: row[2]) == expected
    found_by_name = vendor.column(f"{query} WHERE name = 'then' AND id > 0", parameters)
    assert found_by_name == [gone.pk]


def test_a_relation_takes_from_the_table_what_only_that_holds(vendor: Vendor) -> None:
    owner = Owner.objects.create(name="o")
    rows = [OwnFields.objects.create(name=name, owner=owner) for name in "abc"]
    event = moments("app_ownfields")[1]
    OwnFields.objects.filter(pk=rows[1].pk).update(name="now", day=date(2020, 1, 1))
    known = [Row({"id": one.pk, "name": one.name, "owner_id": owner.pk}) for one in rows]
    unseen = known[2]._replace(missing={"day": "not recorded"})
    for last, day in ((known[2], "2024-01-01"), (unseen, "None")):
        found = [Found(known[0]), Found(known[1], image=Image(event.id)), Found(last)]
        relation = vendor.relation(OwnFields, found)
        assert relation is not None
        head, parameters = relation
        query = f"WITH app_ownfields {head} SELECT name, day FROM app_ownfields"
        held = vendor.rows(f"{query} ORDER BY auditrepr_n", parameters)
        expected = [("a", day), ("b", "2024-01-01"), ("c", day)]
        assert [(name, str(day)) for name, day in held] == expected


def test_a_relation_may_be_empty(vendor: Vendor) -> None:
    relation = vendor.relation(Author, [])
    assert relation is not None
    head, parameters = relation
    assert vendor.rows(f"WITH {AUTHORS} {head} SELECT * FROM {AUTHORS}", parameters) == []


def test_mentions_are_rows_that_had_the_value_before_or_after_a_later_event(
    vendor: Vendor,
) -> None:
    one, other = Author.objects.create(name="one"), Author.objects.create(name="other")
    book = Book.objects.create(title="One", author=one)
    Book.objects.filter(pk=book.pk).update(author=other)
    moment = moments(BOOKS)[0].moment
    first = Event.of(AuditLog.objects.filter(table_name=AUTHORS).earliest("pk")).moment
    texts = [str(one.pk), str(other.pk)]
    found, all_read = vendor.mentions(BOOKS, "author_id", texts, [moment], 100)
    assert (set(found), all_read) == ({(text, str(book.pk)) for text in texts}, True)
    found, all_read = vendor.mentions(BOOKS, "author_id", texts[:1], [moment], 100)
    assert set(found) == {(texts[0], str(book.pk))}
    assert vendor.mentions(BOOKS, "author_id", ["0"], [first], 100) == (set(), True)
    assert vendor.mentions(BOOKS, "author_id", texts, [first], 1)[1] is False


KEYED = [
    *BY_COLUMN,
    lambda: ByPair.objects.create(left=1, right="two"),
    lambda: ByMany.objects.create(amount=Decimal("2.000"), flag=True, level=1e20),
    lambda: ByMany.objects.create(amount=Decimal("0.125"), flag=False, level=0.1),
]


@pytest.mark.parametrize("create", KEYED)
def test_keys_are_written_as_the_log_writes_them(
    vendor: Vendor, create: Callable[[], Model]
) -> None:
    made = create()
    event = AuditLog.objects.filter(table_name=made._meta.db_table).latest("pk")
    assert vendor.key_texts(made._meta.pk, [made.pk, made.pk]) == [event.object_id] * 2


def test_a_statement_is_read_as_text(vendor: Vendor) -> None:
    with connection.cursor() as cursor:
        assert vendor.statement_text("SELECT '%s'", cursor.cursor) == "SELECT '%s'"


# --- whole tables --------------------------------------------------------------------------------


def test_changes_are_what_a_moment_has_not_seen_in_the_order_of_ids(
    vendor: Vendor, life: list[Event]
) -> None:
    ids = [event.id for event in life]
    found = vendor.changes(AUTHORS, [life[1].moment], 100)
    assert [row[0] for row in found][-2:] == ids[2:]
    assert set(ids[2:]) <= {row[0] for row in found}
    assert len(vendor.changes(AUTHORS, [life[0].moment], 1)) == 2, "one more says that there are"
    assert vendor.changes("no_such_table", [life[0].moment], 100) == []


def test_a_past_table_hides_the_models_own(vendor: Vendor) -> None:
    kept, gone = Author.objects.create(name="kept"), Author.objects.create(name="then")
    Author.objects.filter(pk=gone.pk).update(name="now")
    added = Author.objects.create(name="later")
    change = moments(AUTHORS)[2]
    image = Image(change.id, before=True)
    expression = vendor.past_table(Author, [image], ["name", "id"])
    made = expression([str(gone.pk), str(added.pk)], {str(gone.pk): image})
    assert made is not None
    head, parameters = made
    query = f"WITH {head} SELECT id, name FROM {AUTHORS}"
    assert sorted(vendor.rows(query, parameters)) == [(kept.pk, "kept"), (gone.pk, "then")]
    in_order = f"WITH {head} SELECT * FROM {AUTHORS}"
    assert sorted(vendor.rows(in_order, parameters)) == [("kept", kept.pk), ("then", gone.pk)]
    head, parameters = expression([], {}) or ("", [])
    assert len(vendor.rows(f"WITH {head} SELECT id FROM {AUTHORS}", parameters)) == 3
    for rows, names in ({str(gone.pk): image}, ["then"]), ({}, []):
        head, parameters = expression(None, rows) or ("", [])
        assert vendor.column(f"WITH {head} SELECT name FROM {AUTHORS}", parameters) == names


def test_a_past_table_with_a_key_of_several_columns_does_too(vendor: Vendor) -> None:
    kept, gone = (ByPair.objects.create(left=1, right=right, note="then") for right in 'a"')
    ByPair.objects.filter(pk=gone.pk).update(left=2, note="now")
    (*_, change) = AuditLog.objects.filter(table_name="app_bypair").order_by("pk")
    then, now = str(change.previous_object_id), str(change.object_id)
    image = Image(change.pk, before=True)
    expression = vendor.past_table(ByPair, [image], [])
    made = expression([then, now], {then: image})
    assert made is not None
    head, parameters = made
    query = f'WITH {head} SELECT "left", "right", note FROM app_bypair'
    found = [(*kept.pk, "then"), (*gone.pk, "then")]
    assert sorted(vendor.rows(query, parameters), reverse=True) == found
    assert vendor.rows(f'{query} WHERE "right" = \'"\'', parameters) == found[1:]


def test_several_past_tables_are_read_in_turns_while_other_statements_are_open(
    vendor: Vendor,
) -> None:
    author = Author.objects.create(name="a")
    for name in ("b", "c"):
        Author.objects.filter(pk=author.pk).update(name=name)
    images = [Image(change.id, before=True) for change in moments(AUTHORS)[1:]]
    tables = []
    still_read = AuditLog.objects.iterator(chunk_size=1)
    next(still_read)
    for image in images:
        tables.append(vendor.past_table(Author, [image], []))
        for table, one, name in zip(tables, images, "ab", strict=False):
            head, parameters = table(None, {str(author.pk): one}) or ("", [])
            found = vendor.column(f"WITH {head} SELECT name FROM {AUTHORS}", parameters)
            assert found == [name]
    assert len(list(still_read)) == 2


def test_quoted_names_of_another_case_are_other_tables_where_it_says_so(vendor: Vendor) -> None:
    sql('CREATE TABLE "Conformance" (id integer)')
    if vendor.names_have_case:
        sql('CREATE TABLE "conformance" (id integer)')
    else:
        with pytest.raises(DatabaseError), transaction.atomic():
            sql('CREATE TABLE "conformance" (id integer)')


def test_rows_lie_in_the_order_that_it_says(vendor: Vendor) -> None:
    for pk in (3, 1, 2):
        Author.objects.create(pk=pk, name=str(pk))
        ByUUID.objects.create(id=uuid.UUID(int=pk))
    names = vendor.column(f"SELECT name FROM {AUTHORS}")
    assert names == (["1", "2", "3"] if vendor.keeps_order_of_keys(Author) else ["3", "1", "2"])
    assert [one.pk.int for one in ByUUID.objects.all()] == [3, 1, 2]
    assert not vendor.keeps_order_of_keys(ByUUID)


def test_plain_values_are_read_without_the_database(vendor: Vendor) -> None:
    quoted = {field.name: field for field in Everything._meta.fields}
    read = {name: vendor.plain_reader(field) for name, field in quoted.items()}
    reader = read["text"]
    assert reader is not None
    assert (reader("a"), reader(None)) == ("a", None)
    number = read["integer"]
    assert number is not None
    assert (number(5), number(None)) == (5, None)
    for name in ("integer", "float", "decimal"):
        refuses = read[name]
        assert refuses is not None
        with pytest.raises(ValueError, match=r"many|invalid|^$"):
            refuses("many")


def test_the_newest_event_that_a_moment_saw_is_found_for_several_tables(vendor: Vendor) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for pk, table, key, days in [(1, "a", "7", 0), (2, "b", "7", 1), (3, "a", "7", 2)]:
        event(pk, table_name=table, object_id=key, occurred_at=at + timedelta(days=days))
    wanted = [
        (Name("a"), "7", Moment(2)),
        (Name("a"), "7", Moment(3)),
        (Name("b"), "7", Moment(3)),
        (Name("b"), "8", Moment(3)),
        (Name("a", since=at + timedelta(days=1)), "7", Moment(2)),
        (Name("a", until=at + timedelta(days=1)), "7", Moment(3)),
    ]
    assert vendor.newest_seen(wanted) == [1, 3, 2, None, None, 1]


def test_whether_an_error_ends_the_transaction_is_as_it_says(vendor: Vendor) -> None:
    with transaction.atomic(vendor.using):
        assert not vendor.has_failed()
        with suppress(Error):
            vendor.execute(["SELECT nothing FROM nowhere"])
        assert vendor.has_failed() is vendor.errors_end_transactions
        ended = False
        try:
            vendor.value("SELECT 1")
        except Error:
            ended = True
        transaction.set_rollback(True, vendor.using)
    assert ended is vendor.errors_end_transactions
    assert not vendor.has_failed()


def test_functions_that_read_tables_are_told(vendor: Vendor) -> None:
    known = vendor.functions_that_read()
    if known:  # else, no function of the database can
        sql(
            "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM app_author'",
            "CREATE FUNCTION g() RETURNS bigint LANGUAGE sql AS 'SELECT f() + 1'",
            "CREATE FUNCTION h() RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
        )
        assert vendor.functions_that_read() - known == {"f", "g"}
