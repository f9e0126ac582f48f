"""Tests the pages of an export: its content while others write, and how much it reads at once."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from auditrepr.exceptions import BeyondTheLog
from auditrepr.models import AuditLog, Checkpoint, Fidelity, InstanceRepr, ReprFailure
from auditrepr.readers import export
from auditrepr.readers.export import Export, settled_now, visible_now
from auditrepr.readers.export_formats import FORMATS, JsonLines
from auditrepr.readers.export_selection import between
from auditrepr.vendors.types import BEGINNING
from tests.app.models import Author
from tests.capturing import sql
from tests.pages import event, fail
from tests.running import run
from tests.vendors.recording import elsewhere, open_transaction

pytestmark = pytest.mark.django_db


def everything(bounds: export.Bounds | None = None) -> Export:
    return Export(AuditLog.objects.all(), bounds or visible_now("default"))


def records(made: Export) -> list[dict]:
    return [record for page in made.pages() for record in page.records]


def ids(made: Export) -> list[int]:
    return [record["id"] for record in records(made)]


@pytest.fixture(autouse=True)
def _empty(request: pytest.FixtureRequest) -> None:
    AuditLog.objects.all().delete()


# --- what is said of an event --------------------------------------------------------------------


def test_it_says_of_each_event_what_the_log_has() -> None:
    when = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)
    event(
        7,
        text="Ann",
        mixed="guessed",
        action="U",
        row_data={"id": 7, "name": "Anne", "age": None},
        changed_from={"name": "Ann", "gone": 1},
        context={"user": "3", "user_name": "mary", "reason": "wedding", "path": "/x/"},
        occurred_at=when,
        transaction_id=99,
    )
    (record,) = records(everything())
    assert record == {
        "id": 7,
        "time": "2026-01-31T12:00:00.000005+00:00",
        "action": "changed",
        "model": "app.Author",
        "table": "app_author",
        "object_id": "7",
        "previous_object_id": None,
        "representation": "Ann",
        "fidelity": "mixed",
        "why_mixed": "guessed",
        "pending": False,
        "failure": None,
        "final": None,
        "changed_by": "mary",
        "actor": "3",
        "reason": "wedding",
        "context": {"user": "3", "user_name": "mary", "reason": "wedding", "path": "/x/"},
        "writer": None,
        "transaction_id": 99,
        "changes": {"name": {"old": "Ann", "new": "Anne"}, "gone": {"old": 1}},
    }


def test_an_added_row_has_new_values_and_a_deleted_one_old_values() -> None:
    event(1, name="Ann", action="I")
    event(2, name="Bea", action="D")
    event(3, action="T", row_data=None, object_id=None)
    added, deleted, emptied = (record["changes"] for record in records(everything()))
    assert added == {"id": {"new": 1}, "name": {"new": "Ann"}}
    assert deleted == {"id": {"old": 2}, "name": {"old": "Bea"}}
    assert emptied == {}


def test_what_is_pending_says_so_and_what_failed_says_why() -> None:
    event(1)
    fail(event(2), "no such thing")
    event(3, text="Cleo")
    event(4, action="T", row_data=None, object_id=None)
    found = records(everything())
    names = ("representation", "fidelity", "pending", "failure")
    assert [tuple(record[name] for name in names) for record in found] == [
        (None, None, True, None),
        (None, None, False, "ValueError: no such thing"),
        ("Cleo", "exact", False, None),
        (None, None, False, None),
    ]


def test_a_failure_that_is_never_retried_is_final() -> None:
    for pk, again in ((1, None), (2, datetime(2030, 1, 1, tzinfo=UTC))):
        fail(event(pk))
        ReprFailure.objects.filter(pk=pk).update(next_attempt_at=again)
    assert [record["final"] for record in records(everything())] == [True, False]


def test_an_event_of_no_known_model_is_there_by_its_table() -> None:
    event(1, table_name="bygone", text="somebody")
    (record,) = records(everything())
    assert (record["model"], record["table"]) == (None, "bygone")
    assert record["representation"] == "somebody"


def test_its_changes_are_those_that_the_orm_wrote() -> None:
    author = Author.objects.create(name="Mary Godwin")
    Author.objects.filter(pk=author.pk).update(name="Mary Shelley")
    log = AuditLog.objects.order_by("pk")
    found = records(everything())
    assert [record["id"] for record in found] == [one.pk for one in log]
    assert found[-1]["changes"]["name"] == {"old": "Mary Godwin", "new": "Mary Shelley"}
    assert {name: (c["old"], c["new"]) for name, c in found[-1]["changes"].items()} == (
        log.last().changes
    )


# --- how it is read ------------------------------------------------------------------------------


def test_pages_are_in_the_order_of_ids_over_gaps_of_any_width(monkeypatch) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    monkeypatch.setattr(export, "WIDTH", 3)
    wanted = [1, 2, 3, 4, 5, 1000, 10**12]
    for pk in reversed(wanted):
        event(pk)
    made = everything()
    pages = list(made.pages())
    assert [record["id"] for page in pages for record in page.records] == wanted
    assert max(len(page.records) for page in pages) == 2
    assert (made.count, made.reached, made.complete) == (7, 10**12, True)


def test_its_statements_grow_with_the_pages_and_not_with_the_events() -> None:
    AuditLog.objects.bulk_create(
        AuditLog(table_name="app_author", object_id=str(n), action="I", row_data={"id": n})
        for n in range(300)
    )
    first = AuditLog.objects.earliest("pk").pk
    bounds = visible_now("default", first - 1)  # IDs that no event has take windows of their own
    records(everything(bounds))
    with CaptureQueriesContext(connection) as queries:
        assert len(records(everything(bounds))) == 300
    # Which names tables had is looked up once in a few seconds.
    sent = [one for one in queries.captured_queries if "django_migrations" not in one["sql"]]
    assert len(sent) <= 11


@pytest.mark.parametrize(
    ("name", "condition"),
    [("instancerepr", {"instance_repr__fidelity": "M"}),
     ("reprfailure", {"repr_failure__isnull": False})],
)  # fmt: skip
def test_a_filter_on_another_table_reads_no_more_of_it_than_of_the_log(
    name: str, condition: dict
) -> None:
    event(1, text="Ann", mixed="guessed")
    fail(event(2))
    made = Export(AuditLog.objects.filter(**condition), visible_now("default"))
    with CaptureQueriesContext(connection) as queries:
        assert ids(made) == ([1] if name == "instancerepr" else [2])
    (selecting,) = (q["sql"] for q in queries if "INNER JOIN" in q["sql"])
    assert selecting.count(f'"auditrepr_{name}"."audit_log_id" >') == 1
    assert selecting.count(f'"auditrepr_{name}"."audit_log_id" <=') == 1
    assert selecting.count("JOIN") == 1


@pytest.mark.proof
def test_large_rows_are_read_a_few_at_a_time() -> None:
    for pk in range(1, 7):
        # Random, so that no database packs it.
        event(pk, name=os.urandom(800_000).hex())
    sizes = [len(page.records) for page in everything().pages() if page.records]
    assert sum(sizes) == 6
    assert max(sizes) <= 3


def test_it_stops_after_a_page_and_says_how_far_it_got(monkeypatch) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    for pk in range(1, 6):
        event(pk)
    Checkpoint.objects.update_or_create(pk=1, defaults={"settled_id": 5})
    made = everything()
    made.stop = lambda: made.count >= 2
    assert ids(made) == [1, 2]
    assert (made.complete, made.continue_from) == (False, 2)


def test_a_project_in_debug_mode_keeps_no_statements() -> None:
    event(1)
    with override_settings(DEBUG=True):
        connection.force_debug_cursor = True
        try:
            records(everything())
            assert len(connection.queries) == 0
        finally:
            connection.force_debug_cursor = False


def test_between_two_times_nothing_is_missing_that_an_order_by_ids_would_hide() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    for pk, hours in [(1, -48), (2, 0), (3, -23), (4, 1), (5, 30)]:
        event(pk, occurred_at=noon + timedelta(hours=hours))
    found, bounds = between(
        AuditLog.objects.all(), visible_now("default"), noon - timedelta(hours=23), noon
    )
    assert ids(Export(found, bounds)) == [3]
    found, bounds = between(AuditLog.objects.all(), visible_now("default"), noon, None)
    assert ids(Export(found, bounds)) == [2, 4, 5]


# --- while others write --------------------------------------------------------------------------


def write() -> int:
    Author.objects.create(name="unseen")
    return AuditLog.objects.order_by("-pk").values_list("pk", flat=True)[0]


def test_what_is_committed_after_its_begin_is_not_in_it() -> None:
    event(1)
    made = everything()
    pages = made.pages()
    event(2)
    assert [record["id"] for page in pages for record in page.records] == [1]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_was_open_at_its_begin_is_not_in_it_even_in_part() -> None:
    Author.objects.create(name="seen")
    with open_transaction(write) as unseen:
        elsewhere(lambda: Author.objects.create(name="overtakes"))
        made = everything()
        pages = made.pages()
    # It has committed before the first page is read.
    found = [record["id"] for page in pages for record in page.records]
    assert AuditLog.objects.filter(pk=unseen).exists()
    assert unseen < max(found)
    assert unseen not in found
    assert len(found) == 2
    assert unseen in ids(everything())


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_who_follows_misses_no_transaction_that_commits_later() -> None:
    Author.objects.create(name="seen")
    run()
    sent = ids(everything(settled_now("default", BEGINNING)))
    with open_transaction(write) as unseen:
        elsewhere(lambda: Author.objects.create(name="overtakes"))
        run()
        made = everything(settled_now("default", sent[-1]))
        assert ids(made) == []  # not even what is represented already
        assert made.continue_from < unseen
    run()
    run()
    later = ids(everything(settled_now("default", made.continue_from)))
    assert unseen in later
    assert sent + later == list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))


@pytest.mark.django_db(transaction=True)
def test_who_follows_gets_each_event_once_and_none_that_is_pending() -> None:
    sent: list[dict] = []
    position = BEGINNING
    for name in ("Ann", "Bea", "Cleo"):
        Author.objects.create(name=name)
        made = everything(settled_now("default", position))
        sent += records(made)
        position = made.continue_from
        run()
    made = everything(settled_now("default", position))
    sent += records(made)
    assert [record["representation"] for record in sent] == ["Ann", "Bea", "Cleo"]
    assert not any(record["pending"] for record in sent)
    assert made.continue_from == AuditLog.objects.latest("pk").pk


def test_who_follows_an_export_of_everything_misses_nothing_of_what_was_not_settled() -> None:
    event(1, text="Ann")
    Checkpoint.objects.update_or_create(pk=1, defaults={"settled_id": 1})
    event(2)
    made = everything()
    assert ids(made) == [1, 2]
    assert made.continue_from == 1


def test_a_representation_that_is_stored_between_two_statements_is_not_overlooked() -> None:
    fail(event(1))
    made = everything()

    def retried(execute, sql, *rest):
        found = execute(sql, *rest)
        if "auditrepr_reprfailure" in sql and sql.startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM auditrepr_reprfailure")
            if not InstanceRepr.objects.filter(pk=1).exists():
                InstanceRepr.objects.create(
                    audit_log_id=1, instance_repr="Ann", fidelity=Fidelity.EXACT
                )
        return found

    with connection.execute_wrapper(retried):
        (record,) = records(made)
    assert (record["representation"], record["pending"]) == ("Ann", False)


def test_a_log_that_ends_before_the_position_is_another_one() -> None:
    event(5, text="Ann")
    with pytest.raises(BeyondTheLog, match="ends at event 5, before event 6"):
        settled_now("default", 6)


def test_a_log_of_which_all_is_pruned_has_nothing_new() -> None:
    made = everything(settled_now("default", 6))
    assert ids(made) == []
    assert made.continue_from == 6


def test_a_watermark_that_went_back_sends_nothing_twice() -> None:
    event(5, text="Ann")
    Checkpoint.objects.update_or_create(pk=1, defaults={"settled_id": 0})
    made = everything(settled_now("default", 5))
    assert ids(made) == []
    assert made.continue_from == 5


# --- what stands in the log, and not in JSON -----------------------------------------------------


@pytest.mark.sqlite
def test_bytes_that_are_no_text_are_written_out_as_everywhere() -> None:
    author = Author.objects.create(name="Ann")
    sql(f"UPDATE app_author SET name = CAST(x'61ff62' AS TEXT) WHERE id = {author.pk}")
    (_, changed) = records(everything())
    assert changed["changes"]["name"] == {"old": "Ann", "new": "a\\xffb"}
    sql("UPDATE app_author SET name = 'x' || char(55296)")  # half of a character
    line = JsonLines().line(records(everything())[-1])
    assert json.loads(line)["changes"]["name"]["old"] == "a\\xffb"


@pytest.mark.parametrize("depth", [100, 900])
def test_a_value_of_any_depth_keeps_no_other_event_from_being_exported(depth: int) -> None:
    event(1, text="Ann")
    event(2, text="Bea")
    deep = '{"name": ' + "[" * depth + "]" * depth + "}"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE auditrepr_auditlog SET row_data = %s WHERE id = 1", [deep])
    for form in (one() for one in FORMATS.values()):
        lines = [form.line(record) for record in records(everything())]
        assert len(lines) == 2
        assert b"Bea" in lines[1]
