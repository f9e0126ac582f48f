"""Tests that whatever ``__str__`` does costs only its own row."""

from __future__ import annotations

import asyncio
import gc
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.db import connection, connections
from django.db.models import Model, QuerySet
from django.utils import translation

from auditrepr.asof.phases import TODAY
from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import Outcome, build, builder
from auditrepr.utils.time_limit import JobTimeLimit, TimeLimitExceeded
from auditrepr.vendors.types import Event
from tests.app.models import Author
from tests.app.troubled import Troubled
from tests.running import built_by_job
from tests.waiting import ENDLESS, LONG

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _an_empty_log():
    AuditLog.objects.all().delete()


def outcome_of(way: str) -> Outcome:
    """What becomes of the row in trouble; rows around it are shown to be well."""
    for does in ["fine", way, "fine"]:
        Troubled.objects.create(does=does)
    before, outcome, after = built_by_job(
        [Event.of(row) for row in AuditLog.objects.order_by("id")]
    )
    assert (before.text, after.text) == ("fine", "fine")
    assert connection.is_usable()
    Author.objects.create(name="still writable")
    return outcome


@pytest.mark.parametrize(
    ("way", "error_class", "message"),
    [
        ("raises", "ZeroDivisionError", "division by zero"),
        ("exits", "SystemExit", "3"),
        ("interrupts", "KeyboardInterrupt", ""),
        ("recurses", "RecursionError", "maximum recursion depth exceeded"),
        ("no memory", "MemoryError", ""),
        ("unprintable", "Unprintable", "(its message cannot be shown)"),
        ("number", "TypeError", "__str__ returned non-string (type int)"),
        ("bad query", "", "nowhere"),
    ],
)
def test_what_it_raises_is_data(way, error_class, message):
    failure = outcome_of(way).failure
    assert failure is not None
    assert error_class in failure.error_class
    assert message in failure.message
    assert failure.traceback


@pytest.mark.parametrize(
    ("way", "text", "fidelity"),
    [
        ("lazy", "Yes", Fidelity.EXACT),
        ("own transaction", "in a transaction", Fidelity.EXACT),
        ("bidi", "a\u202eb\x1b[31m", Fidelity.EXACT),
        ("nul", "a␀b", Fidelity.MIXED),
        ("surrogate", "a\\ud800b", Fidelity.MIXED),
        ("long", "x" * 9978 + "… (1000000 characters)", Fidelity.MIXED),
    ],
)
def test_what_it_returns_is_stored_as_far_as_it_can_be(way, text, fidelity):
    outcome = outcome_of(way)
    assert (outcome.failure, outcome.text, outcome.fidelity) == (None, text, fidelity)


@pytest.mark.proof
@pytest.mark.parametrize("way", ["sleeps", "slow query"])
def test_it_may_not_take_longer_than_it_is_allowed(way, settings):
    settings.AUDITREPR = {"ROW_SECONDS": 0.3}
    started = time.monotonic()
    failure = outcome_of(way).failure
    assert time.monotonic() - started < LONG
    assert failure is not None
    assert failure.error_class in ("TimeLimitExceeded", "OperationalError")


def test_it_cannot_write():
    failure = outcome_of("writes").failure
    assert failure is not None
    assert "read" in failure.message
    assert QuerySet(Troubled).count() == 3


def test_it_may_close_the_connection():
    outcome = outcome_of("closes")
    assert outcome.text == "closed" or outcome.failure


def test_language_and_time_zone_are_those_of_the_settings(settings):
    settings.AUDITREPR = {"LANGUAGE": "de", "TIME_ZONE": "Asia/Tokyo"}
    with translation.override("fr"):
        assert outcome_of("lazy").text == "Ja"
    AuditLog.objects.all().delete()
    assert outcome_of("time").text == "Asia/Tokyo"


def shout(instance):
    return f"{instance.name.upper()}!"


@pytest.mark.parametrize("way", ["tests.reprs.test_builder.shout", shout])
def test_a_setting_may_name_something_else_than_str(settings, way):
    settings.AUDITREPR = {"REPR": {"app.Author": way}}
    Author.objects.create(name="Ann")
    assert AuditLog.objects.get().build_instance_repr().text == "ANN!"


def test_a_setting_may_name_a_method(settings):
    settings.AUDITREPR = {"REPR": {"app.author": "__repr__"}}
    Author.objects.create(name="Ann")
    assert AuditLog.objects.get().build_instance_repr().text == "<Author: Ann>"


def test_what_reads_a_table_that_is_not_audited_is_mixed_and_has_a_reason(settings):
    settings.AUDITREPR = {"REPR": {"app.author": lambda author: f"{Session.objects.count()}"}}
    Author.objects.create(name="Ann")
    outcome = AuditLog.objects.get().build_instance_repr()
    assert (outcome.text, outcome.fidelity) == ("0", Fidelity.MIXED)
    assert TODAY in outcome.reason


def test_what_asynchronous_code_reads_is_mixed_too(settings, transactional_db):
    """Django sends it from another thread, on a connection of that thread."""

    async def names(author):
        found = [other.name async for other in Author.objects.order_by("pk")]
        await sync_to_async(connections.close_all)()
        return str(found)

    settings.AUDITREPR = {"REPR": {"app.author": lambda author: asyncio.run(names(author))}}
    Author.objects.create(name="Ann")
    Author.objects.update(name="Bea")
    outcome = AuditLog.objects.earliest("pk").build_instance_repr()
    assert (outcome.text, outcome.fidelity) == ("['Bea']", Fidelity.MIXED)
    assert TODAY in outcome.reason


def test_what_an_instance_asks_asynchronously_while_it_is_made_is_noticed(monkeypatch):
    async def count():
        found = await Author.objects.acount()
        await sync_to_async(connections.close_all)()
        return found

    def __init__(author, *values, **options):
        Model.__init__(author, *values, **options)
        author.among = asyncio.run(count())

    Author.objects.create(name="Ann")
    Author.objects.create(name="Bea")
    monkeypatch.setattr(Author, "__init__", __init__)
    monkeypatch.setattr(Author, "__str__", lambda author: f"{author.name} of {author.among}")
    outcome = AuditLog.objects.earliest("pk").build_instance_repr()
    assert (outcome.text, outcome.fidelity) == ("Ann of 2", Fidelity.MIXED)
    assert TODAY in outcome.reason


def test_one_statement_can_be_built_inside_the_callers_transaction(transactional_db):
    from django.db import transaction

    with transaction.atomic():
        Author.objects.create(name="Ann")
        assert AuditLog.objects.get().build_instance_repr().text == "Ann"
        Author.objects.create(name="Bea")
    assert Author.objects.count() == 2
    assert builder.build([], "default") == []


def test_a_truncate_has_no_object_to_say():
    event = AuditLog.objects.create(table_name="app_author", action="T", row_data={})
    (outcome,) = build([Event.of(event)], "default")
    assert outcome.failure is not None
    assert "NothingToRebuild" in outcome.failure.error_class


def test_a_process_that_collects_no_garbage_goes_on_not_to():
    Author.objects.create(name="Ada")
    gc.disable()
    try:
        assert built_by_job([Event.of(AuditLog.objects.get())])[0].text
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_is_built_in_any_thread():
    Author.objects.create(name="Ada")
    event = Event.of(AuditLog.objects.get())

    def work():
        try:
            return build([event], "default")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        (outcome,) = pool.submit(work).result()
    assert outcome.text == str(Author.objects.get())


def test_a_row_is_interrupted_in_time_although_an_alarm_rang_between_two_rows():
    limit = JobTimeLimit(0.05)
    with limit.enforced():
        with limit.row():
            pass
        time.sleep(0.1)  # the alarm that the first row has asked for
        with pytest.raises(TimeLimitExceeded), limit.row():
            time.sleep(ENDLESS)
