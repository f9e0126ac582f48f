"""Tests relations as of the event."""

from decimal import Decimal

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import DecimalField
from django.test import override_settings

from auditrepr import capture
from auditrepr.asof.lookups import Reference
from auditrepr.asof.phases import TODAY
from auditrepr.asof.related.related_querysets import NO_ORDER
from auditrepr.asof.states.states import BESIDE, States
from auditrepr.models import AuditLog, Coverage, Fidelity
from auditrepr.reprs import Outcome, build, build_related
from auditrepr.utils.model_meta import can_hold
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import Event
from tests.app.models import Author, Book
from tests.app.moment import Slot, Step
from tests.app.relations import (
    Badge,
    Crossing,
    Diner,
    Hydrant,
    Invoice,
    Label,
    Line,
    Order,
    Pin,
    Pizzeria,
    RatedPlace,
    Remark,
    Toll,
    Trattoria,
)
from tests.capturing import sql
from tests.oracle import Oracle, assert_true, built

pytestmark = pytest.mark.django_db(transaction=True)

MODELS = [Author, Book, Order, Label, Line, Invoice, Remark, RatedPlace, Diner, Pizzeria]


@pytest.fixture(autouse=True)
def _an_empty_log():
    AuditLog.objects.all().delete()


def test_a_foreign_key_leads_to_the_object_as_it_was():
    oracle = Oracle(MODELS)
    with oracle.listening():
        author = Author.objects.create(name="Ann")
    with oracle.listening():
        book = Book.objects.create(title="T", author=author)
    with oracle.listening():
        Author.objects.update(name="Bea")
    with oracle.listening():
        Book.objects.filter(pk=book.pk).update(title="U")
    with oracle.listening():
        Author.objects.update(name="Cleo")
    with oracle.listening():
        Book.objects.all().delete()
    with oracle.listening():
        Author.objects.all().delete()
    assert_true(oracle)
    assert [o.text for o in built().values()] == [
        "Ann", "T (Ann)", "Bea", "U (Bea)", "Cleo", "U (Cleo)", "Cleo",
    ]  # fmt: skip


@pytest.mark.proof
def test_sets_of_every_kind_are_as_they_were():
    oracle = Oracle(MODELS)
    with oracle.listening():
        order = Order.objects.create(ref="A1")
    with oracle.listening():
        other = Order.objects.create(ref="B2", parent=order)
    for item, quantity, hidden in [("pen", 2, False), ("ink", 20, False), ("lid", 30, True)]:
        with oracle.listening():
            Line.objects.create(order=order, item=item, quantity=quantity, hidden=hidden)
        with oracle.listening():
            Order.objects.filter(pk=order.pk).update(ref=f"A{quantity}")
    for name in ["new", "big"]:
        with oracle.listening():
            label = Label.objects.create(name=name)
        with oracle.listening():
            order.labels.add(label)
        with oracle.listening():
            Label.objects.filter(pk=label.pk).update(name=name.upper())
        with oracle.listening():
            Order.objects.filter(pk=order.pk).update(ref=f"A-{name}")
    with oracle.listening():
        remark = Remark.objects.create(target=order, text="late")
    with oracle.listening():
        Order.objects.filter(pk=order.pk).update(ref="C")
    with oracle.listening():
        Line.objects.filter(item="pen").update(order=other, quantity=11)
    with oracle.listening():
        Order.objects.filter(pk=other.pk).update(ref="D")
    with oracle.listening():
        order.labels.remove(label)
    with oracle.listening():
        Label.objects.filter(pk=label.pk).update(name="gone")
    with oracle.listening():
        remark.target = label
        remark.save()
    with oracle.listening():
        Order.objects.filter(pk=order.pk).update(ref="E")
    with oracle.listening():
        Line.objects.filter(item="ink").delete()
    with oracle.listening():
        Order.objects.filter(pk=order.pk).update(ref="F")
    assert_true(oracle)


def pinned(model, *keys) -> None:
    """Pins on objects of the model with these keys, which nothing holds to be right."""
    content_type = ContentType.objects.get_for_model(model)
    for key in keys:
        Pin.objects.create(content_type=content_type, object_id=key)


def said(instance) -> str:
    """What it is today, or the name of the error that says so."""
    try:
        return str(instance)
    except Exception as error:
        return type(error).__name__


def test_a_generic_key_that_its_model_cannot_have_leads_nowhere_and_costs_no_peer():
    oracle = Oracle([Badge, Pin])
    with oracle.listening():
        Badge.objects.create(number=7)
        pinned(Badge, "7", "99999999999", "-5", "9" * 40)
    assert_true(oracle)


def test_a_generic_key_with_too_many_digits_ends_as_it_did_and_costs_no_peer():
    Toll.objects.create(amount=7)
    pinned(Toll, "12345", "1.5", "7")
    _, *told = built().values()
    assert [one.failure.error_class if one.failure else one.text for one in told] == [
        said(pin) for pin in Pin.objects.order_by("pk")
    ]
    assert told[-1].text == "on Toll object (7)"


def test_a_column_of_numbers_without_a_limit_can_hold_any():
    assert can_hold(DecimalField(), Decimal("1e400"), connection)
    assert not can_hold(DecimalField(max_digits=4, decimal_places=2), Decimal(100), connection)


def test_a_generic_key_that_is_none_fails_as_it_did():
    Badge.objects.create(number=7)
    pinned(Badge, "no number", "7")
    *_, bad, good = built().values()
    assert bad.failure is not None
    assert (bad.failure.error_class, "no number" in bad.failure.message) == ("ValueError", True)
    assert (good.text, good.fidelity) == ("on badge 7 []", Fidelity.EXACT)


def test_a_generic_key_to_a_model_that_is_not_installed_leads_nowhere_and_is_mixed():
    gone = ContentType.objects.create(app_label="gone", model="gone")
    Remark.objects.create(content_type=gone, object_id=1, text="x")
    outcome = build_with(lambda remark: f"{remark.text} {remark.target}", Remark)
    assert (outcome.text, outcome.fidelity) == ("x None", Fidelity.MIXED)


@pytest.mark.proof
def test_what_a_table_that_is_not_audited_held_is_not_called_exact(settings, django_user_model):
    settings.AUDITREPR = {"MODELS": ["admin.LogEntry"]}
    capture.install("default")
    try:
        user = django_user_model.objects.create(username="ann")
        LogEntry.objects.create(user=user, action_flag=1, object_repr="x")
        outcome = build_with(lambda entry: entry.user.username, LogEntry)
    finally:
        settings.AUDITREPR = {}
        capture.install("default")
    assert (outcome.text, outcome.fidelity) == ("ann", Fidelity.MIXED)
    assert outcome.reason == "auth_user is not audited"


def test_a_reference_whose_object_is_in_doubt_says_so():
    author = Author.objects.create(name="Ann")
    book = Book.objects.create(title="T", author=author)
    Coverage.objects.filter(table_name="app_author").update(since_event=None)
    AuditLog.objects.filter(table_name="app_author").delete()
    event = Event.of(AuditLog.objects.get(table_name="app_book"))
    (outcome,) = build_related(
        [Reference(event, Book._meta.get_field("author"), book.author_id)], "default"
    )
    assert (outcome.text, outcome.fidelity) == ("Ann", Fidelity.MIXED)
    assert outcome.reason.startswith("capture of app_author was interrupted")


def build_with(said, model) -> Outcome:
    """What is said of the model's newest event."""
    given = getattr(settings, "AUDITREPR", {})
    with override_settings(AUDITREPR=given | {"REPR": {model._meta.label: said}}):
        rows = AuditLog.objects.filter(table_name=model._meta.db_table)
        return rows.latest("pk").build_instance_repr()


def test_a_generic_key_of_nothing_leads_nowhere():
    oracle = Oracle([Pin])
    with oracle.listening():
        Pin.objects.create()
    assert_true(oracle)


@pytest.mark.parametrize(
    ("field", "column"), [("content_type", "content_type_id"), ("object_id", "object_id")]
)
def test_half_a_generic_key_that_is_excluded_leads_nowhere_and_is_mixed(field, column, settings):
    settings.AUDITREPR = {"EXCLUDE": {"app.Pin": [field]}}
    capture.install("default")
    try:
        Badge.objects.create(number=7)
        pinned(Badge, "7")
        *_, outcome = built().values()
    finally:
        settings.AUDITREPR = {}
        capture.install("default")
    assert (outcome.failure, outcome.fidelity) == (None, Fidelity.MIXED)
    assert outcome.text == "on None"
    assert outcome.reason == f"{column} is not in the log"


def test_what_several_columns_lead_to_is_read_as_of_the_event():
    Crossing.objects.create(street="Elm", number=1, note="first")
    Crossing.objects.create(street="Elm", number=2, note="second", next_street="Elm", next_number=1)
    Crossing.objects.filter(number=1).update(note="changed")
    first, second, _ = built().values()
    assert (first.text, first.fidelity) == ("first then -", Fidelity.EXACT)
    assert second.text == "second then first"
    assert second.reason in ("", BESIDE)


def test_a_generic_set_of_an_object_whose_key_does_not_fit_there_is_empty():
    oracle = Oracle([Badge])
    with oracle.listening():
        Badge.objects.create(number=2_000_000_000)
    assert_true(oracle)


@pytest.mark.postgresql
def test_a_query_for_relations_that_the_database_refuses_costs_no_other_row():
    pinned(Hydrant, "no number", "1.5")
    Author.objects.create(name="Ann")
    *failed, author = built().values()
    assert {one.failure and one.failure.error_class for one in failed} == {"DataError"}
    assert (author.text, author.failure) == ("Ann", None)


def test_one_to_one_and_foreign_keys_to_other_fields_are_as_they_were():
    oracle = Oracle(MODELS)
    order = Order.objects.create(ref="A")
    other = Order.objects.create(ref="B")
    with oracle.listening():
        invoice = Invoice.objects.create(order=order, number=1, by_ref=other)
    with oracle.listening():
        Order.objects.filter(pk=other.pk).update(ref="C")
    with oracle.listening():
        Invoice.objects.update(number=2, by_ref_id="C")
    with oracle.listening():
        Invoice.objects.update(order=other)
    Order.objects.filter(pk=other.pk).update(ref="Z")
    assert_true(oracle)
    assert invoice.pk


def test_a_many_to_many_that_goes_by_another_field_than_the_key_is_as_it_was(monkeypatch):
    """By what an object is called that others refer to, which may change."""

    def said(order):
        return f"{order.ref}: {[one.parent_id for one in order.billed.all()]}"

    monkeypatch.setattr(Order, "__str__", said)
    oracle = Oracle([Order])
    with oracle.listening():
        order, other = Order.objects.create(ref="A"), Order.objects.create(ref="B")
    Invoice.objects.create(order=order, number=1, by_ref=other)
    with oracle.listening():
        Order.objects.filter(pk=order.pk).update(ref="A2")
    Order.objects.filter(pk=other.pk).update(parent=order)
    with oracle.listening():
        Order.objects.filter(pk=order.pk).update(ref="A3")
    Invoice.objects.all().delete()
    with oracle.listening():
        Order.objects.filter(pk=order.pk).update(ref="A4")
    assert_true(oracle)
    assert f"A3: [{order.pk}]" in oracle.expected.values()


def test_a_row_that_is_read_again_is_as_of_the_event(settings):
    settings.AUDITREPR = {"REPR": {"app.Book": lambda b: b.refresh_from_db() or b.title}}
    Book.objects.create(title="then")
    Book.objects.update(title="now")
    first = built()[AuditLog.objects.earliest("pk").pk]
    assert (first.text, first.reason) == ("then", "")


def test_an_inherited_row_that_does_not_fit_its_table_costs_who_inherits_it_alone():
    Diner.objects.create(name="Ugo")
    broken = AuditLog.objects.get(table_name="app_ratedplace")
    Diner.objects.create(name="Gino")
    AuditLog.objects.filter(pk=broken.pk).update(row_data=broken.row_data | {"owner_id": "nobody"})
    diners = AuditLog.objects.filter(table_name="app_diner").order_by("pk")
    bad, good = [built()[row.pk] for row in diners]
    assert bad.failure is not None
    assert (good.text, good.fidelity) == ("Gino  (None)", Fidelity.EXACT)


def test_inherited_columns_are_as_they_were_in_the_parents_tables():
    oracle = Oracle(MODELS)
    author = Author.objects.create(name="Ann")
    with oracle.listening():
        pizzeria = Trattoria.objects.create(
            name="Da Ugo", owner=author, stars=1, oven="wood", pasta="penne"
        )
    with oracle.listening():
        RatedPlace.objects.update(name="Da Ugo due")
    with oracle.listening():
        Pizzeria.objects.filter(pk=pizzeria.pk).update(oven="gas")
    with oracle.listening():
        Trattoria.objects.update(pasta="ziti")
    with oracle.listening():
        Author.objects.update(name="Bea")
    with oracle.listening():
        Diner.objects.update(stars=3)
    RatedPlace.objects.update(name="closed")
    Diner.objects.update(stars=0)
    Trattoria.objects.all().delete()
    assert_true(oracle)


@pytest.mark.proof
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    django_assert_max_num_queries,
):
    def queries(count: int) -> int:
        AuditLog.objects.all().delete()
        author = Author.objects.create(name="Ann")
        Book.objects.bulk_create(Book(title=f"{n}", author=author) for n in range(count))
        events = [Event.of(row) for row in AuditLog.objects.filter(table_name="app_book")]
        assert len(events) == count
        with django_assert_max_num_queries(100) as captured:
            outcomes = build(events, "default")
        assert {o.fidelity for o in outcomes} == {Fidelity.EXACT}
        return len(captured)

    queries(1)  # SQLite's schema is looked at once
    assert queries(10) == queries(1000)


def test_a_key_that_a_later_row_had_and_gave_up_leads_nowhere():
    oracle = Oracle([Slot])
    with oracle.listening():
        Slot.objects.create(name="a", note="2", next_id="c")
        Slot.objects.create(name="c", note="0")
        Slot.objects.filter(name="c").update(name="b")
    assert_true(oracle)
    assert AuditLog.objects.earliest("pk").build_instance_repr().text == "a=2 then nothing"


@pytest.mark.proof
def test_a_key_that_a_row_gave_up_which_the_log_had_not_mentioned_leads_nowhere_from_then_on():
    Slot.objects.create(name="a", note="1")
    Slot.objects.create(name="c", next_id="a")
    AuditLog.objects.all().delete()
    oracle = Oracle([Slot])
    with oracle.listening():
        Slot.objects.filter(name="c").update(note="before")
    with oracle.listening():
        Slot.objects.filter(name="a").update(name="b")
    with oracle.listening():
        Slot.objects.filter(name="c").update(note="after")
    assert_true(oracle)
    assert [o.text for o in built().values()][::2] == ["c=before then 1", "c=after then nothing"]


@pytest.mark.proof
def test_what_changed_while_no_trigger_was_there_is_not_taken_for_what_was():
    author = Author.objects.create(name="Ann")
    AuditLog.objects.all().delete()
    book = Book.objects.create(title="T", author=author)
    sql(*get_vendor("default").remove_sql("app_author"))
    Author.objects.update(name="Bea")
    capture.install("default")
    Book.objects.filter(pk=book.pk).update(title="U")
    before, after = built().values()
    assert (before.text, after.text) == ("T (Bea)", "U (Bea)")
    assert before.reason == "capture of app_author was interrupted or started later"
    assert after.fidelity == Fidelity.EXACT


def test_what_changed_unseen_is_not_taken_for_what_was_although_the_triggers_are_back():
    author = Author.objects.create(name="Ann")
    AuditLog.objects.all().delete()
    Book.objects.create(title="T", author=author)
    vendor = get_vendor("default")
    (state,) = (state for state in capture.inspect("default") if state.name == "app_author")
    sql(*vendor.remove_sql("app_author"))
    Author.objects.update(name="Bea")
    sql(*vendor.install_sql(state.capture))
    (outcome,) = built().values()
    assert (outcome.text, outcome.fidelity) == ("T (Bea)", Fidelity.MIXED)
    assert outcome.reason == "capture of app_author was interrupted or started later"


@pytest.mark.parametrize("by", ["target", "content_type"])
def test_what_a_content_type_that_is_gone_led_to_is_not_passed_off_as_nothing(by, monkeypatch):
    def said(remark):
        try:
            return str(getattr(remark, by))
        except ContentType.DoesNotExist:
            return "nothing"

    monkeypatch.setattr(Remark, "__str__", said)
    Remark.objects.create(target=Label.objects.create(name="l"), text="t")
    try:
        ContentType.objects.get_for_model(Label).delete()
        ContentType.objects.clear_cache()
        outcome = AuditLog.objects.latest("pk").build_instance_repr()
    finally:
        ContentType.objects.clear_cache()
        ContentType.objects.get_for_model(Label)
    assert outcome.fidelity == Fidelity.MIXED
    assert outcome.reason == "its content type no longer exists"


class AuthorsElsewhere:
    """They are in the other database, whether or not there is a table for them here as well."""

    def db_for_read(self, model, **hints):
        return "other" if model is Author else None

    db_for_write = db_for_read

    def allow_relation(self, *objects, **hints):
        return True


class AuthorsOnlyElsewhere(AuthorsElsewhere):
    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return db == "other" if model_name == "author" else None


class Replica(AuthorsElsewhere):
    """Reads may go there, writes do not."""

    def db_for_write(self, model, **hints):
        return "default"


@pytest.fixture
def elsewhere():
    """No constraint holds between two databases."""
    if connection.vendor == "sqlite":
        sql("PRAGMA foreign_keys = OFF")
        yield
        sql("DELETE FROM app_book", "PRAGMA foreign_keys = ON")
        return
    (name,) = sql(
        "SELECT conname FROM pg_constraint"
        " WHERE conrelid = 'app_book'::regclass AND confrelid = 'app_author'::regclass"
    )[0]
    sql(f"ALTER TABLE app_book DROP CONSTRAINT {name}")
    yield
    sql(
        "DELETE FROM app_book",
        f"ALTER TABLE app_book ADD CONSTRAINT {name} FOREIGN KEY (author_id)"
        " REFERENCES app_author DEFERRABLE INITIALLY DEFERRED",
    )


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize("router", [AuthorsElsewhere, AuthorsOnlyElsewhere])
def test_what_is_in_another_database_is_read_there_and_marked(router, elsewhere, settings):
    settings.DATABASE_ROUTERS = [router()]
    author = Author.objects.create(name="Ann")
    Book.objects.create(title="T", author_id=author.pk)
    said = {"app.book": lambda book: f"{book.title} ({book.author.name})"}
    settings.AUDITREPR = {"REPR": said}
    outcome = AuditLog.objects.using("default").latest("pk").build_instance_repr()
    assert (outcome.text, outcome.fidelity) == ("T (Ann)", Fidelity.MIXED)


class SomeElsewhere:
    """What refers to orders, and what remarks lead to, is not where these are."""

    def db_for_read(self, model, **hints):
        return "other" if model in (Invoice, Label) else None

    db_for_write = db_for_read


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_the_other_side_of_a_relation_in_another_database_is_read_there_and_marked(settings):
    order = Order.objects.using("other").create(ref="A")
    Invoice.objects.using("other").create(order=order, number=7)
    Order.objects.create(pk=order.pk, ref="A")
    Remark.objects.create(content_type=ContentType.objects.get_for_model(Label), object_id=5)
    settings.DATABASE_ROUTERS = [SomeElsewhere()]
    settings.AUDITREPR = {
        "REPR": {
            "app.order": lambda order: f"{order.ref} {order.invoice.number}",
            "app.remark": lambda remark: f"on {remark.target}",  # Django looks beside it alone
        }
    }
    events = AuditLog.objects.using("default").filter(table_name__in=["app_order", "app_remark"])
    told = build([Event.of(row) for row in events.order_by("pk")], "default")
    assert [(one.text, one.fidelity) for one in told] == [
        ("A 7", Fidelity.MIXED),
        ("on None", Fidelity.EXACT),
    ]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_replica_for_reading_makes_nothing_doubtful(settings):
    author = Author.objects.create(name="Ann")
    Book.objects.create(title="T", author_id=author.pk)
    Author.objects.update(name="Bea")
    settings.DATABASE_ROUTERS = [Replica()]
    events = AuditLog.objects.using("default").filter(table_name="app_book")
    (outcome,) = build([Event.of(row) for row in events], "default")
    assert (outcome.text, outcome.fidelity) == ("T (Ann)", Fidelity.EXACT)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_set_that_is_asked_of_another_database_is_read_there_and_marked(monkeypatch):
    monkeypatch.setattr(Order, "__str__", lambda o: str(o.lines.filter(item="x").using("other")))
    order = Order.objects.create(ref="A")
    Line.objects.create(order=order, item="x")
    outcome = AuditLog.objects.using("default").earliest("pk").build_instance_repr()
    assert (outcome.text, outcome.reason) == ("<QuerySet []>", TODAY)


def steps_change() -> None:
    """Objects with keys of several columns, in the set of another one, come, change and go."""
    Slot.objects.create(name="a", note="1")
    Slot.objects.create(name='b"ä', note="2")
    for number in (1, 2, 10):
        Step.objects.create(slot_id='b"ä', number=number, text=f"t{number}")
    Slot.objects.update(note="3")
    Step.objects.filter(number=2).update(text="new")
    Slot.objects.filter(name='b"ä').update(note="4")
    Step.objects.filter(number=10).update(slot="a")
    Step.objects.filter(number=1).delete()
    Slot.objects.update(note="5")


def test_a_set_of_objects_with_composite_keys_is_as_it_was(monkeypatch):
    monkeypatch.setattr(Slot, "__str__", lambda slot: str(sorted(s.text for s in slot.steps.all())))
    oracle = Oracle([Slot, Step])
    with oracle.listening():
        steps_change()
    assert_true(oracle, NO_ORDER)  # PostgreSQL's rows move


def test_a_filtered_set_of_objects_with_composite_keys_is_as_it_was(monkeypatch):
    monkeypatch.setattr(Slot, "__str__", lambda slot: str(slot.steps.filter(number__gt=1).count()))
    oracle = Oracle([Slot])
    with oracle.listening():
        steps_change()
    assert_true(oracle)


def test_the_events_of_an_object_with_a_composite_key_are_found():
    steps_change()
    step = Step.objects.get(number=2)
    assert AuditLog.objects.for_object(step).count() == 2


@pytest.mark.proof
def test_what_many_events_look_at_while_nothing_happens_to_it_is_looked_up_once(
    django_assert_num_queries,
):
    oracle = Oracle(MODELS)
    with oracle.listening():
        order = Order.objects.create(ref="A")
    with oracle.listening():
        Line.objects.create(order=order, item="pen", quantity=1)
    for ref, names in [("B", "abcd"), ("C", "efgh")]:
        with oracle.listening():
            Order.objects.filter(pk=order.pk).update(ref=ref)
        for name in names:
            with oracle.listening():
                Line.objects.create(order=order, item=name, quantity=1)
    assert_true(oracle)
    states = States(get_vendor("default"))
    rows = AuditLog.objects.filter(table_name="app_line")
    moments = [Event.of(row).moment for row in rows]
    states.find("app_order", [(moment, str(order.pk)) for moment in moments[1:5]])
    with django_assert_num_queries(2):  # where to look, and what is there
        states.find("app_order", [(moment, str(order.pk)) for moment in moments[1:5]])
    with django_assert_num_queries(4):  # something has happened in between: each by itself, too
        states.find("app_order", [(moment, str(order.pk)) for moment in moments])


@pytest.mark.proof
def test_an_error_that_many_rows_share_tells_each_of_them_no_more_than_its_own():
    """Each time that an error is raised adds to its traceback; told again and again, a batch would
    take the square of its rows."""
    author = Author.objects.create(name="Ann")
    for number in range(20):
        Book.objects.create(title=f"{number}", author=author)
    for row in AuditLog.objects.filter(table_name="app_book"):
        AuditLog.objects.filter(pk=row.pk).update(
            row_data={"id": int(row.object_id), "title": "x", "author_id": 4711}
        )
    failures = [one.failure for one in built().values() if one.failure]
    assert len(failures) == 20
    assert {one.error_class for one in failures} == {"Author.DoesNotExist"}
    assert len({one.traceback for one in failures}) == 1


def test_keys_that_a_database_compares_in_its_own_way_are_not_called_exact(monkeypatch):
    """As one without regard to case, which may be written otherwise where it is referred to."""
    order = Order.objects.create(ref="A")
    invoice = Invoice.objects.create(order=order, by_ref=order, number=1)
    Invoice.objects.filter(pk=invoice.pk).update(by_ref_id="a")
    monkeypatch.setattr(Invoice, "__str__", lambda one: str(one.by_ref and one.by_ref.ref))
    monkeypatch.setattr(Order._meta.get_field("ref"), "db_collation", "NOCASE")
    first, second = [built()[row.pk] for row in AuditLog.objects.filter(table_name="app_invoice")]
    assert (first.text, first.fidelity) == ("A", Fidelity.MIXED)
    assert first.reason == "app_order.ref has its own rules for comparing text"
    assert second.failure is not None
    assert "DoesNotExist" in second.failure.error_class


@pytest.mark.proof
@pytest.mark.sqlite
def test_a_set_that_a_database_finds_in_its_own_way_is_not_called_exact(monkeypatch):
    monkeypatch.setattr(Order._meta.get_field("ref"), "db_collation", "NOCASE")
    _make_anew(Invoice)
    try:
        order = Order.objects.create(ref="A")
        Invoice.objects.create(order=order, by_ref_id="a", number=1)
        monkeypatch.setattr(Order, "__str__", lambda one: str(one.order_set.count()))
        assert str(order) == "1", "the database finds it"
        outcome = built()[AuditLog.objects.get(table_name="app_order").pk]
    finally:
        monkeypatch.undo()
        _make_anew(Invoice)
    assert outcome.fidelity == Fidelity.MIXED
    assert "app_invoice.by_ref_id has its own rules for comparing text" in outcome.reason


def _make_anew(model):
    """Its table, as its fields say today."""
    with connection.schema_editor() as editor:
        editor._remake_table(model)
