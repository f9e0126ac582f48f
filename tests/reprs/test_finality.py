"""Tests that a failure is final where ``str()`` raised as of the event, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.db import OperationalError
from django.db.models import QuerySet, Sum

from auditrepr.asof.lookups import Subject
from auditrepr.models import AuditLog, Coverage
from auditrepr.reprs import Failure, Outcome
from auditrepr.reprs.finality import is_final
from auditrepr.vendors.types import Event, Moment
from tests.app.moment import Slot
from tests.app.relations import Invoice, Line, Order
from tests.capturing import next_moment
from tests.running import built_by_job

pytestmark = pytest.mark.django_db(transaction=True)


class NoTranslation(ObjectDoesNotExist, AttributeError):
    """As packages for translations have one."""


class Evasive(Exception):
    """Answers nothing about where it comes from."""

    @property
    def __context__(self):
        raise RuntimeError


def while_handling(other: Callable[[Order], Any]) -> Callable[[Order], Any]:
    def code(order: Order) -> Any:
        try:
            return order.lines.get().item
        except Line.DoesNotExist:
            return other(order)

    return code


def raising(error: BaseException) -> Callable[[Any], Any]:
    def code(_: Any) -> Any:
        raise error

    return code


def quietly(error: Exception) -> Callable[[Any], Any]:
    def code(_: Any) -> Any:
        raise error from None

    return code


def translated(order: Order) -> str:
    """Asks first, and raises later, as a package for translations does."""
    if not order.lines.filter(item="en"):
        raise NoTranslation("not in any language")
    return "found"


def from_cause(order: Order) -> str:
    try:
        order.lines.get()
    except Line.DoesNotExist as error:
        cause = error
    raise ValueError("later") from cause


def after(first: Callable[[], Any], then: Callable[[Order], Any]) -> Callable[[Order], Any]:
    def code(order: Order) -> Any:
        first()
        return then(order)

    return code


def endlessly(order: Order) -> str:
    return endlessly(order)


def line_of(order: Order) -> str:
    return order.lines.get().item


ALL_LINES: QuerySet[Line] = QuerySet(Line)

TRUE: dict[str, tuple[str, Callable[[Order], Any]]] = {
    "a set": ("Line.DoesNotExist", line_of),
    "a filtered set": ("Line.DoesNotExist", lambda o: o.lines.filter(item="a").get().item),
    "earliest": ("Line.DoesNotExist", lambda o: o.lines.earliest("pk").item),
    "its own query": ("Line.DoesNotExist", lambda o: ALL_LINES.get(order=o).item),
    "another side": ("RelatedObjectDoesNotExist", lambda o: o.invoice.number),
    "a package's": ("NoTranslation", translated),
    "handling": ("ValueError", while_handling(raising(ValueError("no line")))),
    "handling, from None": ("ValueError", while_handling(quietly(ValueError("no line")))),
    "handling, a bug": ("AttributeError", while_handling(lambda o: o.nmae)),
    "cause": ("ValueError", from_cause),
    "a relation, attribute": ("AttributeError", lambda o: o.parent.ref),
    "a relation, deeper": ("AttributeError", lambda o: f"{o.parent} {(o.parent or '').ref}"),
    "a relation, operator": ("TypeError", lambda o: "/".join([o.ref, o.parent])),
    "a relation, join": ("TypeError", lambda o: "/".join(o.parent)),
    "a relation, returned": ("TypeError", lambda o: o.parent),
    "first of a set": ("AttributeError", lambda o: o.lines.first().item),
    "first of its own query": ("AttributeError", lambda o: ALL_LINES.filter(order=o).first().item),
    "a sum": ("TypeError", lambda o: str(1 + o.lines.aggregate(n=Sum("quantity"))["n"])),
    "no text": ("TypeError", lambda o: next((line.item for line in o.lines.all()), None)),
}

NOT: dict[str, tuple[str, Callable[[Order], Any]]] = {
    "a bug": ("AttributeError", lambda o: o.nmae),
    "a bug after a relation": ("AttributeError", lambda o: f"{o.parent} {o.nmae}"),
    "a bug after a set": ("AttributeError", lambda o: f"{o.lines.all()} {o.ref.nope}"),
    "none of the database": ("AttributeError", lambda o: {}.get("setting").upper()),
    "a wrong type": ("TypeError", lambda o: o.ref + 1),
    "a wrong type after a set": ("TypeError", lambda o: f"{o.lines.count()}" + 1),
    "another error": ("ValueError", lambda o: int(o.ref)),
    "another error after a relation": ("ValueError", lambda o: f"{o.parent}{int(o.ref)}"),
    "a service": ("ConnectionError", while_handling(raising(ConnectionError()))),
    "a setting": ("ImproperlyConfigured", while_handling(raising(ImproperlyConfigured()))),
    "a database": ("OperationalError", while_handling(raising(OperationalError()))),
    "no memory": ("MemoryError", while_handling(raising(MemoryError()))),
    "an exit": ("SystemExit", while_handling(raising(SystemExit(3)))),
    "recursion": ("RecursionError", while_handling(endlessly)),
    "evasive": ("Evasive", while_handling(raising(Evasive()))),
    "a content type": ("ContentType.DoesNotExist", lambda o: ContentType.objects.get(model="x")),
    "after current data": ("Line.DoesNotExist", after(Session.objects.count, line_of)),
}


@pytest.fixture(autouse=True)
def _an_empty_log():
    AuditLog.objects.all().delete()


@pytest.fixture
def failure_of(settings):
    """What becomes of an order that is alone at first, whatever it says."""

    def failure(code: Callable[[Order], Any]) -> Failure:
        settings.AUDITREPR = {"REPR": {"app.Order": code}}
        order = Order.objects.create(ref="A")
        first = AuditLog.objects.get(table_name="app_order")
        next_moment()
        # Today all of it is there: what is built reads the past.
        Line.objects.create(order=order, item="later")
        Invoice.objects.create(order=order, number=1)
        Order.objects.update(parent=Order.objects.create(ref="B"))
        (outcome,) = built_by_job([Event.of(first)])
        assert outcome.failure is not None
        return outcome.failure

    return failure


@pytest.mark.parametrize("way", TRUE)
def test_what_an_exact_answer_raised_is_final(failure_of, way):
    error_class, code = TRUE[way]
    failure = failure_of(code)
    assert failure.final, failure
    assert failure.error_class.endswith(error_class)


@pytest.mark.parametrize("way", NOT)
def test_what_may_be_another_the_next_time_is_not(failure_of, way):
    error_class, code = NOT[way]
    failure = failure_of(code)
    assert not failure.final, failure
    assert failure.error_class.endswith(error_class)


def test_several_objects_are_an_answer_too(settings):
    settings.AUDITREPR = {"REPR": {"app.Order": line_of}}
    order = Order.objects.create(ref="A")
    next_moment()
    for item in "ab":
        Line.objects.create(order=order, item=item)
    next_moment()
    Order.objects.update(ref="C")
    next_moment()
    Line.objects.all().delete()
    first, last = AuditLog.objects.filter(table_name="app_order").order_by("pk")
    never, often = (one.failure for one in built_by_job([Event.of(first), Event.of(last)]))
    assert never
    assert never.final
    assert never.error_class == "Line.DoesNotExist"
    assert often
    assert often.final
    assert often.error_class == "Line.MultipleObjectsReturned"


def slots() -> list[Outcome]:
    """What a slot says of the next one: before that was there, and after it was deleted."""
    slot = Slot.objects.create(name="a", next_id="b")
    next_moment()
    Slot.objects.create(name="b", note="well")
    next_moment()
    QuerySet(Slot).filter(name="b")._raw_delete("default")  # the key stays
    next_moment()
    slot.note = "later"
    slot.save()
    events = AuditLog.objects.filter(table_name="app_slot", object_id="a").order_by("pk")
    return built_by_job([Event.of(event) for event in events])


def test_a_row_that_came_later_was_not_there_and_one_that_is_gone_keeps_its_last_state(settings):
    """Live code raised DoesNotExist both times."""
    settings.AUDITREPR = {"REPR": {"app.Slot": lambda slot: slot.next.note}}
    early, late = slots()
    assert early.failure
    assert early.failure.final
    assert early.failure.error_class == "Slot.DoesNotExist"
    assert (late.text, late.reason) == ("well", "app_slot b had been deleted")


def test_an_error_after_an_object_that_is_shown_in_its_last_state_is_not_final(settings):
    """What live code met there was another error, or none."""

    def other(slot: Slot) -> str:
        return f"{slot.next_id and slot.note and slot.next.note}{Slot.objects.get(name='x')}"

    settings.AUDITREPR = {"REPR": {"app.Slot": other}}
    early, late = slots()
    assert early.failure
    assert early.failure.final
    assert late.failure
    assert not late.failure.final
    assert early.failure.error_class == late.failure.error_class == "Slot.DoesNotExist"


def test_an_error_after_a_gap_in_the_log_is_not_final(settings):
    settings.AUDITREPR = {"REPR": {"app.Order": line_of}}
    Order.objects.create(ref="A")
    event = Event.of(AuditLog.objects.latest("pk"))
    (covered,) = built_by_job([event])
    assert covered.failure
    assert covered.failure.final
    Coverage.objects.filter(table_name="app_line").update(since_event=event.id + 1)
    (doubtful,) = built_by_job([event])
    assert doubtful.failure
    assert not doubtful.failure.final


def test_a_circle_of_errors_has_an_end():
    first, second = ValueError(), KeyError()
    first.__context__, second.__context__ = second, first
    assert not is_final(first, Subject(Moment(1)))
    second.__cause__ = Line.DoesNotExist()
    assert is_final(first, Subject(Moment(1)))
