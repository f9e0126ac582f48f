"""Tests row code that affects more than its row: it delays, changes and stops nothing else."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db import connections, transaction
from django.utils import timezone, translation

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.runs import run as job_run
from auditrepr.models import AuditLog, Checkpoint, InstanceRepr, ReprFailure, StopReason
from tests.app.models import Author
from tests.running import run, texts
from tests.waiting import ENDLESS, LONG

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = [f"author {n}" for n in range(5)]
SECONDS = 0.3


@pytest.fixture(autouse=True)
def _five_authors(transactional_db, settings):
    settings.AUDITREPR = {"ROW_SECONDS": SECONDS}
    AuditLog.objects.all().delete()
    Author.objects.bulk_create(Author(name=name) for name in NAMES)


@pytest.fixture
def says(monkeypatch):
    """Has the middle one of five do this before it says its name."""

    def install(do: Callable[[Author], object]) -> None:
        def __str__(author: Author) -> str:
            if author.name == NAMES[2]:
                do(author)
            return author.name

        monkeypatch.setattr(Author, "__str__", __str__)

    return install


def raises(error: BaseException):
    def do(author: Author) -> None:
        raise error

    return do


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(0)


class Hangs(Exception):
    def __str__(self) -> str:
        time.sleep(ENDLESS)
        return "late"


class Suggests:
    """What Python looks at to say what somebody may have meant."""

    def __dir__(self):
        raise SystemExit(0)


class Unsayable(Exception):
    __qualname__ = "a name with \ud800"


def odd_syntax_error() -> SyntaxError:
    error = SyntaxError("x")
    error.lineno, error.text = 1, 5
    return error


@pytest.mark.parametrize(
    "error",
    [
        Exits(),
        Hangs(),
        Unsayable("x"),
        odd_syntax_error(),
        AttributeError("x", name="nothing", obj=Suggests()),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_whose_own_code_fails_or_hangs_costs_its_own_row(error, says):
    says(raises(error))
    began = time.monotonic()
    result = run()
    assert time.monotonic() - began < LONG
    assert (result.stop_reason, result.rows, result.failures) == (StopReason.CAUGHT_UP, 4, 1)
    assert ReprFailure.objects.get().error_class


def test_what_is_to_be_done_on_commit_is_not_done(says):
    did: list[int] = []

    def do(author: Author) -> None:
        transaction.on_commit(lambda: did.append(1))
        transaction.on_commit(lambda: 1 / 0)

    says(do)
    assert run().stop_reason == StopReason.CAUGHT_UP
    assert (texts(), did) == (NAMES, [])


def test_nor_in_the_transaction_of_a_caller(says):
    did: list[int] = []
    ours: list[int] = []
    says(lambda author: transaction.on_commit(lambda: did.append(1)))
    with transaction.atomic():
        transaction.on_commit(lambda: ours.append(1))
        event = AuditLog.objects.order_by("pk")[2]
        assert event.build_instance_repr().text == NAMES[2]
    assert (did, ours) == ([], [1])


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_it_cannot_write_to_another_database_either(says):
    says(lambda author: Author.objects.using("other").create(name="never"))
    assert run().failures == 1
    assert "must not write to the database" in ReprFailure.objects.get().message
    assert not Author.objects.using("other").exists()


@pytest.mark.proof
def test_code_that_swallows_the_time_limit_meets_it_again(says):
    def sleep(author: Author) -> None:
        for _ in range(5):
            with suppress(BaseException):
                time.sleep(ENDLESS)

    says(sleep)
    began = time.monotonic()
    run()
    assert time.monotonic() - began < 5 * SECONDS + LONG


@pytest.mark.proof
def test_code_that_takes_the_alarm_away_does_not_take_it_from_the_next_row(monkeypatch):
    def __str__(author: Author) -> str:
        if author.name == NAMES[0]:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if author.name == NAMES[2]:
            time.sleep(ENDLESS)
        return author.name

    monkeypatch.setattr(Author, "__str__", __str__)
    began = time.monotonic()
    assert run().failures == 1
    assert time.monotonic() - began < LONG


def test_a_language_or_a_zone_that_one_row_activates_is_not_the_next_ones(monkeypatch):
    def __str__(author: Author) -> str:
        said = f"{translation.get_language()} {timezone.get_current_timezone_name()}"
        translation.activate("de")
        timezone.activate("Asia/Tokyo")
        return said

    monkeypatch.setattr(Author, "__str__", __str__)
    run()
    assert set(texts()) == {"en UTC"}


@pytest.mark.proof
def test_a_batch_that_takes_long_is_stored_as_far_as_it_has_come(monkeypatch, settings):
    """Else a run that is killed after some time would never come to an end of it."""
    settings.AUDITREPR = {}
    monkeypatch.setattr(job_run, "EARLY", 0.15)

    def __str__(author: Author) -> str:
        time.sleep(0.1)
        return author.name

    monkeypatch.setattr(Author, "__str__", __str__)
    first = run(max_batches=1)
    # On a busy machine one row may take that long.
    assert (first.stop_reason, first.rows in (1, 2)) == (StopReason.BATCH_LIMIT, True)
    assert texts() == NAMES[: first.rows]
    rest = run()
    assert (rest.stop_reason, rest.rows) == (StopReason.CAUGHT_UP, 5 - first.rows)
    assert rest.batches >= 2
    assert texts() == NAMES
    assert Checkpoint.objects.get().settled_id == AuditLog.objects.latest("pk").pk


def test_so_is_one_that_is_retried_and_one_that_is_rebuilt(monkeypatch, settings, says):
    from auditrepr.job.rebuilding import rebuild
    from auditrepr.job.rebuilding.selection import Selection

    settings.AUDITREPR = {}
    monkeypatch.setattr(Author, "__str__", raises(ValueError("x")))
    assert run().failures == 5
    monkeypatch.setattr(job_run, "EARLY", 0)
    monkeypatch.setattr(Author, "__str__", lambda author: author.name)
    result = run(retry_failed=True)
    assert (result.rows, result.batches) == (5, 5)
    assert texts() == NAMES
    monkeypatch.setattr(Author, "__str__", lambda author: author.name.upper())
    result = rebuild.run("default", Selection(), lock=DatabaseLock("default"))
    assert (result.stop_reason, result.rows, result.batches) == (StopReason.CAUGHT_UP, 5, 5)
    assert texts() == [name.upper() for name in NAMES]


def test_a_sweep_keeps_the_limits_of_its_run(monkeypatch):
    run()
    run()
    InstanceRepr.objects.all().delete()
    result = run(batch_size=1, max_batches=1)
    assert (result.stop_reason, result.batches) == (StopReason.BATCH_LIMIT, 1)
    result = run(batch_size=1, stop=lambda: InstanceRepr.objects.count() >= 3)
    assert (result.stop_reason, len(texts())) == (StopReason.SIGNAL, 3)
    assert run().rows == 2
    connections["default"].close()
