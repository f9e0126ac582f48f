"""Tests what the public functions say of arguments that they cannot take: one clear error each."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F
from django.db.models.functions import Now
from django.test import override_settings
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

import auditrepr
from auditrepr import as_of, doubts, restore
from auditrepr.asof.asked import event_or_time, key_of
from auditrepr.exceptions import NoUser
from auditrepr.models import AuditLog
from tests.app.fields import ByName, ByUUID, PairField
from tests.app.models import Author
from tests.app.moment import Slot, Step

pytestmark = pytest.mark.django_db

LOG = AuditLog.objects


#: Python refuses to write it as decimal digits.
HUGE = 10**5000


class Plain:
    pass


class Sketch(models.Model):
    class Meta:
        abstract = True
        app_label = "app"


class Pairs(models.Model):
    pk_pair = PairField(primary_key=True)

    class Meta:
        app_label = "sketches"


@pytest.fixture
def author() -> Author:
    return Author.objects.create(name="Ann")


@pytest.fixture
def event(author: Author) -> AuditLog:
    return LOG.for_object(author).get()


#: What is neither an instance nor a model, and what the error calls it.
NO_OBJECT = [
    ("shop.Customer", "'shop.Customer'"),
    (None, "None"),
    (5, "5"),
    pytest.param(HUGE, "a number of some 4983 digits", id="huge"),
    (Plain, "the class Plain"),
    (Plain(), "a Plain"),
    (models.Model, "the class Model"),
    (Author.objects, "a Manager"),
    (Author.objects.all(), "a QuerySet"),
]


@pytest.mark.parametrize("ask", [as_of, restore], ids=["as_of", "restore"])
class TestThePast:
    @pytest.mark.parametrize(("what", "named"), NO_OBJECT)
    @pytest.mark.parametrize("more", [{}, {"pk": 5}])
    def test_what_is_no_object(self, ask: Any, what: Any, named: str, more: Any, event) -> None:
        for moment in (event, event.pk, 4711, timezone.now()):
            with pytest.raises(TypeError) as raised:
                ask(what, moment, **more)
            wanted = f"{ask.__name__}() requires a saved instance, or a model class, not {named}"
            assert str(raised.value) == wanted

    def test_an_abstract_model(self, ask: Any, event: AuditLog) -> None:
        with pytest.raises(TypeError, match="a model with a table; Sketch is abstract"):
            ask(Sketch, event, pk=1)

    @pytest.mark.parametrize(
        ("pk", "why"),
        [
            ("abc", r"^'abc' is not a primary key of app\.Author: “abc” value must be an integer"),
            (1.5, r"^1\.5 is not a primary key of app\.Author: it is of another type"),
            (True, "^True is not a primary key"),
            (float("inf"), "^inf is not a primary key"),
            ([1], "^a list is not a primary key"),
            (10**30, "^1000000000000000000000000000000 is not .* too large for its column"),
            (-(10**30), "too large for its column"),
            pytest.param(
                HUGE, "^a number of some 4983 digits is not .*: it is too large", id="huge"
            ),
        ],
    )
    def test_what_is_no_key(self, ask: Any, pk: Any, why: str, event: AuditLog) -> None:
        with pytest.raises(ValidationError) as raised:
            ask(Author, event, pk=pk)
        [message] = raised.value.messages
        assert re.search(why, message), message

    def test_what_a_field_of_its_own_has_is_a_key(self, ask: Any, event: AuditLog) -> None:
        for key in ((1, 2), [1], {"a": 1}):
            assert key_of(Pairs, key) == key
        with pytest.raises(ValidationError, match="a list is not a primary key"):
            ask(Slot, event, pk=["a"])

    def test_an_instance_is_no_key(self, ask: Any, author: Author, event: AuditLog) -> None:
        ByName.objects.create(name="Ann")  # which the key would lead to, as text
        for model in (Author, ByName):
            with pytest.raises(ValidationError, match="an Author is not a primary key"):
                ask(model, event, pk=author)

    @pytest.mark.parametrize("key", ["a\0", "a\ud800"])
    def test_a_text_that_no_database_has(self, ask: Any, key: str, event: AuditLog) -> None:
        for model, pk in ((Slot, key), (Step, (key, 1))):
            with pytest.raises(ValidationError, match="no text in a database has such characters"):
                ask(model, event, pk=pk)

    def test_a_key_beside_an_instance(self, ask: Any, author: Author, event: AuditLog) -> None:
        with pytest.raises(TypeError, match=r"\(\) requires a pk only for a model class"):
            ask(author, event, pk=author.pk)

    @pytest.mark.parametrize(
        ("moment", "named"),
        [
            ("2020-01-01", "'2020-01-01'"),
            (None, "None"),
            (AuditLog(), "an event that is not in the log"),
            (Author(name="Ann"), "an Author"),
        ],
    )
    def test_what_is_no_moment(self, ask: Any, moment: Any, named: str, author: Author) -> None:
        with pytest.raises(TypeError) as raised:
            ask(author, moment)
        takes = "() requires an event, its ID, a date or a datetime, not "
        assert str(raised.value) == f"{ask.__name__}{takes}{named}"

    def test_a_key_that_python_does_not_write_out(self, ask: Any, event: AuditLog) -> None:
        for model, pk in ((ByUUID, HUGE), (Slot, HUGE), (Step, ("a", -HUGE))):
            with pytest.raises(ValidationError, match="digits is not a primary key of"):
                ask(model, event, pk=pk)

    @pytest.mark.parametrize("pk", [-1, 4711, 10**30, pytest.param(HUGE, id="huge")])
    def test_an_event_that_the_log_has_not(self, ask: Any, pk: int, author: Author) -> None:
        said = "a number of some 4983 digits" if pk == HUGE else pk
        wanted = f'The log in database "default" has no event {said}.'
        with pytest.raises(AuditLog.DoesNotExist, match=wanted):
            ask(author, pk)

    @pytest.mark.parametrize("using", ["nope", "", 5])
    def test_a_database_that_is_none(self, ask: Any, using: Any, author: Author, event) -> None:
        with pytest.raises(ValueError, match=f"There is no database {using!r} in DATABASES"):
            ask(author, event, using=using)


@pytest.mark.parametrize("zone", ["Etc/GMT+12", "UTC", "Pacific/Kiritimati"])
def test_the_first_day_and_the_last_one_are_times_too(author: Author, zone: str) -> None:
    with timezone.override(zone):
        for late in (date.max, datetime.max, datetime.max.replace(tzinfo=UTC)):
            assert as_of(author, late).name == "Ann"
        for early in (date.min, datetime.min, datetime.min.replace(tzinfo=UTC)):
            with pytest.raises(Author.DoesNotExist, match="It did not exist yet"):
                as_of(author, early)


#: A zone, a day, and when it ends.
ENDS = {
    "back at midnight": ("America/Santiago", date(2026, 4, 4), datetime(2026, 4, 5, 4)),
    "back at midnight in autumn": ("Africa/Cairo", date(2026, 10, 29), datetime(2026, 10, 29, 22)),
    "back after midnight": ("America/Havana", date(2026, 10, 31), datetime(2026, 11, 1, 4)),
    "forward at midnight": ("America/Santiago", date(2026, 9, 5), datetime(2026, 9, 6, 4)),
    "forward at midnight, east": ("Asia/Beirut", date(2026, 3, 28), datetime(2026, 3, 28, 22)),
    "a day that was skipped": ("Pacific/Apia", date(2011, 12, 30), datetime(2011, 12, 30, 10)),
    "an ordinary day": ("Europe/Berlin", date(2026, 7, 1), datetime(2026, 7, 1, 22)),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_date_is_the_end_of_its_day_where_the_clocks_change(author: Author, name: str) -> None:
    zone, day, ends = ENDS[name]
    ends = ends.replace(tzinfo=UTC)
    with timezone.override(zone):
        found = event_or_time(day, "default")
        assert isinstance(found, datetime)
        assert (
            found.astimezone(UTC) == ends - timedelta.resolution
        )  # as one of a fold is equal to none
        events(author, ends, "last", "next")
        assert as_of(author, day).name == "last"


def events(author: Author, end: datetime, *names: str) -> None:
    """Write these names a second before the end, and right at it."""
    for second, name in zip((1, 0), names, strict=True):
        Author.objects.update(name=name)
        written = LOG.filter(pk=LOG.latest("pk").pk)
        written.update(occurred_at=end - timedelta(seconds=second))
    LOG.filter(action="I").update(occurred_at=end - timedelta(days=1))


def test_the_second_of_two_equal_times_is_after_the_first(author: Author) -> None:
    with timezone.override("America/Santiago"):
        twice = timezone.make_aware(datetime(2026, 4, 4, 23, 30))
        events(author, twice.astimezone(UTC) + timedelta(minutes=30), "first", "second")
        assert as_of(author, twice.replace(fold=1)).name == "second"
        with pytest.raises(Author.DoesNotExist):
            as_of(author, twice - timedelta(days=9))


def test_a_date_is_the_end_of_its_day_without_time_zones() -> None:
    with override_settings(USE_TZ=False):
        found = event_or_time(date(2026, 4, 4), "default")
    assert found == datetime(2026, 4, 4, 23, 59, 59, 999_999)


def test_a_lazy_object_is_what_it_stands_for(author: Author, event: AuditLog) -> None:
    lazy: Any = SimpleLazyObject(lambda: author)  # such as `request.user`
    assert LOG.for_object(lazy).get() == event
    assert as_of(lazy, event).name == "Ann"
    assert restore(lazy, event, dry_run=True).pk == author.pk


def test_restore_names_what_it_takes_as_fields(author: Author, event: AuditLog) -> None:
    with pytest.raises(TypeError, match=r"restore\(\) requires a list of names as fields, not 5"):
        restore(author, event, fields=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("what", [None, "Ann", Author, Author(name="Ann")])
def test_doubts_are_about_what_as_of_returned(what: Any) -> None:
    with pytest.raises(TypeError, match=r"doubts\(\) requires an object from as_of\(\), not "):
        doubts(what)


@pytest.mark.parametrize(("what", "named"), NO_OBJECT)
def test_the_log_says_what_is_no_object_and_no_model(what: Any, named: str) -> None:
    with pytest.raises(TypeError, match=r"for_object\(\) requires a saved instance, not "):
        LOG.for_object(what)
    if isinstance(what, str):
        return  # a label
    with pytest.raises(TypeError) as raised:
        LOG.for_model(what)
    assert str(raised.value) == f"for_model() requires a model class, or its label, not {named}"


def test_the_log_tells_an_object_from_its_model(author: Author) -> None:
    with pytest.raises(TypeError, match=r"not the class Author: use for_model\(\)"):
        LOG.for_object(Author)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"not an instance: use for_object\(\)"):
        LOG.for_model(author)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Sketch is abstract"):
        LOG.for_model(Sketch)


def test_an_object_that_was_deleted_says_that_its_key_is_gone(author: Author) -> None:
    kept = Author(pk=author.pk)
    author.delete()
    with pytest.raises(TypeError, match=r"this Author has no primary key, as before save\(\) and"):
        LOG.for_object(author)
    assert LOG.for_object(kept).count() == 2


def test_an_object_whose_key_lacks_a_part_has_no_key() -> None:
    for step in (Step(), Step(slot_id="a"), Step(number=1)):
        with pytest.raises(TypeError, match="this Step has no primary key"):
            LOG.for_object(step)
    assert LOG.for_object(Step(slot_id="a", number=0)).count() == 0


def test_a_user_has_no_number_of_any_size() -> None:
    with pytest.raises(NoUser, match="a number of some 4983 digits"):
        LOG.by(HUGE)


def test_between_takes_what_the_database_computes(author: Author) -> None:
    hour = timedelta(hours=1)
    assert LOG.between(Now() - hour, Now() + hour).count() == 1
    assert LOG.between(timezone.now() - hour, Now() - hour).count() == 0
    assert LOG.between(F("occurred_at"), timezone.localdate() + timedelta(days=1)).count() == 1


@pytest.mark.parametrize(
    "wrong", [None, "2020-01-01", 2020, True, pytest.param(HUGE, id="huge"), Now]
)
def test_between_takes_times_and_dates(wrong: Any, author: Author) -> None:
    for bounds in ((wrong, timezone.now()), (timezone.now(), wrong)):
        with pytest.raises(TypeError, match=r"between\(\) requires dates or datetimes, not "):
            LOG.between(*bounds)
    today = timezone.localdate()
    tomorrow = today + timedelta(days=1)
    assert LOG.between(today, tomorrow).count() == 1
    assert LOG.between(tomorrow, tomorrow + timedelta(days=1)).count() == 0
    begin, end = (datetime.combine(day, datetime.min.time()) for day in (today, tomorrow))
    assert LOG.between(begin, end).count() == 1


def test_an_event_that_is_not_in_the_log_is_not_built() -> None:
    for build in (AuditLog().build_instance_repr, lambda: AuditLog().representation):
        with pytest.raises(TypeError, match="requires an event that is in the log"):
            build()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"exclude": 5}, "exclude must be a list of names, not 5"),
        ({"former_tables": 5}, "former_tables must be a list of names, not 5"),
        ({"renamed": ["a"]}, "renamed must be a dictionary, such as"),
    ],
)
def test_what_the_decorator_cannot_take(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        auditrepr.track(**wrong)
