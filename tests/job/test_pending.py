"""Which rows still need a representation: nothing lost, nothing twice, whatever the order.

``STRESS_SECONDS=60`` lets many writers write for so long, as ``make stress`` does.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from auditrepr.job import pending
from auditrepr.job import windows as job_windows
from auditrepr.job.pending import Backlog, preview
from auditrepr.job.windows import windows
from auditrepr.models import AuditLog, Checkpoint, InstanceRepr, ReprFailure
from auditrepr.vendors import get_vendor
from auditrepr.vendors.postgresql.queries import WRITERS
from auditrepr.vendors.postgresql.store import as_writers
from auditrepr.vendors.types import BEGINNING, Writers
from tests.capturing import sql
from tests.running import _empty_log
from tests.servers import PostgresServer

__all__ = ["_empty_log"]
pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = float(os.environ.get("STRESS_SECONDS", "5"))


INSERT = "INSERT INTO auditrepr_auditlog (table_name, action) VALUES ('t', 'I') RETURNING id"


def log(count: int = 1, **values) -> list[int]:
    rows = [AuditLog(**{"table_name": "t", "action": "I"} | values) for _ in range(count)]
    return [row.pk for row in AuditLog.objects.bulk_create(rows)]


def log_at(*ids: int) -> list[int]:
    return [row.pk for row in AuditLog.objects.bulk_create([_row(pk) for pk in ids])]


def _row(pk: int) -> AuditLog:
    return AuditLog(pk=pk, table_name="t", action="I")


def last_id() -> int:
    return get_vendor("default").position().event


def run(size: int = 100, batches: int | None = None, **options) -> list[int]:
    """What a run stores, in order; it may be cut short after some batches."""
    backlog = Backlog("default", **options)
    stored = []
    for number, batch in enumerate(backlog.batches(lambda: size)):
        if number == batches:
            backlog.settle()
            return stored
        with transaction.atomic():
            stored += represent(event.id for event in batch.events)
            backlog.settle(batch.reaches)
    for batch in backlog.sweep(size):
        stored += represent(event.id for event in batch.events)
    backlog.settle()
    return stored


def represent(ids) -> list[int]:
    made = InstanceRepr.objects.bulk_create(
        [InstanceRepr(audit_log_id=pk, instance_repr="x", fidelity="E") for pk in ids]
    )
    return [row.pk for row in made]


def mark() -> int:
    return Checkpoint.objects.get().settled_id


@contextmanager
def writer() -> Iterator:
    """Another session in a transaction of its own."""
    session = connection.copy()
    session.set_autocommit(False)
    try:
        yield session
    finally:
        session.rollback()  # the server learns of a closed session a little later
        session.close()


def insert(session) -> int:
    with session.cursor() as cursor:
        cursor.execute(INSERT)
        return cursor.fetchone()[0]


@pytest.mark.proof
def test_a_run_hands_out_every_pending_row_once_in_the_order_of_the_ids():
    ids = log(25)
    assert run(size=10) == ids
    assert run(size=10) == []


def test_with_no_open_writer_the_watermark_settles_within_the_same_run():
    ids = log(3)
    run()
    assert mark() == ids[-1]


def test_failed_events_are_not_pending():
    ids = log(3)
    ReprFailure.objects.create(audit_log_id=ids[1], error_class="ValueError")
    assert run() == [ids[0], ids[2]]
    assert mark() == ids[-1]


def test_a_truncate_has_no_object_and_is_never_pending():
    ids = log(1) + log(1, action="T") + log(1)
    assert run() == [ids[0], ids[2]]


def test_a_run_that_is_cut_short_moves_the_watermark_no_further_than_it_stored():
    ids = log(30)
    assert run(size=10, batches=2) == ids[:20]
    assert mark() == ids[19]
    assert run(size=10) == ids[20:]


def test_a_batch_fills_across_windows(monkeypatch):
    monkeypatch.setattr(job_windows, "WINDOW", 3)
    ids = log(20)
    batches = [
        [event.id for event in batch.events] for batch in Backlog("default").batches(lambda: 8)
    ]
    assert batches == [ids[:8], ids[8:16], ids[16:]]


def test_a_turn_without_a_pending_row_is_no_short_batch(monkeypatch):
    """A run goes on through represented rows, and lets its caller stop or renew in between."""
    monkeypatch.setattr(job_windows, "WINDOW", 2)
    monkeypatch.setattr(job_windows, "TURN", 2)
    ids = log(20)
    represent(ids[:15])
    batches = list(Backlog("default").batches(lambda: 8))
    assert not batches[0].events
    assert [event.id for batch in batches for event in batch.events] == ids[15:]


def test_rows_that_come_during_a_run_are_taken_by_it_while_its_batches_are_full():
    ids = log(4)
    batches = Backlog("default").batches(lambda: 4)
    represent(event.id for event in next(batches).events)
    later = log(2)
    assert [event.id for event in next(batches).events] == later
    log(1)
    assert list(batches) == [], "a short batch ends the run, or it might never end"
    assert ids


def test_a_run_starts_right_before_the_first_row_and_a_later_one_at_the_watermark():
    ids = log(3)
    assert Backlog("default").start == ids[0] - 1
    run()
    assert Backlog("default").start == ids[-1]
    log(1)
    assert Backlog("default").start == ids[-1]
    assert Backlog("default", rescan=True).start == ids[0] - 1


def test_windows_grow_so_that_a_narrow_first_one_costs_no_long_walk():
    first, *_, last = log(63)
    parts = list(windows("default", first - 1, last, width=1))
    assert [end - after for after, end in parts] == [1, 2, 4, 8, 16, 32]


def test_a_gap_of_millions_of_ids_costs_one_look_up():
    first = log(1)
    far = log_at(first[0] + 50_000_000)
    with CaptureQueriesContext(connection) as captured:
        assert run() == first + far
    assert len(captured) < 25


def test_explicit_ids_do_not_hide_those_of_the_sequence():
    made_up = log_at(last_id() + 1_000_000)
    assert run() == made_up
    ids = log(3)
    assert run() == ids
    assert run() == []


def test_a_log_restored_to_an_earlier_state_starts_again_from_the_beginning():
    ids = log(10)
    run()
    AuditLog.objects.filter(pk__gte=ids[5]).delete()
    InstanceRepr.objects.all().delete()
    assert run() == ids[:5]


def test_a_log_that_was_pruned_or_emptied_is_no_trouble():
    ids = log(10)
    run()
    AuditLog.objects.filter(pk__lte=ids[4]).delete()
    assert run() == []
    AuditLog.objects.all().delete()
    assert run() == []
    later = log(2)
    assert run() == later


def test_the_sweep_finds_what_lost_its_representation_and_says_so(caplog):
    ids = log(10)
    run()
    InstanceRepr.objects.filter(pk=ids[3]).delete()
    assert run() == [ids[3]]
    assert f"Found 1 pending event from ID {ids[3]} on below" in caplog.text
    assert run() == []


def test_the_sweep_goes_one_bounded_slice_further_in_each_run(monkeypatch):
    ids = log(10)
    run()
    InstanceRepr.objects.filter(pk__in=ids).delete()
    monkeypatch.setattr(pending, "SLICE", 4)
    assert run() == ids[:4]
    assert run() == ids[4:8]
    assert run() == ids[8:]
    InstanceRepr.objects.filter(pk=ids[0]).delete()
    assert run() == [ids[0]], "at the mark it begins anew"


def test_the_sweep_tells_the_first_of_the_rows_it_found(caplog):
    ids = log(4)
    run()
    InstanceRepr.objects.filter(pk__in=ids[1:]).delete()
    run()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"Found 3 pending events from ID {ids[1]} on below")
    assert (record.rows, record.first_id, record.settled_id) == (3, ids[1], ids[-1])


def test_the_very_first_row_of_a_log_is_looked_at_like_any_other():
    log_at(1)
    assert run() == [1]
    for options in ({}, {}, {"rescan": True}):
        InstanceRepr.objects.all().delete()
        assert run(**options) == [1]
    InstanceRepr.objects.all().delete()
    Checkpoint.objects.update(settled_id=5)
    assert [event.id for event in preview("default", 3)[0]] == [1]


def test_an_empty_log_has_no_batches_at_all():
    assert list(Backlog("default").batches(lambda: 5)) == []


def test_a_rescan_looks_at_the_whole_log_and_later_runs_resume_it(monkeypatch):
    monkeypatch.setattr(pending, "SLICE", 1)
    ids = log(10)
    run()
    InstanceRepr.objects.filter(pk__in=ids).delete()
    assert run(size=3, batches=2, rescan=True) == ids[:6]
    assert run(size=3) == ids[6:]


def test_an_idle_selection_costs_the_same_few_statements_whatever_is_in_the_log():
    log(10)
    run()
    counts = []
    for more in (0, 200):
        log(more)
        run()
        with CaptureQueriesContext(connection) as captured:
            run()
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 7  # one of them steps over the ids that other tests took


def test_a_preview_writes_nothing_and_counts_no_further_than_one_turn(monkeypatch):
    ids = log(10)
    events, count = preview("default", 3)
    assert [event.id for event in events] == ids[:3]
    assert str(count) == "10"
    assert not Checkpoint.objects.exists()
    monkeypatch.setattr(job_windows, "WINDOW", 2)
    monkeypatch.setattr(job_windows, "TURN", 2)
    Checkpoint.objects.create(settled_id=ids[0] - 1)
    assert str(preview("default", 3)[1]) == "at least 4"
    assert str(preview("default", 0)[1]) == "at least 4"


def test_a_preview_begins_at_the_watermark_of_the_last_run():
    ids = log(3)
    run()
    InstanceRepr.objects.all().delete()
    events, count = preview("default", 3)
    assert (events, str(count)) == ([], "0"), "below it the sweep goes, slice by slice"
    later = log(1)
    events, count = preview("default", 3)
    assert ([event.id for event in events], str(count)) == (later, "1")
    AuditLog.objects.filter(pk__gte=ids[2]).delete()
    events, count = preview("default", 3)
    assert ([event.id for event in events], str(count)) == (ids[:2], "2"), "a log that was restored"


@pytest.mark.postgresql
def test_a_row_that_commits_late_with_a_lower_id_is_not_lost():
    with writer() as late:
        hidden = insert(late)
        seen = log(3)
        assert run() == seen
        assert run() == []
        assert mark() < hidden
        late.commit()
    assert run() == [hidden]
    assert run() == []
    assert mark() == seen[-1]


@pytest.mark.postgresql
def test_the_watermark_follows_as_soon_as_the_writers_at_its_candidate_have_ended():
    """Others who have begun since hold up the next candidate only."""
    with writer() as first, writer() as second:
        insert(first)
        seen = log(1)
        run()
        hidden = insert(second)
        log(1)
        first.commit()
        run()
        assert mark() == seen[0]
        assert mark() < hidden
        second.commit()
        assert run() == [hidden]


@pytest.mark.postgresql
def test_a_writer_that_came_later_and_took_no_id_holds_nothing_up():
    with writer() as first, writer() as second:
        insert(first)
        (seen,) = log(1)
        run()
        first.commit()
        with second.cursor() as cursor:
            cursor.execute("DELETE FROM auditrepr_auditlog WHERE false")
        run()
        assert mark() == seen


@pytest.mark.postgresql
def test_since_when_the_watermark_waits_for_writers_is_noted_while_it_does():
    with writer() as session:
        insert(session)
        log(1)
        run()
        assert Checkpoint.objects.get().candidate_at
    run()
    assert Checkpoint.objects.get().candidate_at is None


@pytest.mark.postgresql
def test_ids_that_were_rolled_back_hold_nothing_up():
    with writer() as session:
        insert(session)
        seen = log(1)
        run()
        session.rollback()
    run()
    assert mark() == seen[0]


@pytest.mark.postgresql
def test_an_insert_that_has_its_id_but_no_transaction_id_yet_holds_the_watermark():
    """Between nextval and the heap a writer shows in no snapshot; its lock shows it."""
    slow = (
        "INSERT INTO auditrepr_auditlog (table_name, action, object_id)"
        " VALUES ('t', 'I', pg_advisory_lock(1)::text)"
    )
    before = last_id()
    sql("SELECT pg_advisory_lock(1)")

    def insert_slowly() -> None:
        session = connection.copy()
        with session.cursor() as cursor:
            cursor.execute(slow)
        session.close()

    thread = threading.Thread(target=insert_slowly)
    thread.start()
    while last_id() == before:
        time.sleep(0.01)
    (seen,) = log(1)
    assert run() == [seen]
    assert mark() <= before
    sql("SELECT pg_advisory_unlock(1)")
    thread.join()
    assert run() == [before + 1]


@pytest.mark.postgresql
def test_a_prepared_transaction_holds_the_watermark_however_old_it_is():
    with writer() as session:
        hidden = insert(session)
        with session.cursor() as cursor:
            cursor.execute("PREPARE TRANSACTION 'left behind'")
    seen = log(1)
    for _ in range(3):
        run()
    assert mark() < hidden
    with connection.cursor() as cursor:
        cursor.execute("COMMIT PREPARED 'left behind'")
    assert run() == [hidden]
    assert mark() == seen[0]


@pytest.mark.postgresql
def test_a_writer_of_a_partition_alone_is_seen():
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA parted")
        cursor.execute("SET search_path = parted")
        cursor.execute(
            "CREATE TABLE auditrepr_auditlog (id bigint) PARTITION BY RANGE (id);"
            "CREATE TABLE part PARTITION OF auditrepr_auditlog FOR VALUES FROM (0) TO (9)"
        )
    try:
        with writer() as session:
            with session.cursor() as cursor:
                cursor.execute("INSERT INTO parted.part VALUES (1)")
            assert len(get_vendor("default").writers().names) == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET search_path; DROP SCHEMA parted CASCADE")


@pytest.mark.postgresql
def test_nothing_is_proven_inside_the_callers_transaction():
    log(1)
    with transaction.atomic():
        run()
    assert mark() == BEGINNING


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_transaction_that_a_crash_recovered_still_counts_as_a_writer():
    """Its name changes, so it can be told from nobody that was noted before."""
    server = PostgresServer(options="-c max_prepared_transactions=2")
    try:
        with psycopg.connect(server.url, dbname="postgres", autocommit=True) as session:
            session.execute("CREATE TABLE auditrepr_auditlog (id bigint)")
            session.execute("BEGIN; INSERT INTO auditrepr_auditlog VALUES (1)")
            session.execute("PREPARE TRANSACTION 'p'")
            before = writers_of(session)
        server.stop("immediate")
        server.start()
        with psycopg.connect(server.url, dbname="postgres", autocommit=True) as session:
            after = writers_of(session)
            assert before.names != after.names
            assert before.server != after.server
            assert after.include_any_of(before)
            session.execute("ROLLBACK PREPARED 'p'")
            assert not writers_of(session).include_any_of(before)
    finally:
        server.close()


def writers_of(session: psycopg.Connection) -> Writers:
    return as_writers(*session.execute(WRITERS).fetchone())


@pytest.mark.proof
@pytest.mark.postgresql
def test_with_many_writers_nothing_is_lost_or_twice_and_the_watermark_is_right(
    caplog,
):
    """Had the mark ever passed a row that came later, the sweep would have found it and said so."""
    stored, marks = run_beside_writers(SECONDS)
    ids = list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))
    assert sorted(stored) == ids
    assert len(ids) > 100
    assert len(marks) > 5, "the mark follows, busy as the log is"
    assert caplog.text == ""


@pytest.mark.proof
@pytest.mark.postgresql
def test_a_watermark_that_follows_all_it_sees_passes_rows_that_come_later(monkeypatch, caplog):
    """Beside the same writers: so they do what a mark has to stand."""

    def naive(self: Backlog, rescan: bool) -> int:
        self.top = self.vendor.reach().visible
        return self.top

    monkeypatch.setattr(Backlog, "_prove", naive)
    run_beside_writers(SECONDS)
    assert "on below the watermark" in caplog.text


def run_beside_writers(seconds: float) -> tuple[list[int], set[int]]:
    """What was stored, and where the mark stood, while eight of them wrote for so long."""
    end = time.monotonic() + seconds
    writers = [threading.Thread(target=write_at_random, args=(n, end)) for n in range(8)]
    for thread in writers:
        thread.start()
    stored, marks = [], set()
    while any(thread.is_alive() for thread in writers):
        stored += run(size=20)
        marks.add(mark())
    for _ in range(3):
        stored += run(size=20)
    return stored, marks


def write_at_random(number: int, end: float) -> None:
    """Transactions that end in all ways there are, with pauses before and after taking ids."""
    chance = random.Random(number)
    session = connection.copy()
    session.ensure_connection()
    with session.connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute("BEGIN")
            for _ in range(chance.randint(1, 3)):
                pause = chance.choice([0, 0, 0.01, 0.05])
                cursor.execute(
                    "INSERT INTO auditrepr_auditlog (table_name, action, object_id)"
                    f" VALUES ('t', 'I', pg_sleep({pause})::text)"
                )
            if chance.random() < 0.3:
                cursor.execute("SAVEPOINT s")
                cursor.execute(INSERT)
                cursor.execute("ROLLBACK TO s")
            time.sleep(chance.choice([0, 0.01, 0.1, 0.3]))
            if chance.random() < 0.2:
                cursor.execute(f"PREPARE TRANSACTION 'w{number}'")
                time.sleep(chance.choice([0, 0.05]))
                cursor.execute(f"COMMIT PREPARED 'w{number}'")
            else:
                cursor.execute(chance.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
    session.close()
