"""What another log has recorded is read with our own events, before them and in its own order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from auditrepr.exceptions import (
    AlreadyImported,
    EventsMissed,
    EventsUnfit,
    ImportUnfinished,
    LockHeld,
    NothingCovered,
    NoUnfinishedImport,
    RoundUnfinished,
    SourceChanged,
    SourceColumns,
    SourceTypes,
    SourceUnreadable,
    UnknownSource,
    UntilTooLate,
)
from auditrepr.job import importing
from auditrepr.job.importing import Request, chosen, running
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.retention import prune
from auditrepr.job.rounds import shares
from auditrepr.models import (
    AuditLog,
    Checkpoint,
    Coverage,
    Import,
    InstanceRepr,
    PlannedEvent,
    ReprFailure,
)
from auditrepr.vendors import get_vendor, import_sql
from auditrepr.vendors.types import BEGINNING
from tests import old_log
from tests.app.models import Author, Book, Tag
from tests.capturing import next_moment, sql
from tests.running import run, texts
from tests.zoneless import zoneless

pytestmark = [pytest.mark.usefixtures("other_log"), pytest.mark.django_db(transaction=True)]

FIELDS = ("table_name", "object_id", "action", "row_data", "changed_from", "occurred_at")


def history() -> list[Any]:
    """Five changes that only the old log has."""
    author = Author.objects.create(name="Ada")
    next_moment()
    Book.objects.create(title="Go", author=author, secret="hidden")
    next_moment()
    Author.objects.update(name="Ann")
    next_moment()
    Book.objects.update(price=9)
    next_moment()
    Author.objects.update(name="Bob")
    recorded = list(AuditLog.objects.order_by("pk").values_list(*FIELDS))
    old_log.switch()
    return recorded


def do(*sources: str, lock: Any = None, **options: Any) -> importing.Imported:
    asked = {name: options.pop(name) for name in ("until", "models") if name in options}
    request = Request("default", sources or ("ours",), **asked)
    return importing.run(request, lock=lock or DatabaseLock("default"), **options)


def stored() -> list[tuple[Any, ...]]:
    rows = InstanceRepr.objects.order_by("pk")
    return list(rows.values_list("instance_repr", "fidelity"))


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_events_come_right_before_the_log_and_are_what_they_were(size):
    recorded = history()
    Author.objects.create(name="Eve")
    own = AuditLog.objects.get().pk
    done = do(batch_size=size)
    assert (done.events, done.left) == (5, 0)
    rows = AuditLog.objects.exclude(pk=own).order_by("pk")
    assert list(rows.values_list(*FIELDS)) == recorded
    ids = list(rows.values_list("pk", flat=True))
    assert ids == list(range(ids[0], ids[0] + 5))
    assert ids[-1] < min(own, 1)
    assert set(rows.values_list("context__imported_from", flat=True)) == {"ours"}
    made = Import.objects.get()
    assert (made.first_id, made.last_id, made.finished_at is None) == (ids[0], ids[-1], False)
    assert not PlannedEvent.objects.exists()


@pytest.mark.proof
def test_the_job_stores_what_was_imported_after_the_watermark_had_passed():
    history()
    Author.objects.create(name="Eve")
    assert run().rows == 1
    assert Checkpoint.objects.get().settled_id != BEGINNING
    do()
    assert run().rows == 5
    assert texts() == ["Ada", "Go (Ada)", "Ann", "Go (Ann)", "Bob", "Eve"]
    assert run().idle


def test_own_rows_are_exact_and_relations_mixed_and_our_own_events_stay_exact():
    history()
    next_moment()
    Book.objects.update(price=10)
    next_moment()
    Author.objects.create(name="Eve")
    do()
    run()
    assert stored() == [
        ("Ada", "E"), ("Go (Ada)", "M"), ("Ann", "E"), ("Go (Ann)", "M"), ("Bob", "E"),
        ("Go (Bob)", "E"), ("Eve", "E"),
    ]  # fmt: skip
    mixed = InstanceRepr.objects.filter(fidelity="M").values_list("reason", flat=True)
    assert all("imported from ours" in reason for reason in mixed)


def test_excluded_columns_never_come_into_the_log():
    history()
    sql(f"UPDATE old_log SET row_data = {secret('row_data')} WHERE table_name = 'app_book'")
    sql("UPDATE old_log SET changed_from = row_data WHERE action = 'U'")
    do()
    books = AuditLog.objects.filter(table_name="app_book")
    assert len(books) == 2
    for row, was in books.values_list("row_data", "changed_from"):
        assert "secret" not in row
        assert "secret" not in (was or {})
    assert AuditLog.objects.filter(row_data__title="Go").exists()


def secret(column: str) -> str:
    from django.db import connection

    if connection.vendor == "postgresql":
        return f"""{column} || '{{"secret": "hidden"}}'"""
    return f"json_set({column}, '$.secret', 'hidden')"


@pytest.mark.proof
def test_an_interrupted_import_reaches_back_without_a_hole_and_is_continued():
    recorded = history()
    done = do(batch_size=2, stop=lambda: True)
    assert (done.events, done.left) == (2, 3)
    assert list(AuditLog.objects.order_by("pk").values_list(*FIELDS)) == recorded[3:]
    assert run().rows == 2
    with pytest.raises(ImportUnfinished, match="3 events are left"):
        do(models=[Author])
    assert do(batch_size=2).events == 3
    assert list(AuditLog.objects.order_by("pk").values_list(*FIELDS)) == recorded
    assert run().rows == 3
    assert texts() == ["Ada", "Go (Ada)", "Ann", "Go (Ann)", "Bob"]


def test_an_abandoned_import_ends_with_what_it_has_and_an_older_one_may_follow():
    recorded = history()
    do(batch_size=2, stop=lambda: True)
    request = Request("default", ["ours"])
    with pytest.raises(NoUnfinishedImport):
        importing.abandon(Request("default", ["others"]), lock=DatabaseLock("default"))
    assert importing.abandon(request, lock=DatabaseLock("default")).events == 2
    with pytest.raises(AlreadyImported):
        do()
    assert do(until=AuditLog.objects.earliest("pk").occurred_at).events == 3
    assert list(AuditLog.objects.order_by("pk").values_list(*FIELDS)) == recorded
    with pytest.raises(NoUnfinishedImport):
        importing.abandon(request, lock=DatabaseLock("default"))


@pytest.mark.proof
@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_abandoned_import_has_all_events_of_its_earliest_time(size):
    """As those of one transaction often are: a later import takes only older ones."""
    recorded = history()
    sql(
        "UPDATE old_log SET occurred_at = (SELECT max(occurred_at) FROM old_log"
        " WHERE table_name = 'app_book') WHERE action = 'U'"
    )
    do(batch_size=size, stop=lambda: True)
    ended = importing.abandon(Request("default", ["ours"]), lock=DatabaseLock("default"))
    assert (ended.events, ended.left, ended.lost) == (3, 2, 0)
    assert do(until=ended.earliest).events == 2
    rows = AuditLog.objects.order_by("pk").values_list(*FIELDS[:-1])
    assert list(rows) == [event[:-1] for event in recorded]
    assert run().rows == 5


def test_an_abandoned_import_says_how_many_events_no_other_can_import():
    """An event that comes later in the old log's order is dated earlier."""
    history()
    sql(
        "UPDATE old_log SET occurred_at = '2020-01-01 12:00:00'"
        " WHERE number = (SELECT max(number) FROM old_log)"
    )
    do(batch_size=1, stop=lambda: True)
    ended = importing.abandon(Request("default", ["ours"]), lock=DatabaseLock("default"))
    # What follows in the order is later than the imported one.
    assert (ended.events, ended.left, ended.lost) == (5, 0, 0)


def test_an_import_can_be_abandoned_if_its_source_cannot_be_read(settings):
    history()
    do(batch_size=1, stop=lambda: True)
    settings.AUDITREPR = {"SOURCES": {"ours": lambda using: "SELECT * FROM no_such_table"}}
    ended = importing.abandon(Request("default", ["ours"]), lock=DatabaseLock("default"))
    assert (ended.events, ended.left, ended.lost) == (1, 4, None)
    assert not PlannedEvent.objects.exists()
    assert Import.objects.get().finished_at


def test_a_planned_import_of_which_nothing_came_can_be_abandoned(monkeypatch):
    history()
    with monkeypatch.context() as patched:
        patched.setattr(running, "_unsettle", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            do()
    ended = importing.abandon(Request("default", ["ours"]), lock=DatabaseLock("default"))
    assert (ended.events, ended.left, ended.earliest, ended.lost) == (0, 5, None, 0)


def test_later_events_are_counted():
    history()
    Author.objects.create(name="Eve")
    for n, when in ((1, now()), (2, "'2999-01-01 12:00:00'")):
        sql(
            "INSERT INTO old_log (number, table_name, object_id, action, row_data, occurred_at)"
            f" SELECT 1000000 + {n}, table_name, object_id, action, row_data, {when}"
            " FROM auditrepr_auditlog"
        )
    (tables,) = importing.forecast(Request("default", ["ours"])).tables.values()
    assert [(one.name, one.missed, one.later, one.future) for one in tables] == [
        ("app_author", 0, 2, 1), ("app_book", 0, 0, 0),
    ]  # fmt: skip
    assert do().later == 2


def test_an_import_for_some_models_is_continued_as_such():
    history()
    do(batch_size=1, models=[Book], stop=lambda: True)
    assert do().events == 1
    assert set(AuditLog.objects.values_list("table_name", flat=True)) == {"app_book"}


def test_a_source_whose_parts_are_not_there_any_longer_stops_it():
    history()
    do(batch_size=1, stop=lambda: True)
    Import.objects.update(parts=[["ours", "gone"]])
    with pytest.raises(SourceChanged, match="no longer has the events of gone"):
        do()


def test_events_that_vanish_after_planning_stop_it_and_nothing_of_the_batch_stays():
    history()
    do(batch_size=2, stop=lambda: True)
    sql("DELETE FROM old_log WHERE action = 'I'")
    with pytest.raises(SourceChanged, match="2 events"):
        do()
    assert AuditLog.objects.count() == 2
    assert PlannedEvent.objects.count() == 3


def test_positions_decide_where_a_long_transaction_has_the_earlier_time():
    history()
    numbers = [number for (number,) in sql("SELECT number FROM old_log ORDER BY number")]
    sql(
        "UPDATE old_log SET occurred_at = (SELECT min(occurred_at) FROM old_log)"
        f" WHERE number = {numbers[-1]}"
    )
    do()
    names = AuditLog.objects.filter(table_name="app_author").order_by("pk")
    assert [row["name"] for row in names.values_list("row_data", flat=True)] == [
        "Ada",
        "Ann",
        "Bob",
    ]


def test_sources_that_are_named_together_are_merged_by_time(settings):
    history()
    old_log.create("older_log")
    sql(
        "INSERT INTO older_log SELECT * FROM old_log WHERE table_name = 'app_book'",
        "DELETE FROM old_log WHERE table_name = 'app_book'",
    )
    settings.AUDITREPR = {"SOURCES": old_log.SOURCES["SOURCES"] | {"books": books}}
    try:
        assert do("books", "ours").events == 5
    finally:
        old_log.drop("older_log")
    rows = AuditLog.objects.order_by("pk").values_list("table_name", "context__imported_from")
    assert list(rows) == [
        ("app_author", "ours"), ("app_book", "books"), ("app_author", "ours"),
        ("app_book", "books"), ("app_author", "ours"),
    ]  # fmt: skip


def test_what_one_transaction_inserted_is_found_where_only_times_order_it(settings):
    """The book's log comes first, and says of both events when their transaction began."""
    history()
    old_log.create("older_log")
    sql(
        "UPDATE old_log SET occurred_at = (SELECT min(occurred_at) FROM old_log)"
        " WHERE action = 'I'",
        "INSERT INTO older_log SELECT * FROM old_log WHERE table_name = 'app_book'",
        "DELETE FROM old_log WHERE table_name = 'app_book'",
    )
    settings.AUDITREPR = {"SOURCES": old_log.SOURCES["SOURCES"] | {"books": books}}
    try:
        do("books", "ours")
    finally:
        old_log.drop("older_log")
    run()
    assert not ReprFailure.objects.exists()
    assert stored()[:2] == [("Go (Ada)", "M"), ("Ada", "E")]
    assert AuditLog.objects.earliest("pk").table_name == "app_book"


def books(using: str) -> str:
    return old_log.select(using).replace("old_log", "older_log")


def test_only_events_of_the_named_models():
    history()
    assert do(models=[Book]).events == 2
    assert set(AuditLog.objects.values_list("table_name", flat=True)) == {"app_book"}


def test_tables_that_no_model_has_are_imported_as_they_are():
    history()
    sql("UPDATE old_log SET table_name = 'gone' WHERE table_name = 'app_book'")
    do()
    assert AuditLog.objects.filter(table_name="gone").count() == 2


def test_events_since_our_own_log_began_are_left_to_it():
    history()
    Author.objects.create(name="Eve")
    sql(
        "INSERT INTO old_log (number, table_name, object_id, action, row_data, occurred_at)"
        " SELECT 1000000, table_name, object_id, action, row_data, occurred_at"
        " FROM auditrepr_auditlog"
    )
    assert do().events == 5


def test_later_events_that_nobody_else_recorded_are_a_refusal_until_they_are_left_out():
    history()
    Coverage.objects.filter(table_name="app_book").update(since_event=None)
    sql(
        "INSERT INTO old_log (number, table_name, object_id, action, row_data, occurred_at)"
        f" SELECT 1000000, table_name, object_id, 'U', row_data, {now()}"
        " FROM old_log WHERE table_name = 'app_book' AND action = 'U'"
    )
    with pytest.raises(EventsMissed, match="1 event of app_book") as raised:
        do()
    assert not AuditLog.objects.exists()
    begins = datetime.fromisoformat(str(raised.value.details["beginning"]))
    assert do(until=begins).events == 5


def now() -> str:
    from django.db import connection

    moment = timezone.now()
    shown = moment.astimezone(UTC).replace(tzinfo=None) if connection.vendor == "sqlite" else moment
    return f"'{shown}'"


@pytest.mark.postgresql
def test_what_both_logs_have_is_looked_up_by_its_object(settings):
    """However many events auditrepr has recorded until the import."""
    history()
    settings.AUDITREPR = {
        "SOURCES": {
            "ours": lambda using: old_log.select(using).replace(
                "context,", "context, 7::bigint AS transaction,"
            )
        }
    }
    sql(
        "INSERT INTO auditrepr_auditlog (table_name, object_id, action, row_data, transaction_id)"
        " SELECT 'app_author', (x % 500)::text, 'U', '{}', x FROM generate_series(1, 5000) AS x",
        "ANALYZE auditrepr_auditlog",
    )
    begins = chosen.beginning("default")
    (part,) = chosen.choose(Request("default", ["ours"]), begins)
    vendor = get_vendor("default")
    asked = vendor.selecting(part.selection) | {"last_id": 0, "most": None}
    query = import_sql.plan(vendor.import_dialect(), [part.selection], limited=False)
    plan = "\n".join(row for (row,) in vendor.rows(f"EXPLAIN {query}", asked))
    assert re.search(r"hashed SubPlan|Index Cond: .*\(object_id = old_log.object_id\)", plan), plan


def test_what_comes_between_is_a_refusal():
    history()
    with pytest.raises(UntilTooLate):
        do(until=timezone.now())
    do()
    assert do(until=AuditLog.objects.earliest("pk").occurred_at).events == 0
    with pytest.raises(UntilTooLate):
        do(until=AuditLog.objects.latest("pk").occurred_at)
    with pytest.raises(AlreadyImported, match="--until"):
        do()
    assert AuditLog.objects.count() == 5


def test_nothing_is_imported_before_auditrepr_records(settings):
    history()
    Coverage.objects.update(since_event=None)
    with pytest.raises(NothingCovered, match="audit_triggers install"):
        do()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("table_name", "NULL", "5 have no table_name"),
        ("action", "'X'", "another action"),
        ("action", "NULL", "another action"),
        ("object_id", "NULL", "5 are of an audited table, and have no object_id"),
        ("row_data", "NULL", "no JSON object as row_data"),
        ("row_data", "'[1]'", "no JSON object as row_data"),
        ("occurred_at", "NULL", "no occurred_at"),
        ("changed_from", "'[1]'", "a changed_from that is not a JSON object"),
        ("changed_from", "'7'", "a changed_from that is not a JSON object"),
        ("action", "'T', object_id = NULL", "an object_id or row_data"),
        ("context", "'[1]'", "no JSON object as context"),
    ],
)
def test_events_that_break_the_contract_are_a_refusal(column, value, said):
    history()
    sql(f"UPDATE old_log SET {column} = {value}")
    with pytest.raises(EventsUnfit, match=said):
        do()
    assert not Import.objects.exists()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "time",
    [
        *("2026-01-31 12:00:00+02:00", "2026-02-30 12:00:00", "2026-13-45 99:00:00"),
        *("2026-01-31 12:00:xx", "2026-01-31 12:00:00.", "2026-01-31 12:00:00.1234567"),
        *("2026-01-31T12:00:00", "2026-01-31", "0000-01-01 12:00:00", "soon"),
    ],
)
@pytest.mark.sqlite
def test_times_that_django_does_not_write_are_a_refusal(time, late):
    """Also if the text sorts after the end: that event would be taken for one that we recorded."""
    history()
    written = time.replace("2026", "2999") if late else time
    first = "action = 'I' AND table_name = 'app_author'"
    sql(f"UPDATE old_log SET occurred_at = '{written}' WHERE {first}")
    with pytest.raises(EventsUnfit, match="1 have no occurred_at"):
        do()
    assert [type(one) for one in importing.forecast(Request("default", ["ours"])).refusals] == [
        EventsUnfit
    ]


@pytest.mark.sqlite
@pytest.mark.parametrize("time", ["2026-01-31 12:00:00", "2024-02-29 23:59:59.999999"])
def test_times_as_django_writes_them_are_imported(time):
    history()
    sql(f"UPDATE old_log SET occurred_at = '{time}' WHERE action = 'I'")
    assert do().events == 5


@pytest.mark.postgresql
@pytest.mark.parametrize("time", ["-infinity", "0044-03-15 10:00:00 BC"])
def test_times_that_python_does_not_have_are_a_refusal(time):
    history()
    sql(f"UPDATE old_log SET occurred_at = '{time}' WHERE action = 'I'")
    with pytest.raises(EventsUnfit, match="2 have no occurred_at"):
        do(until=timezone.now() - timedelta(days=1))


def test_nothing_is_imported_twice_if_a_later_position_has_an_earlier_time():
    history()
    for end, year in (("min", 2020), ("max", 2019)):
        sql(
            f"UPDATE old_log SET occurred_at = '{year}-01-01 12:00:00'"
            f" WHERE number = (SELECT {end}(number) FROM old_log)"
        )
    do()
    found = importing.forecast(Request("default", ["ours"])).refusals
    assert "--until 2019-01-01T12:00:00" in str(found[0])
    assert do(until=datetime(2019, 1, 1, 12, tzinfo=UTC)).events == 0
    with pytest.raises(UntilTooLate):
        do(until=datetime(2020, 1, 1, 12, tzinfo=UTC))


@pytest.mark.parametrize("position", ["NULL", "1", "number * 1.5", "number || ''"])
def test_positions_must_be_whole_numbers_that_differ(settings, position):
    history()
    settings.AUDITREPR = {
        "SOURCES": {
            "ours": lambda using: old_log.select(using).replace("number AS", f"{position} AS")
        }
    }
    with pytest.raises((EventsUnfit, SourceTypes), match="position"):
        do()


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("occurred_at", "occurred_at::text", "occurred_at is text, and must be timestamp with"),
        ("occurred_at", "occurred_at::timestamp", "occurred_at is timestamp without time zone"),
        ("occurred_at", "occurred_at::date", "occurred_at is date"),
        ("occurred_at", "NULL", "occurred_at is text"),
        ("row_data", "row_data::text", "row_data is text, and must be json or jsonb"),
        ("row_data", "ARRAY[row_data]", r"row_data is jsonb\[\], and"),
        ("changed_from", "'abc'::text", "changed_from is text, and"),
        ("context", "7", "context is integer, and"),
        ("table_name", "'pg_class'::regclass", "table_name is regclass, and must be text"),
        ("table_name", "7", "table_name is integer"),
        ("action", "1", "action is integer"),
        ("object_id", "occurred_at", "object_id is timestamp with time zone, and must be text"),
        ("previous_object_id", "ARRAY[1]", r"previous_object_id is integer\[\]"),
        ("number", "number::float", "position is double precision, and must be smallint"),
    ],
)
def test_a_column_of_a_wrong_type_is_named(settings, column, value, said):
    history()
    settings.AUDITREPR = {"SOURCES": {"ours": lambda using: with_column(using, column, value)}}
    request = Request("default", ["ours"])
    for ask in (importing.forecast, lambda asked: do(*asked.sources)):
        with pytest.raises(SourceTypes, match=f"ours.*{said}"):
            ask(request)
    assert not Import.objects.exists()


@pytest.mark.postgresql
def test_each_column_of_a_wrong_type_is_named(settings):
    history()
    settings.AUDITREPR = {
        "SOURCES": {
            "ours": lambda using: with_column(using, "row_data", "row_data::text").replace(
                "occurred_at", "occurred_at::text AS occurred_at"
            )
        }
    }
    with pytest.raises(SourceTypes, match=r"row_data is text, .*; occurred_at is text, "):
        do()


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("changed_from", "NULL"),
        ("context", "NULL"),
        ("context", "NULL::text"),
        ("row_data", "row_data::json"),
        ("object_id", "object_id::bigint"),
        ("object_id", "object_id::numeric"),
        ("action", 'action::"char"'),
        ("action", "action::char(1)"),
        ("table_name", "table_name::name"),
        ("number", "number::integer"),
    ],
)
@pytest.mark.parametrize("transaction", ["", "7 AS transaction, "])
def test_columns_of_other_types_that_hold_the_same_are_read(settings, column, value, transaction):
    history()
    settings.AUDITREPR = {
        "SOURCES": {
            "ours": lambda using: with_column(using, column, value).replace(
                "SELECT", f"SELECT {transaction}", 1
            )
        }
    }
    assert not importing.forecast(Request("default", ["ours"])).refusals
    assert do().events == 5


def with_column(using: str, column: str, value: str) -> str:
    """The SELECT with a column that is something else."""
    select = old_log.select(using)
    if column == "number":
        return select.replace("number AS", f"{value} AS")
    return re.sub(rf"(?<![a-z_]){column}(?![a-z_])", f"{value} AS {column}", select, count=1)


@pytest.mark.parametrize(
    ("select", "error"),
    [
        ("SELECT 1 AS position", SourceColumns),
        ("SELECT *, 1 AS more FROM ({}) AS o", SourceColumns),
        ("SELECT *, 1 AS position FROM ({}) AS o", SourceColumns),
        ("SELECT * FROM no_such_table", SourceUnreadable),
        ("no SQL", SourceUnreadable),
        (7, SourceUnreadable),
        ("", SourceUnreadable),
    ],
)
def test_a_select_that_cannot_be_used_is_a_refusal(settings, select, error):
    if isinstance(select, str):
        select = select.replace("{}", old_log.select("default") + "\n")
    settings.AUDITREPR = {"SOURCES": {"ours": lambda using: select}}
    with pytest.raises(error, match="ours"):
        do()


def test_a_function_that_is_not_there_or_raises_is_a_refusal(settings):
    settings.AUDITREPR = {"SOURCES": {"a": "tests.old_log.nowhere", "b": "tests.old_log.drop.x"}}
    for name in "ab":
        with pytest.raises(SourceUnreadable, match=f'"{name}"'):
            do(name)
    with pytest.raises(UnknownSource, match=r"Known sources: a, .*b, .*pghistory"):
        do("c")
    settings.AUDITREPR = {"SOURCES": {"a": lambda using: {}["gone"]}}
    with pytest.raises(SourceUnreadable, match="KeyError: 'gone'"):
        do("a")


@pytest.mark.postgresql
def test_a_value_that_cannot_be_read_is_a_refusal_that_names_the_source(settings: Any) -> None:
    history()
    broken = old_log.select("default").replace(
        "row_data", """'{"a": "\\u0000"}'::json AS row_data"""
    )
    settings.AUDITREPR = {"SOURCES": {"ours": lambda using: broken}}
    with pytest.raises(SourceUnreadable, match='"ours": unsupported Unicode escape'):
        do()


def test_a_change_of_the_source_that_makes_it_unreadable_names_it(settings: Any) -> None:
    history()
    do(batch_size=2, stop=lambda: True)
    sql("ALTER TABLE old_log RENAME COLUMN note TO remark")
    with pytest.raises(SourceUnreadable, match="ours"):
        do()
    sql("ALTER TABLE old_log RENAME COLUMN remark TO note")
    assert do().events == 3


@pytest.mark.sqlite
def test_a_text_that_is_a_number_there_is_kept_as_text(settings: Any) -> None:
    history()
    settings.AUDITREPR = {
        "SOURCES": {
            "ours": lambda using: old_log.select(using).replace("SELECT", "SELECT 7 AS text,", 1)
        }
    }
    do()
    assert {row["imported_text"] for row in AuditLog.objects.values_list("context", flat=True)} == {
        "7"
    }


def test_it_works_alone():
    history()
    with DatabaseLock("default"), pytest.raises(LockHeld):
        do()
    with DatabaseLock("default") as lock:
        shares.put("default", "backfill_reprs", [(0, 10)], 10)
        assert lock
    with pytest.raises(RoundUnfinished, match="--cancel"):
        do()
    asked = Request("default", ["ours"])
    assert [type(one) for one in importing.forecast(asked).refusals] == [RoundUnfinished]
    assert not AuditLog.objects.exists()


def test_a_forecast_says_what_comes_and_stores_nothing():
    history()
    Tag.objects.create(label="red")
    sql("UPDATE old_log SET row_data = " + without_title() + " WHERE table_name = 'app_book'")
    found = importing.forecast(Request("default", ["ours"]))
    assert not found.refusals
    assert [(one.name, one.events, one.whole, one.missed) for one in found.tables["ours"]] == [
        ("app_author", 3, 3, 0), ("app_book", 2, 0, 0),
    ]  # fmt: skip
    assert [one.outcome.text for one in found.shown][::2] == ["Ada", "Ann", "Bob"]
    assert AuditLog.objects.count() == 1
    assert not Import.objects.exists()
    assert not PlannedEvent.objects.exists()


def test_an_import_finds_the_same_tables_without_looking_at_rows():
    history()
    parts = chosen.choose(Request("default", ["ours"]), chosen.beginning("default"))
    (seen,), (unseen,) = (
        chosen.tables("default", parts, whole=whole).values() for whole in (True, False)
    )
    assert [one.whole for one in seen] == [3, 2]
    assert unseen == [one._replace(whole=0) for one in seen]


def without_title() -> str:
    from django.db import connection

    if connection.vendor == "postgresql":
        return "row_data - 'title'"
    return "json_remove(row_data, '$.title')"


@pytest.mark.proof
def test_a_forecast_shows_what_the_job_then_stores():
    history()
    found = importing.forecast(Request("default", ["ours"]))
    do()
    run()
    assert [(one.outcome.text, str(one.outcome.fidelity)) for one in found.shown] == stored()


def test_a_forecast_names_every_refusal():
    history()
    sql("UPDATE old_log SET table_name = NULL, occurred_at = NULL WHERE action = 'I'")
    found = importing.forecast(Request("default", ["ours"], timezone.now()))
    assert [type(one) for one in found.refusals] == [UntilTooLate, EventsUnfit]


def test_a_forecast_of_what_was_imported_says_only_that():
    history()
    do()
    found = importing.forecast(Request("default", ["ours"]))
    assert [type(one) for one in found.refusals] == [AlreadyImported]


def test_no_id_is_given_twice_also_if_what_was_imported_is_gone():
    history()
    do()
    first = Import.objects.get().first_id
    AuditLog.objects.all().delete()  # as pruning does
    assert chosen.last_id("default") == first - 1


@pytest.mark.proof
@pytest.mark.parametrize("kept", [0, 1])
def test_what_was_pruned_from_our_own_log_does_not_come_back(kept):
    """The old log went on: it has the pruned events as well, and those from before."""
    history()
    author = Author.objects.create(name="Eve")
    Author.objects.filter(pk=author.pk).update(name="Eva")
    both = AuditLog.objects.order_by("pk")
    sql(
        f"INSERT INTO old_log (number, {old_log.COLUMNS}) SELECT id + 1000000, {old_log.COLUMNS}"
        " FROM auditrepr_auditlog"
    )
    run()
    first, last = both
    before = timezone.now() + timedelta(days=1) if not kept else last.occurred_at
    prune.prune("default", before, lock=DatabaseLock("default"))
    assert AuditLog.objects.count() == kept
    done = do()
    assert (done.events, done.later) == (5, 2)
    assert AuditLog.objects.order_by("-pk").values_list("pk", flat=True)[kept] < first.pk
    run()
    assert texts() == ["Ada", "Go (Ada)", "Ann", "Go (Ann)", "Bob", *["Eva"][:kept]]
    assert prune.preview("default", before).events == 5


def test_an_event_without_an_object_id_is_not_compared_with_another_one(settings):
    """Of a table that is not audited, it may lack one; then two events need not be of one row."""
    columns = "number AS position, table_name, object_id, action, row_data, occurred_at"
    settings.AUDITREPR = {"SOURCES": {"ours": lambda using: f"SELECT {columns} FROM old_log"}}
    at = timezone.now()
    for number, (key, action) in enumerate([(None, "I"), (None, "U"), ("1", "I"), ("1", "U")]):
        sql(
            "INSERT INTO old_log (number, table_name, object_id, action, row_data, occurred_at)"
            f" VALUES ({number}, 'gone', {'NULL' if key is None else key}, '{action}',"
            f" '{{\"n\": {number}}}', '{get_vendor('default').written(at)}')"
        )
    next_moment()
    old_log.begin()
    do()
    changes = AuditLog.objects.order_by("pk").values_list("object_id", "changed_from")
    assert list(changes) == [(None, None), (None, None), ("1", None), ("1", {"n": 2})]


@pytest.fixture
def _zoneless(settings: Any) -> Iterator[None]:
    with zoneless(settings):
        yield


@pytest.mark.usefixtures("_zoneless")
def test_times_without_zones_are_compared_as_those_of_the_project() -> None:
    first, *_ = history()
    found = importing.forecast(Request("default", ["ours"]))
    assert [one.outcome.text for one in found.built] == [
        "Ada", "Go (Ada)", "Ann", "Go (Ann)", "Bob",
    ]  # fmt: skip
    assert found.built[0].event.occurred_at == first[-1]
    do(batch_size=2, stop=lambda: True)
    ended = importing.abandon(Request("default", ["ours"]), lock=DatabaseLock("default"))
    assert (ended.events, ended.left, ended.lost) == (2, 3, 0)


def test_a_dry_run_gives_the_reasons_that_the_job_gives() -> None:
    history()
    found = importing.forecast(Request("default", ["ours"]))
    do()
    run()
    stored = InstanceRepr.objects.order_by("pk").values_list("instance_repr", "reason")
    assert [(one.outcome.text, one.outcome.reason) for one in found.built] == list(stored)
    assert any(reason for _, reason in stored)
