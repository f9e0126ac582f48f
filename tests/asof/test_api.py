"""Tests the Python API: events of objects, and objects as of a time."""

from __future__ import annotations

import re
import subprocess
import sys
from configparser import ConfigParser
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

import auditrepr
from auditrepr import as_of, doubts
from auditrepr.exceptions import NoUser, PastIsFixed
from auditrepr.job.backfill import run
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.lineage import recent_renames
from auditrepr.models import AuditLog, InstanceRepr, ReprFailure
from tests.app.fields import Own, OwnProxy
from tests.app.models import Author, Book, Tag
from tests.app.moment import Slot, Step
from tests.capturing import sql
from tests.project import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

LOG = AuditLog.objects


@pytest.fixture
def book():
    """A book whose title, author and tags have changed since."""
    ann = Author.objects.create(name="Ann")
    book = Book.objects.create(title="Old", author=ann)
    book.tags.add(Tag.objects.create(label="b"), Tag.objects.create(label="a"))
    Tag.objects.create(label="marker")
    ann.name = "Anna"
    ann.save()
    book.title = "New"
    book.author = Author.objects.create(name="Bob")
    book.save()
    book.tags.all().delete()
    return book


@pytest.fixture
def marker(book):
    return LOG.get(row_data__label="marker", action="I")


@pytest.fixture
def step():
    """An object with a key of two columns, which has changed since; and the event before that."""
    Slot.objects.create(name="a", note="1")
    Step.objects.create(slot_id="a", number=1, text="old")
    first = LOG.latest("pk")
    Step.objects.update(text="new")
    Slot.objects.update(note="2")
    return Step.objects.get(), first


@pytest.mark.proof
def test_an_object_with_a_composite_key_is_as_it_was(step):
    step, first = step
    assert str(as_of(step, first)) == "old of 1"
    for pk in (("a", 1), ["a", "1"]):
        assert str(as_of(Step, first, pk=pk)) == "old of 1"
    assert str(as_of(step, timezone.now())) == "new of 2"


def test_an_object_with_a_composite_key_that_has_no_event_is_as_it_is(step):
    step, _ = step
    LOG.filter(table_name="app_step").delete()
    assert str(as_of(step, LOG.filter(table_name="app_slot").earliest("pk"))) == "new of 1"


@pytest.mark.parametrize("pk", [None, 5, "a", ("a",), ("a", None), ("a", 1, 2)])
def test_a_wrong_composite_key_is_one_clear_error(pk, step):
    with pytest.raises(TypeError, match=r"a model class and a pk of 2 values \(slot, number\)"):
        as_of(Step, step[1], pk=pk)


def test_a_key_that_cannot_be_one_or_is_nobodys_says_so(step):
    with pytest.raises(ValidationError, match="must be an integer"):
        as_of(Step, step[1], pk=("a", "x"))
    with pytest.raises(ValidationError, match="must be an integer"):
        as_of(Author, step[1], pk="x")
    with pytest.raises(Step.DoesNotExist, match=r"No app\.Step with primary key .* existed"):
        as_of(Step, step[1], pk=("a", 7))


def test_what_is_public_is_listed_and_there():
    assert sorted(auditrepr.__all__) == [
        *("AuditContextMiddleware", "as_of", "context", "doubts", "past", "restore", "track"),
    ]
    assert all(callable(getattr(auditrepr, name)) for name in auditrepr.__all__)


@pytest.mark.proof
def test_it_is_imported_before_there_are_apps():
    code = "import auditrepr; auditrepr.track; auditrepr.context(reason='x')"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'auditrepr' has no attribute 'nothing'"):
        auditrepr.nothing  # noqa: B018


def test_the_events_of_an_object_a_model_a_user_and_a_time(book):
    other = Book.objects.create(title="Other")
    with auditrepr.context(user="ann"):
        Author.objects.update(name="Z")
    assert [e.action for e in LOG.for_object(book).for_model(Book).order_by("pk")] == ["I", "U"]
    assert {e.table_name for e in LOG.for_object(book)} == {"app_book", "app_book_tags"}
    assert {e.object_id for e in LOG.for_model(Book)} == {str(book.pk), str(other.pk)}
    assert {e.table_name for e in LOG.by("ann")} == {"app_author"}
    assert LOG.by("ann").for_model(Author).count() == 2
    first, last = LOG.order_by("pk").first(), LOG.order_by("pk").last()
    assert first in LOG.between(first.occurred_at, last.occurred_at)
    assert last not in LOG.between(first.occurred_at, last.occurred_at)


def test_by_takes_a_user(django_user_model):
    user = django_user_model.objects.create_user("ann")
    with auditrepr.context(user=user):
        Tag.objects.create(label="x")
    assert LOG.by(user).get() == LOG.by(user.pk).get() == LOG.for_model(Tag).get()


def test_an_object_that_changed_its_key_has_the_event_that_did_it():
    tag = Tag.objects.create(label="x")
    old = Tag(pk=tag.pk)
    Tag.objects.filter(pk=tag.pk).update(id=tag.pk + 100)
    assert [e.action for e in LOG.for_object(old).order_by("pk")] == ["I", "U"]
    assert [e.action for e in LOG.for_object(Tag(pk=old.pk + 100))] == ["U"]


def test_with_reprs_brings_them_along(book, django_assert_num_queries):
    run("default", lock=DatabaseLock("default"))
    recent_renames("default")
    with django_assert_num_queries(1):
        said = [
            e.instance_repr.instance_repr for e in LOG.for_object(book).for_model(Book).with_reprs()
        ]
    assert sorted(said) == ["New (Bob)", "Old (Ann)"]


def test_an_object_as_of_an_event_with_its_relations(book, marker):
    old = as_of(book, marker)
    assert type(old) is Book
    assert (old.title, old.author.name) == ("Old", "Ann")
    assert [tag.label for tag in old.tags.order_by("label")] == ["a", "b"]
    assert [b.title for b in old.author.books.all()] == ["Old"]
    assert doubts(old) == []
    assert as_of(Book, marker.pk, pk=book.pk).title == "Old"


def test_what_is_touched_later_is_of_the_moment_too(book, marker):
    """Also what changes between the call and the touch, in whatever transaction that is."""
    old = as_of(book, marker)
    Author.objects.update(name="Changed after the call")
    Book.objects.all().delete()
    with transaction.atomic():
        Author.objects.create(name="a write before, in the same transaction")
        assert old.author.name == "Ann"
        assert list(old.author.books.values_list("title", flat=True)) == ["Old"]
        Author.objects.create(name="a write after")
    assert old.tags.count() == 2
    assert old.tags.filter(label="a").exists()
    assert old.tags.filter(label="a").get().label == "a"
    assert Author.objects.filter(name__startswith="a write").count() == 2


def test_as_of_a_deletion_is_before_it_and_later_there_is_no_object(book):
    pk = book.pk
    book.delete()
    deletion = LOG.get(table_name="app_book", action="D")
    assert as_of(Book, deletion, pk=pk).title == "New"
    later = LOG.create(table_name="x", action="I", row_data={})
    with pytest.raises(Book.DoesNotExist, match=r"No app\.Book with primary key"):
        as_of(Book, later, pk=pk)
    with pytest.raises(Book.DoesNotExist):
        as_of(Book, deletion.occurred_at, pk=pk)


def test_as_of_a_time_is_after_the_last_event_up_to_it(book, marker):
    assert as_of(book, timezone.now()).title == "New"
    assert as_of(book, LOG.for_object(book).earliest("pk").occurred_at).title == "Old"
    with pytest.raises(Book.DoesNotExist):
        as_of(book, marker.occurred_at - timedelta(days=1))


def test_as_of_now_is_what_is_there_now(book):
    book.tags.add(Tag.objects.create(label="today"))
    now = as_of(book, timezone.now() + timedelta(seconds=1))
    today = Book.objects.get()
    assert str(now) == str(today)
    assert [str(tag) for tag in now.tags.all()] == [str(tag) for tag in today.tags.all()]


@pytest.mark.postgresql
def test_as_of_a_time_counts_what_had_not_been_committed_by_then():
    """Also where another transaction wrote the last event, and could not see the other."""
    tag = Tag.objects.create(label="x")
    second = connection.copy()
    try:
        with transaction.atomic():
            Tag.objects.update(label="uncommitted")
            with second.cursor() as cursor:
                cursor.execute("INSERT INTO app_author (name) VALUES ('y')")
    finally:
        second.close()
    last = LOG.latest("pk")
    assert as_of(tag, last).label == "x"
    assert as_of(tag, last.occurred_at).label == "uncommitted"


def test_what_the_log_cannot_know_is_a_doubt(book):
    sql("UPDATE auditrepr_coverage SET since_event = 1000000")
    old = as_of(book, LOG.for_object(book).earliest("pk"))
    assert old.author.name == "Ann"
    assert doubts(old)[-1] == "capture of app_author was interrupted or started later"


def test_a_column_that_is_left_out_does_not_show(book, marker):
    Book.objects.update(secret="s3cret")
    old = as_of(book, marker)
    assert "s3cret" not in str(old.secret)
    assert doubts(old)


@pytest.mark.parametrize("change", ["save", "save_base", "delete", "refresh_from_db"])
def test_the_past_cannot_be_saved_by_accident(book, marker, change):
    old = as_of(book, marker)
    old = old.author if change == "refresh_from_db" else old
    with pytest.raises(PastIsFixed, match=r"This app\.\w+ comes from auditrepr\.as_of"):
        getattr(old, change)()
    with pytest.raises(PastIsFixed):
        old.author.save() if isinstance(old, Book) else old.books.all()[0].save()
    assert Book.objects.get().title == "New"


def test_neither_an_unsaved_object_nor_a_model_alone_will_do(marker):
    for what in (Book(), Book):
        with pytest.raises(TypeError, match="a saved instance, or a model class and a pk"):
            as_of(what, marker)
    with pytest.raises(AuditLog.DoesNotExist):
        as_of(Book(pk=1), 0)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_it_reads_the_objects_own_database():
    author = Author.objects.using("other").create(name="Ann")
    event = LOG.using("other").get()
    Author.objects.using("other").update(name="Anna")
    assert as_of(author, event).name == "Ann"
    assert as_of(author, event.pk).name == "Ann"


def test_a_proxys_object_has_the_events_of_its_concrete_model():
    kept = Own.objects.create(name="Ann")
    events = LOG.for_object(OwnProxy(pk=kept.pk))
    assert list(events) == list(LOG.for_object(kept)) != []


def test_an_object_that_cannot_be_made_says_why(book, marker, monkeypatch):
    def refuse(cls, db, field_names, values):
        raise ValueError("not like this")

    monkeypatch.setattr(Book, "from_db", classmethod(refuse))
    with pytest.raises(ValueError, match="not like this"):
        as_of(book, marker)


def test_by_refuses_what_is_no_user():
    author = Author.objects.create(name="Ada")
    for given in (author, None, User(username="new"), AnonymousUser(), True, 1.5):
        with pytest.raises(NoUser, match="takes a saved user"):
            LOG.by(given)
    user = User.objects.create_user("ann")
    assert LOG.by(SimpleLazyObject(lambda: user)).count() == 0


@pytest.mark.proof
def test_a_moment_may_be_a_date_or_a_naive_time(book, marker):
    """A naive time is of the current time zone, and a date means the end of that day."""
    noon = timezone.make_aware(datetime(2021, 3, 1, 12), ZoneInfo("Asia/Tokyo"))
    LOG.create(table_name="app_tag", object_id="5", action="I", row_data={"id": 5, "label": "noon"})
    sql_time = noon.astimezone(UTC)
    LOG.filter(object_id="5", table_name="app_tag").update(occurred_at=sql_time)
    LOG.exclude(object_id="5", table_name="app_tag").delete()
    with timezone.override("Asia/Tokyo"):
        for late in (date(2021, 3, 1), datetime(2021, 3, 1, 12), noon):
            assert as_of(Tag, late, pk=5).label == "noon"
        for early in (date(2021, 2, 28), datetime(2021, 3, 1, 11, 59)):
            with pytest.raises(Tag.DoesNotExist, match=r"not exist yet: event -?\d+ added it"):
                as_of(Tag, early, pk=5)


@override_settings(USE_TZ=False, TIME_ZONE="UTC")
def test_without_time_zones_an_aware_time_is_understood(book):
    later = datetime.now(UTC) + timedelta(seconds=1)
    assert as_of(Book, later, pk=book.pk).title == "New"
    assert as_of(Book, later.replace(tzinfo=None), pk=book.pk).title == "New"


@pytest.mark.parametrize("moment", ["2021-03-01", None, True, 1.5, time(12)])
def test_what_is_no_moment_is_one_clear_error(moment, book):
    with pytest.raises(
        TypeError, match=r"as_of\(\) requires an event, its ID, a date or a datetime"
    ):
        as_of(book, moment)


def test_what_had_been_deleted_says_so(book):
    pk = book.pk
    book.delete()
    deleted = LOG.for_model(Book).latest("pk")
    with pytest.raises(Book.DoesNotExist, match=f"It had been deleted by event {deleted.pk}."):
        as_of(Book, timezone.now(), pk=pk)


def test_a_model_goes_by_its_label_too(book):
    assert list(LOG.for_model("app.Book")) == list(LOG.for_model(Book)) != []
    for label in ("app.Nothing", "Book", "nowhere.Book"):
        with pytest.raises(LookupError, match=f"No installed model has the label '{label}'. Use"):
            LOG.for_model(label)


def test_the_representation_is_there_before_the_job_has_run_and_after_it(book):
    event = LOG.for_object(book).earliest("pk")
    assert event.representation == "Old (Ann)"
    InstanceRepr.objects.create(audit_log=event, instance_repr="stored", fidelity="E")
    assert LOG.get(pk=event.pk).representation == "stored"
    assert LOG.with_reprs().get(pk=event.pk).representation == "stored"


def test_an_event_that_failed_or_is_of_no_object_has_no_representation(book):
    event = LOG.for_object(book).earliest("pk")
    ReprFailure.objects.create(audit_log=event, error_class="ValueError")
    assert LOG.get(pk=event.pk).representation is None
    assert LOG.create(table_name="app_book", action="T").representation is None


def test_the_version_is_the_packages():
    [version] = re.findall(r'^__version__ = "(.*)"$', Path(auditrepr.__file__).read_text(), re.M)
    assert auditrepr.__version__ == version
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["metadata"]["version"] == "attr: auditrepr.__version__"
