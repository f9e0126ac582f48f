"""Tests that memory bounds a batch: large rows, and the rows that they refer to."""

from __future__ import annotations

import re
import signal

import pytest
from django.db import connection

from auditrepr.asof.history import MOST_BYTES
from auditrepr.models import AuditLog, BackfillRun, InstanceRepr, ReprFailure
from auditrepr.reprs import build
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import Event
from tests import processes
from tests.app.large import Leaflet, Volume
from tests.app.models import Author
from tests.running import _empty_log, run

__all__ = ["_empty_log"]
pytestmark = pytest.mark.django_db(transaction=True)

LARGE = 1_500_000
ROWS = 60
#: Megabytes; reading all of them together takes more than twice as much.
MOST_MEGABYTES = 250

# Not getrusage(): what that says of a process begins with what its parent had needed.
PEAK = """
import re
call_command("backfill_reprs", verbosity=0)
kilobytes = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print("peak", int(kilobytes) // 1024)
"""
# What is asked for beyond it is a MemoryError.
LIMITED = f"""
import resource
limit = {MOST_MEGABYTES} * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
"""


def peak(code: str = PEAK) -> int:
    with processes.start_python(code) as process:
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return int(re.search(r"peak (\d+)", output)[1])


def ids() -> list[int]:
    return list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))


def volumes(count: int) -> list[Volume]:
    return [Volume.objects.create(name=f"{n}", text="x" * LARGE) for n in range(count)]


@pytest.mark.proof
def test_large_rows_are_built_in_little_memory_and_none_fails():
    """On PostgreSQL each is some kilobytes on disk: what it unpacks to is what counts."""
    volumes(ROWS)
    assert peak() < MOST_MEGABYTES
    assert InstanceRepr.objects.filter(fidelity="E").count() == ROWS
    assert not ReprFailure.objects.exists()


@pytest.mark.proof
def test_three_hundred_large_rows_are_built_under_a_limit_of_the_system():
    """As ``ulimit -d`` sets it."""
    volumes(300)
    assert peak(LIMITED + PEAK) < MOST_MEGABYTES
    assert InstanceRepr.objects.filter(fidelity="E").count() == 300
    assert not ReprFailure.objects.exists()


@pytest.mark.proof
def test_current_rows_that_small_ones_lead_to_count_as_well():
    for volume in volumes(ROWS):
        Leaflet.objects.create(volume=volume)
    AuditLog.objects.filter(table_name="app_volume").delete()
    assert peak() < MOST_MEGABYTES
    assert InstanceRepr.objects.count() == ROWS
    assert not ReprFailure.objects.exists()


@pytest.mark.proof
def test_former_rows_that_small_ones_lead_to_count_as_well():
    kept = volumes(ROWS)
    Leaflet.objects.bulk_create(Leaflet(volume=volume) for volume in kept)
    assert run(batch_size=1000).rows == 2 * ROWS, "the log holds what each leads to"
    InstanceRepr.objects.filter(audit_log__table_name="app_leaflet").delete()
    Volume.objects.update(text="")
    InstanceRepr.objects.bulk_create(
        InstanceRepr(audit_log_id=pk, instance_repr="", fidelity="E")
        for pk in AuditLog.objects.filter(table_name="app_volume", instance_repr=None)
        .values_list("pk", flat=True)
    )  # fmt: skip
    assert peak(PEAK.replace("verbosity=0", "verbosity=0, rescan=True")) < MOST_MEGABYTES
    stored = InstanceRepr.objects.filter(audit_log__table_name="app_leaflet")
    assert list(stored.order_by("pk").values_list("instance_repr", "fidelity")) == [
        (f"of {volume.name}", "E") for volume in kept
    ]


def test_ordinary_rows_are_weighed_by_one_query_whatever_their_number(django_assert_num_queries):
    Author.objects.bulk_create(Author(name=f"{n}") for n in range(500))
    vendor, pks = get_vendor("default"), ids()
    with django_assert_num_queries(1):
        assert vendor.fitting(pks, MOST_BYTES, {}) == 500


def test_events_fit_in_the_order_in_which_they_are_given():
    sizes = [10, LARGE, 10, LARGE, 10, LARGE]
    for size in sizes:
        Volume.objects.create(text="x" * size)
    vendor, pks = get_vendor("default"), ids()
    assert vendor.fitting(pks, 2 * LARGE + 5_000, {}) == 5
    assert vendor.fitting(pks[1::2], 2 * LARGE + 5_000, {}) == 2
    assert vendor.fitting(pks[::2], 2 * LARGE + 5_000, {}) == 3
    assert vendor.fitting(pks[1:], 100, {}) == 1, "at least one"
    assert vendor.fitting([10**12, *pks], 4 * LARGE, {}) == 7, "those that are gone weigh nothing"


def test_what_weighed_a_row_once_is_not_asked_again(django_assert_max_num_queries):
    volumes(3)
    vendor, known, pks = get_vendor("default"), {}, ids()
    assert vendor.fitting(pks, LARGE, known) == 1
    with django_assert_max_num_queries(0 if connection.vendor == "postgresql" else 1):
        assert vendor.fitting(pks, LARGE, known) == 1


def events() -> list[Event]:
    return [Event.of(row) for row in AuditLog.objects.order_by("pk")]


class Room:
    """There is memory for so many authors of one batch."""

    def __init__(self, monkeypatch, room: int) -> None:
        alive: list[object] = []
        from_db = Author.from_db.__func__

        def limited(cls, db, names, values):
            if len(alive) >= room:
                alive.clear()
                raise MemoryError
            alive.append(1)
            return from_db(cls, db, names, values)

        def text(author) -> str:
            if author.name == "never":
                raise MemoryError("always")
            alive.clear()
            return author.name

        monkeypatch.setattr(Author, "from_db", classmethod(limited))
        monkeypatch.setattr(Author, "__str__", text)


def test_a_lack_of_memory_means_fewer_events_and_no_failure(monkeypatch):
    Author.objects.bulk_create(Author(name=f"{n}") for n in range(40))
    Room(monkeypatch, 6)
    outcomes = build(events(), "default")
    assert [outcome.text for outcome in outcomes] == [str(n) for n in range(40)]


def test_an_event_that_lacks_memory_alone_fails_alone(monkeypatch):
    names = ["a", "b", "never", "c", "d"]
    Author.objects.bulk_create(Author(name=name) for name in names)
    Room(monkeypatch, 100)
    outcomes = build(events(), "default")
    assert [outcome.text for outcome in outcomes] == ["a", "b", "", "c", "d"]
    assert outcomes[2].failure.error_class == "MemoryError"


@pytest.mark.proof
def test_what_a_representation_makes_of_too_much_is_not_stored(monkeypatch):
    """Its code may catch the error, and say something else."""
    for n in range(4):
        volume = Volume.objects.create(name=f"{n}", text="x" * (MOST_BYTES // 3))
        Leaflet.objects.create(volume=volume)
    AuditLog.objects.filter(table_name="app_volume").delete()

    def text(leaflet) -> str:
        try:
            return leaflet.volume.name
        except BaseException:
            return "nobody"

    monkeypatch.setattr(Leaflet, "__str__", text)
    assert [outcome.text for outcome in build(events(), "default")] == ["0", "1", "2", "3"]


KILLED = """
import os, signal
from tests.app.models import Author
def kill(author):
    if author.name == "fatal":
        os.kill(os.getpid(), signal.SIGKILL)
    return author.name
Author.__str__ = kill
call_command("backfill_reprs", verbosity=0, {options})
"""


def killed(options: str = "") -> bool:
    with processes.start_python(KILLED.format(options=options)) as process:
        process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


@pytest.mark.proof
def test_a_batch_that_never_ended_is_halved_by_the_next_run_until_the_job_goes_on():
    names = [*(f"{n}" for n in range(5)), "fatal", *(f"{n}" for n in range(6, 16))]
    Author.objects.bulk_create(Author(name=name) for name in names)
    sizes = []
    while killed("batch_size=16"):
        sizes.append(BackfillRun.objects.latest("pk").building)
        assert len(sizes) < 20
    assert sizes[:2] == [16, 8]
    assert sizes[-2:] == [1, 1], "alone, and once more"
    assert InstanceRepr.objects.count() == 15
    failure = ReprFailure.objects.get()
    assert failure.error_class == "ProcessKilled"
    assert failure.audit_log.row_data["name"] == "fatal"


@pytest.mark.proof
def test_what_ends_a_batch_of_several_is_not_held_against_the_first_of_them():
    """Its size is noted before it is built: with the batch before it."""
    Author.objects.bulk_create(Author(name=name) for name in ("Ada", "Bob", "fatal"))
    BackfillRun.objects.create(started_at="2026-01-01T00:00Z", host="x", pid=1, building=2)
    assert killed("batch_size=8")
    assert InstanceRepr.objects.get().instance_repr == "Ada"
    assert BackfillRun.objects.latest("pk").building == 2


def test_a_run_that_ended_well_forgets_those_before_it_that_were_killed():
    BackfillRun.objects.create(started_at="2026-01-01T00:00Z", host="x", pid=1, building=2)
    Author.objects.create(name="Ada")
    run(batch_size=2)
    Author.objects.bulk_create(Author(name=f"{n}") for n in range(4))
    assert run(batch_size=4).batches == 1


def test_after_a_run_that_ended_well_the_size_is_that_which_was_asked_for():
    Author.objects.bulk_create(Author(name=f"{n}") for n in range(4))
    assert run(batch_size=2).batches == 2
    assert BackfillRun.objects.latest("pk").building == 0
    Author.objects.bulk_create(Author(name=f"{n}") for n in range(4))
    assert run(batch_size=4).batches == 1


def test_half_a_batch_grows_back():
    Author.objects.bulk_create(Author(name=f"{n}") for n in range(20))
    BackfillRun.objects.create(started_at="2026-01-01T00:00Z", host="x", pid=1, building=8)
    result = run(batch_size=8)
    assert (result.rows, result.batches) == (20, 4), "4, the rest of 8, 8 and 4"
