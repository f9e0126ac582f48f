"""Imports what django-pghistory has recorded; tests/job/importing/test_import_pghistory.py runs it.

Both record the same story: so what was imported can be compared with what our triggers have seen.
"""

from __future__ import annotations

from typing import Any

import pghistory
import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from auditrepr import capture
from auditrepr.capture import coverage
from auditrepr.exceptions import SourceUnavailable
from auditrepr.job import importing
from auditrepr.job.importing import chosen
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog, Coverage, InstanceRepr
from auditrepr.sources import find
from auditrepr.sources.packages import sql
from auditrepr.vendors import get_vendor, import_sql
from auditrepr.vendors.import_types import Planned
from tests.importing import forgetting
from tests.importing.models import Kiosk, Novel, Shop, Stamped, Visit, Writer

pytestmark = pytest.mark.django_db(transaction=True)

Event = tuple[Any, ...]
FIELDS = ("table_name", "object_id", "action", "row_data", "changed_from")


@pytest.fixture(autouse=True)
def empty() -> None:
    call_command("migrate", verbosity=0)
    capture.install("default")
    AuditLog.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE importing_writerevent, importing_novelevent, importing_shopwhole,"
            " importing_shopname, importing_shopopened, importing_visitevent"
        )


def story() -> None:
    ann = Writer.objects.create(name="Ann")
    with pghistory.context(user=7, url="/novels/"):
        novel = Novel.objects.create(title="Go", writer=ann)
        Novel.objects.update(price="9.90")
    Writer.objects.update(name="Bea")
    shop = Shop.objects.create(name="Corner")
    Shop.objects.update(is_open=True)
    Shop.objects.update(name="Market")
    Visit.objects.create(shop=shop, kind="short", note="nobody reads it")
    Visit.objects.create(shop=shop, kind="long", note="lost")
    Visit.objects.filter(kind="short").delete()
    novel.delete()


def recorded(table: str) -> list[Event]:
    rows = AuditLog.objects.filter(table_name=table).order_by("pk")
    return list(rows.values_list(*FIELDS))


def switch() -> dict[str, list[Event]]:
    """Return what auditrepr has recorded by table, and let it begin now."""
    tables = ["importing_writer", "importing_novel", "importing_shop", "importing_visit"]
    found = {table: recorded(table) for table in tables}
    AuditLog.objects.all().delete()
    names = Coverage.objects.values_list("table_name", flat=True)
    coverage.start("default", dict.fromkeys(names, Coverage.Reason.INSTALLED))
    return found


def test_events_are_what_our_triggers_have_seen() -> None:
    story()
    seen = switch()
    call_command("import_audit_log", "pghistory", verbosity=0)
    for table in ("importing_writer", "importing_shop"):
        assert recorded(table) == seen[table]
    # Deletions are not tracked there.
    assert recorded("importing_novel") == [e for e in seen["importing_novel"] if e[2] != "D"]
    for event in seen["importing_visit"]:
        del event[3]["note"]
    assert recorded("importing_visit") == seen["importing_visit"]


def test_the_context_says_who_and_where_it_comes_from() -> None:
    story()
    switch()
    call_command("import_audit_log", "pghistory", verbosity=0)
    novels = AuditLog.objects.filter(table_name="importing_novel")
    assert set(novels.values_list("actor", flat=True)) == {"7"}
    assert novels[0].context == {"user": 7, "url": "/novels/", "imported_from": "pghistory"}
    writer = AuditLog.objects.filter(table_name="importing_writer").earliest("pk")
    assert writer.context == {"imported_from": "pghistory"}


def test_what_is_tracked_is_exact_and_what_is_not_is_mixed() -> None:
    story()
    switch()
    Writer.objects.create(name="Eve")
    call_command("import_audit_log", "pghistory", verbosity=0)
    call_command("backfill_reprs", verbosity=0)
    rows = InstanceRepr.objects.order_by("pk")
    stored = rows.values_list("audit_log__table_name", "instance_repr", "fidelity")
    found: dict[str, list[Event]] = {}
    for table, text, fidelity in stored:
        found.setdefault(table.removeprefix("importing_"), []).append((text, fidelity))
    assert found["writer"] == [("Ann", "E"), ("Bea", "E"), ("Eve", "E")]
    assert found["novel"] == [("Go by Ann", "M"), ("Go by Ann", "M")]
    assert found["shop"] == [("Corner", "E"), ("Corner", "E"), ("Market", "E")]
    assert [fidelity for _, fidelity in found["visit"]] == ["E", "M", "E"]


def test_a_column_is_not_recorded_before_it_was_added(monkeypatch: pytest.MonkeyPatch) -> None:
    Writer.objects.create(name="Ann")
    between = timezone.now()
    Writer.objects.update(name="Bea", born="1815-12-10")
    switch()
    later = {"importing_writerevent": {"born": between}}
    monkeypatch.setattr(sql, "added_columns", lambda connection: later)
    call_command("import_audit_log", "pghistory", verbosity=0)
    (_, _, _, first, _), (_, _, _, second, changed) = recorded("importing_writer")
    assert "born" not in first
    assert second["born"] == "1815-12-10"
    assert changed == {"name": "Ann"}


def test_a_transaction_that_both_logs_have_seen_is_imported_once() -> None:
    """It began before ours did, which is its time there, and wrote afterwards."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT now()")
        Writer.objects.create(name="Ann")
        switch()
        other.execute("INSERT INTO importing_writer (name) VALUES ('Bea')")
        with other.transaction():  # a savepoint, which has a number of its own
            other.execute("UPDATE importing_writer SET name = 'Cid' WHERE name = 'Bea'")
        other.execute("UPDATE importing_writer SET name = 'Dan' WHERE name = 'Ann'")
    call_command("import_audit_log", "pghistory", verbosity=0)
    found = AuditLog.objects.order_by("pk")
    assert [(row.action, row.row_data["name"]) for row in found] == [
        ("I", "Ann"), ("I", "Bea"), ("U", "Cid"), ("U", "Dan"),
    ]  # fmt: skip
    assert ["imported_from" in (row.context or {}) for row in found] == [True, False, False, False]


def test_tables_are_chosen_and_none_is_an_error() -> None:
    source = find("pghistory")
    tables = [f"importing_{name}" for name in ("writer", "novel", "shop", "visit")]
    assert [part.name for part in source.parts("default", tables)] == [
        "importing_novelevent", "importing_shopwhole", "importing_visitevent",
        "importing_writerevent",
    ]  # fmt: skip
    (shop,) = source.parts("default", ["importing_shop"])
    assert shop.name == "importing_shopwhole"
    with pytest.raises(SourceUnavailable, match="no model has a tracker"):
        source.parts("default", ["elsewhere"])


def test_an_import_of_one_model_is_continued_as_such() -> None:
    story()
    seen = switch()
    options: dict[str, Any] = {"lock": DatabaseLock("default"), "batch_size": 1}
    request = importing.Request("default", ["pghistory"], models=[Writer])
    assert importing.run(request, **options, stop=lambda: True).left == 1
    call_command("import_audit_log", "pghistory", verbosity=0)
    assert recorded("importing_writer") == seen["importing_writer"]
    assert AuditLog.objects.count() == 2


def test_a_dry_run_says_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    story()
    switch()
    call_command("import_audit_log", "pghistory", dry_run=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "Left out" in line] == [
        "  Left out: 1 event of importing_novelevent, again",
        "  Left out: 2 events of importing_shopopened, opened",
        "  Left out: 1 event of importing_shopname, renamed",
    ]
    assert any(line.startswith("  importing_shop    3 events from") for line in lines)


def test_an_index_finds_the_event_before() -> None:
    story()
    request = importing.Request("default", ["pghistory"], models=[Writer])
    (part,) = chosen.choose(request, timezone.now())
    vendor = get_vendor("default")
    sql = import_sql.import_events(vendor.import_dialect(), part.selection)
    parameters = Planned(0, -9, 0, 1, 9)._asdict() | {"source": "pghistory"}
    with vendor.pinned():
        vendor.execute(
            f"SET LOCAL enable_{one} = off" for one in ("seqscan", "hashjoin", "mergejoin")
        )
        plan = "\n".join(vendor.column(f"EXPLAIN {sql}", parameters))
    assert "pgh_id = planned.previous_position" in plan, plan
    assert "Seq Scan on importing_writerevent" not in plan, plan


def test_who_was_erased_does_not_come_back_untold(capsys: pytest.CaptureFixture[str]) -> None:
    forgetting.tell("pghistory", Writer, capsys)


@pytest.mark.parametrize("model", [Kiosk, Stamped])
def test_a_tracker_that_leaves_updates_out_says_nothing_untrue(model: Any) -> None:
    call_command("pgtrigger", "install", verbosity=0)  # `migrate` has none for proxies here
    one = model.objects.create(name="a")
    if model is Kiosk:
        one.is_open = True
    one.save()  # not tracked
    one.name = "b"
    one.save()
    table = model._meta.db_table
    *_, (*_, truth) = recorded(table)
    switch()
    call_command("import_audit_log", "pghistory", verbosity=0)
    found = recorded(table)
    assert [action for _, _, action, *_ in found][:1] == ["I"]
    for _, _, action, _, said in found:
        assert action == "I" or said is None or said.items() <= truth.items()
