"""Tests restoring objects from Python: what is written, and what is refused."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

import auditrepr
from auditrepr import restore
from auditrepr.asof.asked import key_from_text
from auditrepr.capture import triggers
from auditrepr.exceptions import NotRestored
from auditrepr.models import AuditLog
from tests.app.models import Author, Book, Tag
from tests.app.moment import Slot, Step
from tests.app.relations import (
    Badge,
    Diner,
    Hydrant,
    Order,
    Pizzeria,
    RatedPlace,
    Remark,
    Toll,
)
from tests.app.saving import Notice
from tests.capturing import next_moment
from tests.tagging import tag

__all__ = ["tag"]
pytestmark = pytest.mark.django_db(transaction=True)

LOG = AuditLog.objects
LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


def last(model: type[models.Model], action: str = "") -> AuditLog:
    events = LOG.for_model(model)
    return (events.filter(action=action) if action else events).latest("pk")


def test_an_object_is_put_back_as_after_an_event(tag: Tag) -> None:
    done = restore(tag, LOG.for_object(tag).earliest("pk"))
    assert Tag.objects.get().label == "first"
    assert [(c.field.name, c.current, c.former) for c in done.changes] == [
        ("label", "second", "first")
    ]
    assert done.instance == tag
    assert not done.recreates
    assert done.altered == ()


def test_an_object_is_put_back_as_before_an_event(tag: Tag) -> None:
    change = last(Tag)
    restore(Tag, change, before=True)
    assert Tag.objects.get().label == "first"
    assert last(Tag).context["reason"] == f"restored from before event {change.pk}"


def test_an_object_is_put_back_as_at_a_time(tag: Tag) -> None:
    first = LOG.for_object(tag).earliest("pk")
    restore(Tag, first.occurred_at, pk=tag.pk)
    assert Tag.objects.get().label == "first"
    assert last(Tag).context["reason"].startswith("restored from 20")


def test_a_deleted_object_is_added_again_with_its_key(tag: Tag) -> None:
    pk = tag.pk
    tag.delete()
    event = last(Tag, "D")
    with auditrepr.context(user="ann"):
        done = restore(Tag, event)
    assert (done.recreates, Tag.objects.get().pk, Tag.objects.get().label) == (True, pk, "second")
    assert last(Tag).action == "I"
    assert last(Tag).context == {"user": "ann", "reason": f"restored from event {event.pk}"}


def test_a_dry_run_writes_nothing(tag: Tag) -> None:
    before = LOG.count()
    planned = restore(tag, LOG.for_object(tag).earliest("pk"), dry_run=True)
    assert planned.possible
    assert planned.instance is None
    assert [c.former for c in planned.changes] == ["first"]
    assert (LOG.count(), Tag.objects.get().label) == (before, "second")


def test_what_is_as_it_was_is_not_saved(tag: Tag) -> None:
    before = LOG.count()
    done = restore(Tag, last(Tag))
    assert (done.possible, done.changes, done.instance) == (False, (), None)
    assert LOG.count() == before


def test_a_row_that_changed_since_the_preview_is_refused(tag: Tag) -> None:
    first = LOG.for_object(tag).earliest("pk")
    state = restore(tag, first, dry_run=True).state
    assert restore(tag, first, dry_run=True).state == state
    Tag.objects.update(label="third")
    with pytest.raises(NotRestored, match="changed since"):
        restore(tag, first, state=state)
    assert Tag.objects.get().label == "third"
    Tag.objects.all().delete()
    with pytest.raises(NotRestored, match="changed since"):
        restore(Tag, first, state=state)


def test_a_row_that_changes_between_the_look_and_the_write_is_refused(
    tag: Tag, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditrepr.restoration import api

    plan = api.plan

    def planned_too_early(*given):
        made = plan(*given)
        Tag.objects.update(label="third")
        return made

    monkeypatch.setattr(api, "plan", planned_too_early)
    with pytest.raises(NotRestored, match="changed since"):
        restore(tag, LOG.for_object(tag).earliest("pk"))
    assert Tag.objects.get().label == "third"


@pytest.mark.postgresql
def test_nobody_can_change_the_row_while_it_is_written(tag: Tag) -> None:
    first = LOG.for_object(tag).earliest("pk")
    locked, released = threading.Event(), threading.Event()

    def other() -> None:
        with transaction.atomic():
            Tag.objects.filter(pk=tag.pk).update(label="other")
            locked.set()
            released.wait(5)
        connection.close()

    state = restore(tag, first, dry_run=True).state
    thread = threading.Thread(target=other)
    thread.start()
    locked.wait(5)
    threading.Timer(0.2, released.set).start()
    with pytest.raises(NotRestored, match="changed since"):
        restore(tag, first, state=state)
    thread.join()
    assert Tag.objects.get().label == "other"


def test_a_unique_conflict_is_refused_with_the_models_words(tag: Tag) -> None:
    Tag.objects.create(label="first")
    planned = restore(tag, LOG.for_object(tag).earliest("pk"), dry_run=True)
    assert planned.reasons == ("label: Tag with this Label already exists.",)
    with pytest.raises(NotRestored, match=f"app.Tag {tag.pk} was not put back: label: Tag with"):
        restore(tag, LOG.for_object(tag).earliest("pk"))


def test_an_excluded_field_is_refused() -> None:
    book = Book.objects.create(title="Old", secret="x")
    Book.objects.update(title="New")
    planned = restore(book, LOG.for_object(book).earliest("pk"), dry_run=True)
    assert planned.reasons == ("The field “secret” is excluded from the log.",)
    assert "tags" in planned.not_restored


def test_single_fields_are_put_back_and_only_what_is_in_their_way_counts() -> None:
    book = Book.objects.create(title="Old", price=1, secret="x")
    first = LOG.for_object(book).earliest("pk")
    Book.objects.update(title="New", price=2)
    whole, part = (restore(book, first, fields=f, dry_run=True) for f in (None, ["title"]))
    assert whole.reasons
    assert (part.reasons, part.possible, part.state) == ((), True, whole.state)
    assert [change.field.name for change in part.changes] == ["title"]
    done = restore(book, first, fields=["title"], state=whole.state)
    assert done.instance is not None
    there = Book.objects.get()
    assert (there.title, there.price, there.secret) == ("Old", 2, "x")
    assert last(Book).context["reason"] == f"restored title from event {first.pk}"
    assert not restore(book, first, fields=["title"]).possible
    [reason] = restore(book, first, fields=["secret", "price"], dry_run=True).reasons
    assert reason == "The field “secret” is excluded from the log."


def test_a_field_that_refers_to_what_is_gone_is_in_the_way_if_it_is_chosen() -> None:
    order = Order.objects.create(ref="A", parent=(parent := Order.objects.create(ref="P")))
    first = last(Order)
    Order.objects.filter(pk=order.pk).update(ref="B", parent=None)
    parent.delete()
    assert "“parent” refers to" in restore(order, first, fields=["parent"], dry_run=True).reasons[0]
    restore(order, first, fields=["ref"])
    order.refresh_from_db()
    assert (order.ref, order.parent_id) == ("A", None)


def test_of_a_row_that_changed_since_the_preview_no_field_is_put_back() -> None:
    book = Book.objects.create(title="Old", price=1)
    first = LOG.for_object(book).earliest("pk")
    Book.objects.update(title="New", price=2)
    seen = restore(book, first, fields=["title"], dry_run=True).state
    Book.objects.update(price=3)
    with pytest.raises(NotRestored, match="has changed since"):
        restore(book, first, fields=["title"], state=seen)


def test_single_fields_of_a_deleted_object_and_unknown_ones_are_refused(tag: Tag) -> None:
    first = LOG.for_object(tag).earliest("pk")
    for fields in (["colour"], "id", ["label", "book"]):
        with pytest.raises(
            ValueError, match=r"cannot put back .*: the fields of app.Tag are label"
        ):
            restore(tag, first, fields=fields)
    pk = tag.pk
    tag.delete()
    [reason] = restore(Tag, first, pk=pk, fields="label", dry_run=True).reasons
    assert reason == "The object does not exist: it is added again as a whole, not field by field."


def test_an_object_that_is_gone_is_refused() -> None:
    parent = Order.objects.create(ref="P")
    order = Order.objects.create(ref="A", parent=parent)
    first = last(Order)
    parent_pk = parent.pk
    parent.delete()
    planned = restore(order, first, dry_run=True)
    assert planned.reasons == (f"“parent” refers to order {parent_pk}, which no longer exists.",)
    restore(Order, last(Order, "D"))  # first the parent
    restore(order, first)
    order.refresh_from_db()
    assert order.parent_id == parent_pk


def test_the_object_of_a_generic_relation_that_is_gone_is_refused() -> None:
    order = Order.objects.create(ref="A")
    kind = ContentType.objects.get_for_model(Order)
    remark = Remark.objects.create(content_type=kind, object_id=order.pk, text="good")
    pk = remark.pk
    remark.delete()
    order.delete()
    deleted = last(Remark, "D")
    [reason] = restore(Remark, deleted, dry_run=True).reasons
    assert "“target” refers to order" in reason
    restore(Order, last(Order, "D"))
    restore(Remark, deleted)
    assert Remark.objects.get().pk == pk


@pytest.mark.proof
def test_a_row_that_is_not_certain_is_refused(tag: Tag) -> None:
    first = LOG.for_object(tag).earliest("pk")
    when = timezone.now()
    Tag.objects.update(label="third")
    triggers.remove("default")
    try:
        Tag.objects.update(label="unseen")
    finally:
        triggers.install("default")
    Tag.objects.update(label="fourth")
    [reason] = restore(tag, when, dry_run=True).reasons
    assert "not certain: capture of app_tag was interrupted or started later" in reason
    # The event holds the row itself, whatever was missed around it.
    restore(tag, first)
    assert Tag.objects.get().label == "first"


def test_what_did_not_exist_is_refused(tag: Tag) -> None:
    first = LOG.for_object(tag).earliest("pk")
    tag.delete()
    early = first.occurred_at.replace(year=2000)
    [reason] = restore(Tag, early, pk=tag.pk or int(first.object_id), dry_run=True).reasons
    assert reason == (
        f"There was no such object then. It did not exist yet: event {first.pk} added it."
    )
    [reason] = restore(Tag, timezone.now(), pk=int(first.object_id), dry_run=True).reasons
    assert f"It had been deleted by event {last(Tag, 'D').pk}." in reason
    [reason] = restore(Tag, timezone.now(), pk=4711, dry_run=True).reasons
    assert reason == "There was no such object then. The log has no event of this object."


def test_a_column_that_is_gone_is_refused(tag: Tag) -> None:
    made = LOG.create(
        table_name="app_tag",
        object_id=str(tag.pk),
        action="I",
        row_data={"id": tag.pk, "label": "first", "colour": "red"},
    )
    [reason] = restore(tag, made, dry_run=True).reasons
    assert reason == "The column “colour” of the former row no longer exists."


def test_a_field_that_came_later_is_refused() -> None:
    author = Author.objects.create(name="Ann")
    made = LOG.create(
        table_name="app_author", object_id=str(author.pk), action="I", row_data={"id": author.pk}
    )
    [reason] = restore(author, made, dry_run=True).reasons
    assert reason == "The field “name” was added later; its former value is unknown."


def test_a_value_that_no_longer_fits_is_refused() -> None:
    book = Book.objects.create(title="Old")
    made = LOG.create(
        table_name="app_book",
        object_id=str(book.pk),
        action="I",
        row_data={"id": book.pk, "title": "Old", "price": "much", "published": "2020-01-01"},
    )
    reasons = restore(book, made, dry_run=True).reasons
    assert any("it cannot read the former row" in reason for reason in reasons)


def test_an_object_in_several_tables_is_put_back_whole() -> None:
    pizzeria = Pizzeria.objects.create(name="Luigi's", stars=2, oven="wood")
    pk = pizzeria.pk
    with transaction.atomic():
        Pizzeria.objects.filter(pk=pk).update(name="Mario's", stars=1, oven="gas")
    done = restore(Pizzeria, LOG.filter(table_name="app_pizzeria").earliest("pk"))
    assert {c.field.name for c in done.changes} == {"name", "stars", "oven"}
    assert str(Pizzeria.objects.get()) == "Luigi's ** with wood (None)"
    pizzeria.delete()
    assert not RatedPlace.objects.exists()
    deleted = LOG.filter(table_name="app_pizzeria", action="D").latest("pk")
    restore(Pizzeria, deleted)
    assert (Pizzeria.objects.get().pk, str(Pizzeria.objects.get())) == (
        pk,
        "Luigi's ** with wood (None)",
    )


def test_a_part_of_an_object_is_refused() -> None:
    diner = Diner.objects.create(name="Mel's", stars=1)
    Diner.objects.filter(pk=diner.pk).update(name="Luigi's")
    first = LOG.filter(table_name="app_ratedplace").earliest("pk")
    [reason] = restore(RatedPlace, first, dry_run=True).reasons
    assert reason == "It was, or is, a diner: put back the diner, which includes it."
    pk = diner.pk
    diner.delete(keep_parents=True)
    deleted = LOG.filter(table_name="app_diner", action="D").latest("pk")
    [reason] = restore(Diner, deleted, dry_run=True).reasons
    assert reason == "Its row as a rated place still exists."
    assert not Diner.objects.filter(pk=pk).exists()


def test_a_composite_key() -> None:
    Slot.objects.create(name="a")
    Step.objects.create(slot_id="a", number=1, text="old")
    Step.objects.all().delete()
    restore(Step, last(Step, "D"))
    assert Step.objects.get().text == "old"
    Step.objects.update(text="new")
    restore(Step, last(Step), pk=("a", 1), before=True)
    assert Step.objects.get().text == "old"


def test_needs_an_object_and_a_moment(tag: Tag) -> None:
    with pytest.raises(TypeError, match=r"restore\(\) requires a saved instance, or a model class"):
        restore(Tag, timezone.now())
    with pytest.raises(TypeError, match=r"restore\(\) requires an event, its ID, a date or"):
        restore(tag, "yesterday")  # type: ignore[arg-type]
    with pytest.raises(AuditLog.DoesNotExist):
        restore(tag, 4711)
    with pytest.raises(ValidationError):
        restore(Tag, date(2020, 1, 1), pk="x")


@pytest.fixture
def notice() -> Notice:
    """A notice that has changed; its times are of long ago."""
    notice = Notice.objects.create(
        title="Old", body="a\r\n", data={"n": 1}, file="a.txt", begins=LONG_AGO
    )
    Notice.objects.update(created=LONG_AGO, changed=LONG_AGO)
    Notice.objects.update(title="New", body="b", data={"n": True}, file="b.txt", slug="theirs")
    return notice


def test_it_is_saved_by_the_models_own_code(notice: Notice) -> None:
    done = restore(Notice, last(Notice), before=True)
    again = Notice.objects.get()
    assert (again.title, again.body, again.data, again.file.name) == (
        *("Old", "a\r\n", {"n": 1}, "a.txt"),
    )
    assert type(again.data["n"]) is int
    assert again.slug == "old"
    assert done.altered == ()
    assert again.created == LONG_AGO
    assert again.changed > LONG_AGO
    assert set(done.not_restored) == {"tags", "changed", "a.txt (file)"}


def test_what_save_makes_of_it_is_said(notice: Notice) -> None:
    Notice.objects.update(title="Third", slug="mine")
    event = last(Notice)
    Notice.objects.update(title="Fourth", slug="other")
    done = restore(notice, event)
    assert done.altered == ("slug",)
    assert Notice.objects.get().slug == "third"


def test_a_deleted_object_keeps_when_it_was_added(notice: Notice) -> None:
    notice.delete()
    done = restore(Notice, last(Notice, "D"))
    assert Notice.objects.get().created == LONG_AGO
    assert done.instance is not None
    assert done.instance.created == LONG_AGO  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("forbidden", "This title is forbidden."),
        ("broken", "The model cannot be validated: RuntimeError: clean() is broken"),
    ],
)
def test_what_the_model_finds_wrong_is_refused(notice: Notice, title: str, reason: str) -> None:
    Notice.objects.update(title=title)
    event = last(Notice)
    Notice.objects.update(title="fine")
    assert restore(notice, event, dry_run=True).reasons == (reason,)
    with pytest.raises(NotRestored, match=reason.split()[-1].strip("()")):
        restore(notice, event)


def test_what_save_refuses_is_refused_and_nothing_is_written(notice: Notice) -> None:
    Notice.objects.update(title="unsaved")
    event = last(Notice)
    Notice.objects.update(title="fine")
    assert restore(notice, event, dry_run=True).possible
    with pytest.raises(NotRestored, match="title: This title cannot be saved"):
        restore(notice, event)
    assert Notice.objects.get().title == "fine"


def test_what_the_database_refuses_is_refused() -> None:
    author = Author.objects.create(name="Ann")
    author.delete()
    deleted = last(Author, "D")
    state = restore(Author, deleted, dry_run=True).state

    def taken(sender, instance, **_):
        raise IntegrityError("taken")

    models.signals.pre_save.connect(taken, sender=Author)
    try:
        with pytest.raises(NotRestored, match="taken"):
            restore(Author, deleted, state=state)
    finally:
        models.signals.pre_save.disconnect(taken, sender=Author)
    assert not Author.objects.exists()


def test_a_blank_value_that_the_row_had_is_no_obstacle() -> None:
    order = Order.objects.create(ref="A")  # its parent is null, but no form may leave it out
    order.delete()
    restore(Order, last(Order, "D"))
    assert Order.objects.get().parent_id is None


def test_the_reason_of_the_context_around_it_is_kept(tag: Tag) -> None:
    with auditrepr.context(reason="ticket 7"):
        restore(tag, LOG.for_object(tag).earliest("pk"))
    assert last(Tag).context["reason"].startswith("ticket 7 (restored from event ")


def test_before_an_event_means_before_all_that_its_statement_did() -> None:
    """The other object's event may have the lower ID."""
    ann, bob = (Author.objects.create(name=name) for name in ("Ann", "Bob"))
    next_moment()
    Author.objects.update(name="all the same")
    first, second = LOG.for_model(Author).filter(action="U").order_by("pk")
    for author, other in ((ann, second), (bob, first)):
        planned = restore(author, other, before=True, dry_run=True)
        if planned.reasons:  # SQLite does not know what is of one statement
            assert connection.vendor == "sqlite"
            assert "changed at the same time" in planned.reasons[0]
        else:
            assert [c.former for c in planned.changes] == [author.name]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_an_object_of_another_database_is_put_back_there() -> None:
    tag = Tag.objects.using("other").create(label="first")
    here = Tag.objects.create(pk=tag.pk, label="here")
    Tag.objects.using("other").update(label="second")
    log = LOG.using("other")
    restore(tag, log.for_model(Tag).earliest("pk"))
    assert Tag.objects.using("other").get().label == "first"
    assert Tag.objects.get() == here
    assert Tag.objects.get().label == "here"
    pk = tag.pk
    tag.delete(using="other")
    deletion = log.for_model(Tag).latest("pk")
    Tag.objects.using("other").create(label="first")  # the database knows of the duplicate
    with pytest.raises(NotRestored, match=r"(?i)unique"):
        restore(Tag, deletion)
    Tag.objects.using("other").all().delete()
    restore(Tag, deletion)
    assert Tag.objects.using("other").get().pk == pk


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (Author, {"name": "Ann"}),
        (Slot, {"name": 'a "b" ü'}),
        (Toll, {"amount": Decimal("12")}),
        (Hydrant, {"number": "7"}),
        (Badge, {"number": 5}),
        (Diner, {"name": "Mel's"}),
    ],
)
def test_an_object_is_found_by_the_key_that_its_event_has(
    model: type[models.Model], values: dict[str, Any]
) -> None:
    made = model._base_manager.create(**values)
    pk = made.pk
    made.delete()
    deletion = LOG.for_model(model).filter(action="D").latest("pk")
    assert key_from_text(model, deletion.object_id, "default") == pk
    restore(model, deletion)
    assert str(model._base_manager.get().pk) == str(pk)
    for text in ("no such key", "", "[1, 2]", "0x1"):
        if model not in (Slot, Hydrant):  # only the database says what is no key of a hydrant
            assert key_from_text(model, text, "default") is None


def test_a_key_of_several_columns_is_found_by_its_text() -> None:
    Slot.objects.create(name="a")
    Step.objects.create(slot_id="a", number=1, text="x")
    assert key_from_text(Step, last(Step).object_id, "default") == ("a", 1)
    for text in ("a", "[]", '["a"]', '["a", "x"]', '["a", 1, 2]', "null", '{"a": 1}'):
        assert key_from_text(Step, text, "default") is None
