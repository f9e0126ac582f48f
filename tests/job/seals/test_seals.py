"""Whoever changes what is sealed is found out; what auditrepr itself does to the log is not."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.test import Client
from django.utils import timezone

from auditrepr.exceptions import LeaseLost, NothingSealed, SealBroken, SealUnknown
from auditrepr.job import importing
from auditrepr.job.importing import Request
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.retention import prune
from auditrepr.job.seals import chain, export, form, sealing, verifying
from auditrepr.models import AuditLog, Checkpoint, Import, Lease, SealEntry
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import BEGINNING
from tests import old_log
from tests.app.models import Author
from tests.capturing import next_moment, sql
from tests.running import run
from tests.sealing import ids, swap, verify

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _small_ranges(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AUDITREPR = {"SEAL": True}
    monkeypatch.setattr(sealing, "EVENTS", 4)
    AuditLog.objects.all().delete()


def write(count: int) -> list[int]:
    for n in range(count):
        Author.objects.create(name=f"author {n}")
    return ids()


def sealed(count: int) -> list[int]:
    """The IDs of so many sealed events, in ranges of four."""
    found = write(count)
    run()
    assert verify().differing == 0
    return found


def exported(path: Path) -> Path:
    path.write_bytes(b"".join(export.lines("default")))
    return path


def pruned(before: Any = None, **options: Any) -> prune.Pruned:
    before = before or timezone.now() + timedelta(days=1)
    return prune.prune("default", before, lock=DatabaseLock("default"), **options)


def prune_upto(event: int) -> None:
    """Delete the events up to this one, and no others."""
    old = timezone.now() - timedelta(days=400)
    assert AuditLog.objects.filter(pk__lte=event, occurred_at__gt=old).count() == 0
    pruned(old)


def aged(count: int, old: int) -> list[int]:
    """The IDs of so many sealed events; the first ones are two years old."""
    found = write(count)
    AuditLog.objects.filter(pk__lte=found[old - 1]).update(
        occurred_at=timezone.now() - timedelta(days=800)
    )
    run()
    return found


# What is sealed


def test_the_job_seals_what_is_settled_in_ranges_without_a_gap():
    ids = write(10)
    run()
    rows = SealEntry.objects.order_by("number").values_list("after_id", "upto_id", "events")
    assert list(rows) == [(BEGINNING, ids[3], 4), (ids[3], ids[7], 4), (ids[7], ids[9], 2)]
    assert run().idle
    assert SealEntry.objects.count() == 3
    found = verify()
    assert (found.differences, found.seals, found.events) == ([], 3, 10)


def test_only_if_the_project_asks_for_it(settings: Any):
    settings.AUDITREPR = {}
    write(3)
    run()
    assert not SealEntry.objects.exists()
    with pytest.raises(NothingSealed, match="seal_audit_log"):
        verify()


def test_a_run_seals_up_to_the_watermark_and_no_further():
    ids = write(6)
    run()
    SealEntry.objects.all().delete()
    Checkpoint.objects.update(settled_id=ids[4])
    with DatabaseLock("default") as lock:
        done = sealing.seal("default", lock, lambda progress: None, lambda: False)
    assert (done.entries, done.events, done.upto_id) == (2, 5, ids[4])


def test_a_run_seals_so_many_ranges_and_the_next_one_continues(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sealing, "RANGES", 2)
    write(17)
    run()
    assert chain.last("default").number == 2
    run()
    run()
    assert verify().events == 17


def test_a_process_that_lost_the_lock_adds_nothing():
    write(3)
    run()
    SealEntry.objects.all().delete()
    with DatabaseLock("default") as lock:
        Lease.objects.update(token="7b7c2ed5-0000-0000-0000-000000000000")
        with pytest.raises(LeaseLost):
            sealing.seal("default", lock, lambda progress: None, lambda: False)
    assert not SealEntry.objects.exists()


def test_two_entries_never_have_one_place_in_the_chain():
    sealed(5)
    first = chain.entries("default").first()
    entry = SealEntry(kind="sealed", after_id=0, upto_id=1, events=0, content=b"")
    with pytest.raises(LeaseLost):
        chain.append("default", entry, first)


# What is found


def add(value: str) -> Callable[[str], Any]:
    return lambda column: Concat(F(column), Value(value))


CHANGES: dict[str, Any] = {
    "table_name": "app_book",
    "object_id": None,
    "previous_object_id": "",
    "action": "D",
    "row_data": {"id": 1},
    "changed_from": {},
    "context": {"user": "1"},
    "writer": "",
    "transaction_id": 1,
    "snapshot": "",
    "statement_at": timezone.now(),
    "occurred_at": timezone.now(),
}


def test_the_changes_cover_every_column():
    fields = {field.name for field in AuditLog._meta.concrete_fields}
    assert fields == {*CHANGES, "id", "actor"}  # the one is tried below, the other is generated


@pytest.mark.parametrize("column", CHANGES)
def test_a_change_of_any_column_is_found_and_named(column: str):
    ids = sealed(10)
    assert AuditLog.objects.filter(pk=ids[5]).update(**{column: CHANGES[column]}) == 1
    found = verify()
    assert found.differences == [
        f"seal 2 (from event {ids[3] + 1} to {ids[7]}): event {ids[5]} was changed"
    ]
    assert found.differing == 1


def test_the_smallest_change_of_a_time_is_found():
    ids = sealed(3)
    AuditLog.objects.filter(pk=ids[1]).update(occurred_at=F("occurred_at") + timedelta(0, 0, 1000))
    assert f"event {ids[1]} was changed" in verify().differences[0]


@pytest.mark.parametrize("place", [0, 3, 5, 9])
def test_a_deleted_event_is_found_and_named(place: int):
    ids = sealed(10)
    AuditLog.objects.filter(pk=ids[place]).delete()
    (found,) = verify().differences
    assert found.endswith(f"event {ids[place]} was deleted")


def insert(pk: int) -> None:
    AuditLog.objects.create(id=pk, table_name="app_author", object_id="1", action="I", row_data={})


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_event_that_is_inserted_into_a_gap_is_found_and_named(number: int):
    ids = write(10)
    gap = ids[3 * number - 1]
    AuditLog.objects.filter(pk=gap).delete()
    run()
    insert(gap)
    (found,) = verify().differences
    assert found.endswith(f"event {gap} was inserted")


def test_events_that_are_inserted_before_the_log_are_found():
    ids = sealed(5)
    insert(ids[0] - 1)
    insert(BEGINNING + 1)
    (found,) = verify().differences
    assert found == (f"seal 1 (from the beginning to {ids[3]}): event {BEGINNING + 1} was inserted")


def test_however_many_are_inserted_few_are_read():
    ids = sealed(9)
    AuditLog.objects.bulk_create(
        AuditLog(id=BEGINNING + 1 + n, table_name="t", action="I") for n in range(50)
    )
    found = verify()
    assert found.differing == 1
    assert f"event {BEGINNING + 1} was inserted" in found.differences[0]
    assert found.events < 20
    assert ids[0] > 0 or ids[0] > BEGINNING + 50


@pytest.mark.parametrize("other", [2, 9])
def test_swapped_events_are_found_and_named(other: int):
    ids = sealed(10)
    swap(ids[1], ids[other])
    found = verify().differences
    assert f"event {ids[1]} was changed" in found[0]
    assert len(found) == (1 if other == 2 else 2)


def test_only_the_first_differences_are_named():
    ids = sealed(60)
    AuditLog.objects.filter(pk__in=ids[::4]).update(writer="x")
    found = verify()
    assert (found.differing, len(found.differences)) == (15, verifying.NAMED)


def test_verification_continues_where_it_was_stopped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verifying, "EVENTS", 4)
    ids = sealed(20)
    AuditLog.objects.filter(pk=ids[-1]).update(writer="x")
    found = verify(stop=lambda: True)
    assert (found.next_number, found.seals, found.differing) == (2, 1, 0)
    rest = verify(first=found.next_number)
    assert (rest.seals, rest.differing, rest.next_number) == (4, 1, None)
    with pytest.raises(SealUnknown, match="no seal 6: the last one is 5"):
        verify(first=6)


# The chain


FIELDS = [f.name for f in SealEntry._meta.concrete_fields if f.name not in ("marks", "touched")]


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_seal_is_found(field: str):
    sealed(10)
    row = SealEntry.objects.get(number=2)
    value = getattr(row, field)
    other = {bytes: lambda: b"x" * 32, memoryview: lambda: b"x" * 32, str: lambda: "pruned"}
    changed = other.get(type(value), lambda: (value or 0) + 100)()
    SealEntry.objects.filter(number=2).update(**{field: changed})
    found = verify().differences
    expected = {"number": "seal 2 is missing", "format": "seal 2 has format 101"}
    assert found[0].startswith(expected.get(field, "seal 2 is not what it was"))


def test_a_removed_seal_is_found():
    sealed(10)
    SealEntry.objects.filter(number=2).delete()
    assert verify().differences[0] == "seal 2 is missing"


def test_seals_in_another_order_are_found():
    sealed(10)
    for old, new in ((2, 99), (3, 2), (99, 3)):
        SealEntry.objects.filter(number=old).update(number=new)
    assert verify().differences[0].startswith("seal 2 is not what it was")


def test_marks_that_were_tampered_with_only_keep_the_event_from_being_named():
    ids = sealed(10)
    SealEntry.objects.filter(number=2).update(marks=b"x")
    assert verify().differing == 0
    AuditLog.objects.filter(pk=ids[5]).update(writer="x")
    assert "no single event can be named" in verify().differences[0]


def anew() -> None:
    """Seal the log anew, as its owner can."""
    SealEntry.objects.all().delete()
    run()


def test_a_chain_that_was_computed_again_differs_from_an_export(tmp_path: Path):
    ids = sealed(10)
    kept = exported(tmp_path / "seals")
    AuditLog.objects.filter(pk=ids[5]).update(writer="x")
    anew()
    assert verify().differing == 0
    found = verify(against=export.read(kept))
    assert found.differences == ["seal 1 is another one than in the export"]  # it has another time


def test_a_forged_last_seal_differs_from_an_export(tmp_path: Path):
    ids = sealed(10)
    kept = exported(tmp_path / "seals")
    SealEntry.objects.filter(number=3).delete()
    AuditLog.objects.filter(pk=ids[9]).delete()
    run()
    assert verify().differing == 0
    assert verify(against=export.read(kept)).differences == [
        "seal 3 is another one than in the export"
    ]


def test_removed_last_seals_differ_from_an_export_unless_the_database_is_a_copy(tmp_path: Path):
    sealed(10)
    kept = exported(tmp_path / "seals")
    SealEntry.objects.filter(number__gte=2).delete()
    assert verify().differing == 0
    (found,) = verify(against=export.read(kept)).differences
    assert found == "the export has 2 more seals than the database"
    assert verify(against=export.read(kept), older_copy=True).differing == 0


def test_an_older_export_and_a_part_of_one_say_what_came_since(tmp_path: Path):
    sealed(8)
    kept = exported(tmp_path / "seals")
    sealed(8)
    part = tmp_path / "part"
    part.write_bytes(b"".join(export.lines("default", 2)))
    found = verify(against=export.read(kept))
    assert (found.differing, found.seals_since) == (0, 2)
    found = verify(against=export.read(part))
    assert (found.differing, found.seals_since) == (0, 0)
    SealEntry.objects.filter(number=4).update(digest=b"x" * 32)
    assert verify(against=export.read(part)).differing >= 2


def test_an_export_can_be_recomputed_from_its_lines():
    sealed(10)
    lines = [json.loads(line) for line in export.lines("default")]
    assert [line["number"] for line in lines] == [1, 2, 3]
    names = ("format", "number", "previous", "kind", "after", "upto", "amends", "import")
    for before, line in zip([None, *lines], lines, strict=False):
        assert line["previous"] == (before and before["digest"])
        values = [line[name] for name in (*names, "events", "content", "sealed_at")]
        assert form.sha256(form.framed(values)).hexdigest() == line["digest"]


# What auditrepr does itself


def test_more_events_are_sealed_later_and_change_nothing_before():
    sealed(5)
    before = list(SealEntry.objects.order_by("number").values_list("digest", flat=True))
    sealed(5)
    after = list(SealEntry.objects.order_by("number").values_list("digest", flat=True))
    assert [bytes(d) for d in after[: len(before)]] == [bytes(d) for d in before]


def test_rebuilding_and_rescanning_do_not_disturb_seals():
    sealed(6)
    count = SealEntry.objects.count()
    call_command("rebuild_reprs", verbosity=0)
    run(rescan=True)
    assert SealEntry.objects.count() == count
    assert verify().differing == 0


def test_pruned_ranges_are_no_difference_and_an_older_export_still_holds(tmp_path: Path):
    ids = aged(12, old=8)
    kept = exported(tmp_path / "seals")
    prune_upto(ids[7])
    assert AuditLog.objects.count() == 4
    found = verify(against=export.read(kept))
    assert (found.differing, found.pruned, found.pruned_since) == (0, 8, 8)
    last = SealEntry.objects.filter(kind="pruned").order_by("number")
    assert [(one.amends, one.content, one.touched) for one in last] == [
        (1, None, None),
        (2, None, None),
    ]


@pytest.mark.parametrize("size", [1, 3, 5, 100])
def test_of_a_range_that_is_pruned_in_part_all_the_rest_is_still_checked(tmp_path: Path, size: int):
    ids = aged(12, old=6)
    kept = exported(tmp_path / "seals")
    old = timezone.now() - timedelta(days=400)
    pruned(old, batch_size=size)
    assert AuditLog.objects.count() == 6
    assert verify(against=export.read(kept)).differing == 0
    entry = SealEntry.objects.get(amends=2)
    assert [one.event for one in form.read_touched(bytes(entry.touched))] == ids[4:6]
    assert b"author" not in bytes(entry.touched)
    AuditLog.objects.filter(pk=ids[6]).update(writer="x")
    (found,) = verify(against=export.read(kept)).differences
    assert found.endswith(f"event {ids[6]} was changed")


@pytest.mark.proof
def test_the_last_event_of_each_object_can_be_kept():
    author = Author.objects.create(name="Ann")
    for n in range(9):
        Author.objects.filter(pk=author.pk).update(name=f"{n}")
    ids = sealed(4)
    pruned(keep_last=True)
    assert AuditLog.objects.count() == 5
    assert verify().differing == 0
    pruned()
    assert AuditLog.objects.count() == 0
    assert verify().differing == 0
    insert(ids[12])
    (found,) = verify().differences
    assert f"event {ids[12]} is there, although seal" in found


def test_a_pruned_event_that_comes_back_is_found():
    ids = aged(8, old=6)
    pruned(timezone.now() - timedelta(days=400))
    insert(ids[5])
    assert verify().differences[0].endswith(f"event {ids[5]} was pruned, and is there again")


def test_what_an_entry_says_was_pruned_cannot_be_changed():
    aged(8, old=6)
    pruned(timezone.now() - timedelta(days=400))
    entry = SealEntry.objects.get(amends=2)
    SealEntry.objects.filter(amends=2).update(touched=bytes(entry.touched)[:40])
    assert "what seal 4 says was pruned has been changed" in verify().differences[0]


def test_a_range_that_differs_is_not_pruned():
    ids = aged(12, old=10)
    writer = AuditLog.objects.get(pk=ids[5]).writer
    AuditLog.objects.filter(pk=ids[5]).update(writer="x")
    with pytest.raises(SealBroken, match=rf"event {ids[5]} was changed.+verify_audit_log"):
        pruned(timezone.now() - timedelta(days=400), batch_size=4)
    assert AuditLog.objects.count() == 8  # what came before it is gone
    AuditLog.objects.filter(pk=ids[5]).update(writer=writer)
    assert verify().differing == 0


def test_a_range_that_differs_is_pruned_if_it_must_be_and_reported_for_good():
    ids = aged(12, old=10)
    AuditLog.objects.filter(pk=ids[5]).update(writer="x")
    pruned(timezone.now() - timedelta(days=400), ignore_seals=True)
    assert AuditLog.objects.count() == 2
    (found,) = verify().differences
    assert found.endswith(f"event {ids[4]} was deleted")
    assert not SealEntry.objects.filter(amends=2).exists()


def test_what_was_sealed_before_the_setting_was_removed_is_still_recorded(settings: Any):
    aged(8, old=4)
    settings.AUDITREPR = {}
    pruned(timezone.now() - timedelta(days=400))
    assert verify().differing == 0


# Imports


@pytest.fixture
def other_log(settings: Any) -> Iterator[None]:
    settings.AUDITREPR = {"SEAL": True, **old_log.SOURCES}
    old_log.create()
    yield
    old_log.drop()


def history(count: int) -> None:
    """Events that only another log has."""
    for n in range(count):
        Author.objects.create(name=f"old {n}")
        next_moment()
    old_log.switch()


def import_log(**options: Any) -> None:
    importing.run(Request("default", ("ours",)), lock=DatabaseLock("default"), **options)


@pytest.mark.usefixtures("other_log")
def test_an_import_before_the_first_seal_is_sealed_like_other_events():
    history(6)
    write(1)
    import_log()
    run()
    found = verify()
    assert (found.differing, found.events) == (0, 7)
    assert set(SealEntry.objects.values_list("kind", flat=True)) == {"sealed"}


@pytest.mark.proof
@pytest.mark.usefixtures("other_log")
def test_the_first_seal_waits_for_an_import_that_is_unfinished():
    history(6)
    write(1)
    import_log(batch_size=2, stop=lambda: True)
    run()
    assert not SealEntry.objects.exists()
    import_log()
    run()
    assert verify().events == 7


@pytest.mark.proof
@pytest.mark.usefixtures("other_log")
def test_an_import_into_a_sealed_log_gets_seals_of_its_own(tmp_path: Path):
    history(6)
    write(5)
    run()
    kept = exported(tmp_path / "seals")
    import_log(batch_size=2, stop=lambda: True)
    run()
    found = verify(against=export.read(kept))
    assert (found.differing, found.events, len(found.imports)) == (0, 5, 1)
    import_log()
    found = verify()
    assert (found.differing, found.events, len(found.imports)) == (0, 5, 1)
    write(1)
    run()
    found = verify(against=export.read(kept))
    assert (found.differing, found.events, found.imports) == (0, 12, [])
    kinds = list(SealEntry.objects.order_by("number").values_list("kind", "events"))
    assert kinds == [
        ("sealed", 4), ("sealed", 1), ("imported", 4), ("imported", 2), ("sealed", 1),
    ]  # fmt: skip
    imported = ids()[4]
    AuditLog.objects.filter(pk=imported).update(writer="x")
    assert verify().differences[0].endswith(f"event {imported} was changed")
    assert ids()[0] < Import.objects.get().last_id


@pytest.mark.proof
@pytest.mark.usefixtures("other_log")
def test_imported_events_are_pruned_like_others():
    history(6)
    write(5)
    run()
    import_log()
    run()
    first = AuditLog.objects.get(pk=ids()[6]).occurred_at
    assert pruned(first).events == 6
    found = verify()
    assert (found.differing, found.events, found.pruned) == (0, 5, 6)
    insert(Import.objects.get().last_id - 3)
    assert verify().differing == 1


@pytest.mark.usefixtures("other_log")
def test_an_event_beside_an_unfinished_import_is_found():
    history(6)
    ids = write(5)
    run()
    import_log(batch_size=2, stop=lambda: True)
    lowest = Import.objects.get().first_id
    insert(lowest - 1)
    assert verify().differences[0].endswith(f"event {lowest - 1} was inserted")
    assert ids


# Sessions, and other writers


@pytest.mark.postgresql
def test_no_setting_of_the_session_changes_a_digest():
    write(3)
    AuditLog.objects.update(row_data={"a": 1e-7, "b": [1.10], "c": "\\x00ü"}, context={"user": "é"})
    vendor = get_vendor("default")
    usual = vendor.row_digests(BEGINNING, 2**63 - 1)
    settings = {
        "TimeZone": "Asia/Kathmandu",
        "DateStyle": "German, DMY",
        "IntervalStyle": "iso_8601",
        "bytea_output": "escape",
        "extra_float_digits": "-5",
        "standard_conforming_strings": "on",
        "jit": "off",
    }
    for name, value in settings.items():
        sql(f"SET {name} = '{value}'")
    try:
        assert vendor.row_digests(BEGINNING, 2**63 - 1) == usual
    finally:
        connection.close()


@pytest.mark.postgresql
def test_an_event_that_commits_late_is_sealed_later_and_never_a_difference():
    import psycopg  # not everybody who uses SQLite has it

    params = connection.get_connection_params()
    with psycopg.connect(**params) as session:
        session.execute("INSERT INTO app_author (name) VALUES ('late')")
        ids = write(5)
        run()
        run()
        assert not SealEntry.objects.exists()
        session.commit()
    run()
    found = verify()
    assert (found.differing, found.events) == (0, 6)
    assert AuditLog.objects.earliest("pk").pk < ids[0]


@pytest.mark.postgresql
def test_no_writer_waits_while_a_range_is_sealed_and_verified(monkeypatch: pytest.MonkeyPatch):
    import psycopg  # not everybody who uses SQLite has it

    params = connection.get_connection_params()
    append, held = chain.append, verifying.held

    def elsewhere() -> None:
        with psycopg.connect(**params) as session:
            session.execute("SET lock_timeout = '2s'")
            session.execute("INSERT INTO app_author (name) VALUES ('meanwhile')")

    def appending(*given: Any) -> SealEntry:
        entry = append(*given)
        elsewhere()
        return entry

    def holding(*given: Any) -> Iterator[Any]:
        elsewhere()
        yield from held(*given)

    ids = write(4)
    monkeypatch.setattr(chain, "append", appending)
    monkeypatch.setattr(verifying, "held", holding)
    run()
    assert verify().differing == 0
    assert AuditLog.objects.filter(pk__gt=ids[-1]).count() == 2


# The status


def status(**options: Any) -> str:
    printed = io.StringIO()
    call_command("backfill_status", stdout=printed, **options)
    return printed.getvalue()


@pytest.mark.proof
def test_the_status_says_until_where_the_log_is_sealed_and_what_waits():
    assert "\nsealed      nothing yet\n" in status()
    ids = sealed(3)
    assert f"\nsealed      up to event {ids[-1]}, at 2" in status()
    assert json.loads(status(format="json"))[0]["sealed"]["lag_seconds"] == 0
    write(1)
    assert "; the oldest event that is not has waited " in status()
    document = json.loads(status(format="json"))[0]["sealed"]
    assert (document["upto_id"], document["lag_seconds"] > 0) == (ids[-1], True)
    samples = dict(re.findall(r"(auditrepr_seal\w+)\{.*\} (.+)", status(format="prometheus")))
    assert int(samples["auditrepr_sealed_id"]) == ids[-1]
    assert float(samples["auditrepr_seal_lag_seconds"]) > document["lag_seconds"]


def test_the_job_s_page_says_it_too(admin_client: Client):
    ids = sealed(3)
    page = admin_client.get("/admin/auditrepr/backfillrun/").content.decode()
    assert "ealed up to" in page
    assert f"event {ids[-1]}, " in page


@pytest.mark.proof
def test_without_the_setting_the_status_says_nothing(settings: Any, admin_client: Client):
    settings.AUDITREPR = {}
    assert "sealed" not in status()
    assert json.loads(status(format="json"))[0]["sealed"] is None
    assert "auditrepr_sealed_id{" not in status(format="prometheus")
    assert "sealed" not in admin_client.get("/admin/auditrepr/backfillrun/").content.decode()
