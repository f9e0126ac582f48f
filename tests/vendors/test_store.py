"""Tests the store facet: what a run reads and writes, and its lock."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from django.db import Error, IntegrityError, OperationalError, connection, transaction
from django.db.models import CheckConstraint, Model, Q
from django.test.utils import CaptureQueriesContext

from auditrepr.models import AuditLog, Fidelity, InstanceRepr, RelatedObject
from auditrepr.vendors import Vendor, get_vendor
from auditrepr.vendors.snapshots import sees
from tests.app.models import Author
from tests.capturing import sql
from tests.pages import event
from tests.sizes import FIRST_ID
from tests.vendors.keyed import BY_COLUMN
from tests.vendors.recording import impatient, open_transaction, without_rights

pytestmark = pytest.mark.django_db

EXACT, MIXED = Fidelity.EXACT.value, Fidelity.MIXED.value


def stored() -> list[tuple[int, str, str, str]]:
    return list(
        InstanceRepr.objects.order_by("pk").values_list(
            "audit_log_id", "instance_repr", "fidelity", "reason"
        )
    )


# --- what is pending -----------------------------------------------------------------------------


def test_the_log_reaches_as_far_as_its_highest_id(vendor: Vendor) -> None:
    AuditLog.objects.all().delete()
    assert vendor.reach().visible == FIRST_ID - 1
    Author.objects.create(name="Ann")
    reach = vendor.reach()
    assert (reach.visible, reach.whole) == (AuditLog.objects.latest("pk").pk, True)
    assert reach.handed_out == reach.visible


@pytest.mark.django_db(transaction=True)
def test_the_snapshot_of_what_is_visible_has_the_transactions_that_are_open(
    vendor: Vendor,
) -> None:
    Author.objects.create(name="seen")
    before = vendor.reach()
    with open_transaction(write) as unseen:
        reach = vendor.reach()
    event = AuditLog.objects.get(pk=unseen)
    assert sees(vendor.reach().snapshot, event.transaction_id)
    if reach.snapshot is None:  # of one writer at a time, whose IDs are higher
        assert unseen > reach.visible
    else:
        assert not sees(reach.snapshot, event.transaction_id)
        assert not sees(before.snapshot, event.transaction_id)


def test_an_id_that_is_made_up_is_not_handed_out_a_second_time(vendor: Vendor) -> None:
    Author.objects.create(name="Ann")
    event(10**9)
    reach = vendor.reach()
    Author.objects.create(name="Bea")
    latest = AuditLog.objects.filter(table_name="app_author", row_data__name="Bea").get()
    assert reach.visible == 10**9
    assert reach.handed_out < latest.pk


def write() -> int:
    """An event of a transaction that is still open."""
    Author.objects.create(name="unseen")
    return AuditLog.objects.latest("pk").pk


@pytest.mark.django_db(transaction=True)
def test_who_holds_an_unseen_id_is_among_the_writers_or_took_a_later_one(
    vendor: Vendor,
) -> None:
    Author.objects.create(name="seen")
    with open_transaction(write) as unseen:
        # Where there is one writer at a time, nobody can.
        with impatient(), suppress(OperationalError):
            Author.objects.create(name="overtakes")
        reach, writers = vendor.reach(), vendor.writers()
        assert unseen not in AuditLog.objects.values_list("pk", flat=True)
        assert unseen > reach.handed_out or vendor.writers().include_any_of(writers)
    assert not vendor.writers().include_any_of(writers)
    assert vendor.reach().visible >= unseen


# --- representations -----------------------------------------------------------------------------


def test_representations_are_stored_and_counted(vendor: Vendor) -> None:
    event(1), event(2)
    rows = [(1, "Ann \N{SNOWMAN} 100%s\t\\", EXACT, ""), (2, "", MIXED, "one\ntwo")]
    assert vendor.store(rows) == 2
    assert stored() == rows


def test_representations_that_are_there_are_passed_over(vendor: Vendor) -> None:
    event(1, text="first"), event(2)
    assert vendor.store([(1, "second", MIXED, "x"), (2, "Bea", EXACT, "")]) == 1
    assert stored() == [(1, "first", EXACT, ""), (2, "Bea", EXACT, "")]


def test_representations_are_replaced_and_counted_and_missing_ones_passed_over(
    vendor: Vendor,
) -> None:
    event(1, text="first"), event(2)
    assert vendor.replace([(1, "second", MIXED, "x"), (2, "Bea", EXACT, "")]) == 1
    assert stored() == [(1, "second", MIXED, "x")]


@pytest.mark.parametrize("write", ["store", "replace"])
def test_after_an_error_nothing_is_written_and_the_transaction_goes_on(
    vendor: Vendor, write: str
) -> None:
    event(1), event(2)
    if write == "replace":
        vendor.store([(1, "a", EXACT, ""), (2, "b", EXACT, "")])
    before = stored()
    with pytest.raises(IntegrityError):
        getattr(vendor, write)([(1, "new", EXACT, ""), (2, None, EXACT, "")])
    assert stored() == before


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_an_error_about_a_value_is_told_from_others(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    event(1)
    constraint = CheckConstraint(condition=~Q(instance_repr="forbidden"), name="own")
    with monkeypatch.context() as constrained, connection.schema_editor() as editor:
        # Where a table has to be made anew for it, it is made as the model says.
        constrained.setattr(InstanceRepr._meta, "constraints", [constraint])
        editor.add_constraint(InstanceRepr, constraint)
    try:
        with pytest.raises(Error) as about_a_value:
            vendor.store([(1, "forbidden", EXACT, "")])
    finally:
        monkeypatch.undo()
        with connection.schema_editor() as editor:
            editor.remove_constraint(InstanceRepr, constraint)
    with pytest.raises(Error) as about_none:
        sql("SELECT * FROM there_is_no_such_table")
    assert vendor.refuses_value(about_a_value.value)
    assert not vendor.refuses_value(about_none.value)
    assert not vendor.passes(about_a_value.value)
    assert not vendor.passes(about_none.value)


@pytest.mark.django_db(transaction=True)
def test_a_transient_error_is_recognized(vendor: Vendor) -> None:
    author = Author.objects.create(name="Ann")

    def change() -> int:
        return Author.objects.filter(pk=author.pk).update(name="Bea")

    with open_transaction(change), pytest.raises(Error) as locked, impatient():
        change()
    assert vendor.passes(locked.value)
    assert not vendor.refuses_value(locked.value)


@pytest.mark.django_db(transaction=True)
def test_where_there_is_one_writer_at_a_time_another_row_cannot_be_changed(vendor: Vendor) -> None:
    first, second = (Author.objects.create(name=name) for name in ("Ann", "Bea"))

    def change(author: Author) -> int:
        return Author.objects.filter(pk=author.pk).update(name="Cid")

    refused = False
    with open_transaction(lambda: change(first)), impatient():
        try:
            change(second)
        except Error:
            refused = True
    assert refused is vendor.one_writer


@pytest.mark.django_db(transaction=True)
def test_an_error_about_a_right_or_a_table_is_told_from_others(vendor: Vendor) -> None:
    with pytest.raises(Error) as no_table:
        sql("SELECT * FROM there_is_no_such_table")
    with without_rights(), pytest.raises(Error) as no_right:
        sql("UPDATE auditrepr_lease SET holder = NULL")
    with pytest.raises(Error) as mistake:
        sql("SELECT FROM WHERE")
    errors = (no_table.value, no_right.value, mistake.value)
    assert [vendor.lacks_table(error) for error in errors] == [True, False, False]
    assert [vendor.refuses_access(error) for error in errors] == [False, True, False]
    assert not any(vendor.passes(error) for error in errors)


@pytest.mark.django_db(transaction=True)
def test_who_lacks_a_right_to_write_is_named_with_it(vendor: Vendor) -> None:
    with without_rights():
        who, rights = vendor.missing_rights([], ["auditrepr_lease"]) or ("", "")
    assert who.split()[0] in {"Role", "This"}
    assert re.search("UPDATE.* on auditrepr_lease|write the file", rights)


# --- the lock ------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_limit_on_silence_ends_with_its_transaction(vendor: Vendor) -> None:
    with transaction.atomic():
        vendor.end_if_idle(60)
        Author.objects.create(name="Ann")
    Author.objects.create(name="Bea")
    assert Author.objects.count() == 2


#: Takes much longer than a millisecond, wherever it runs.
SLOW = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 300000)
SELECT count(*) FROM numbers
"""


def test_a_limit_on_queries_ends_with_its_block_and_undoes_nothing_before_it(
    vendor: Vendor,
) -> None:
    with transaction.atomic():
        event(1)
        with suppress(OperationalError), vendor.limited(0.001):
            vendor.value(SLOW)
        assert vendor.value(SLOW) == 300000
        with vendor.limited(60):
            assert vendor.value(SLOW) == 300000
    assert AuditLog.objects.filter(pk=1).exists()


def test_a_hurried_connection_is_one_to_the_same_database(vendor: Vendor) -> None:
    settings = vendor.hurried(connection.settings_dict, 1)
    assert settings is not None
    hurried = connection.copy()
    hurried.settings_dict = settings
    try:
        hurried.ensure_connection()
        assert hurried.settings_dict["NAME"] == connection.settings_dict["NAME"]
        assert hurried.is_usable()
    finally:
        hurried.close()


def test_a_hurried_connection_does_not_create_a_database(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = vendor.hurried({**connection.settings_dict, "NAME": "nowhere"}, 1)
    if settings is not None:
        hurried = connection.copy()
        hurried.settings_dict = settings
        with pytest.raises(Error):
            hurried.ensure_connection()
    assert list(tmp_path.iterdir()) == []


def test_the_databases_clock_runs_within_a_transaction(vendor: Vendor) -> None:
    event(1)
    spans = {"now": vendor.clock(), "then": vendor.clock(600), "past": vendor.clock(-600)}
    clock = AuditLog.objects.filter(pk=1).annotate(**spans).values_list(*spans)
    now, then, past = clock.get()
    assert timedelta(seconds=590) < then - now < timedelta(seconds=610)
    assert timedelta(seconds=590) < now - past < timedelta(seconds=610)
    ends = monotonic() + 10
    while clock.get()[0] <= now:  # some milliseconds at the most
        assert monotonic() < ends


def test_its_identity_distinguishes_a_database_without_a_query(vendor: Vendor) -> None:
    with CaptureQueriesContext(connection) as queries:
        own, again = vendor.identity(), vendor.identity()
    assert len(queries) == 0
    assert own == again != get_vendor("other").identity()
    assert json.loads(json.dumps(own)) == own


# --- what the columns of an event held -----------------------------------------------------------


ODD = 'odd "name" %\'s'
HELD = {"number": 12, "text": 'a "b" %s', "nothing": None, "real": 19.99}
HELD["large"] = {"$digest": {"bytes": 9}}


def test_columns_that_an_event_holds_are_texts(vendor: Vendor) -> None:
    event(7, row_data={**HELD, ODD: "x"})
    event(8, row_data={"number": 3}, changed_from={"number": 2, "other": 1}, action="U")
    texts = {"number": "12", "text": 'a "b" %s', "nothing": None, "real": "19.99", "large": None}
    found = vendor.recorded_texts([8, 7, 9], [*HELD, ODD, "absent"])
    assert sorted(found, key=lambda one: one[0]) == [
        (7, texts | {ODD: "x"}, {}),
        (8, {"number": "3"}, {"number": "2"}),
    ]


def test_columns_are_compared_as_texts_in_a_query(vendor: Vendor) -> None:
    event(7, row_data={**HELD, ODD: "x"})
    event(8, row_data={"number": 3}, changed_from={"number": 2}, action="U")

    def having(column: str, text: str, source: str = "row_data") -> list[int]:
        rows = AuditLog.objects.annotate(held=vendor.recorded_text(column, source))
        return list(rows.filter(held=text).values_list("pk", flat=True))

    assert having("number", "12") == [7]
    assert having("number", "2", "changed_from") == [8]
    assert having(ODD, "x") == having("real", "19.99") == [7]
    assert having("text", 'a "b" %s') == [7]
    assert having("absent", "12") == having("large", "9") == having("number", "1") == []


@pytest.mark.parametrize("create", BY_COLUMN)
def test_a_column_that_is_a_key_has_the_keys_text(
    vendor: Vendor, create: Callable[[], Model]
) -> None:
    made = create()
    column, log = made._meta.pk.column, AuditLog.objects.latest("pk")
    assert vendor.recorded_texts([log.pk], [column]) == [(log.pk, {column: log.object_id}, {})]
    having = AuditLog.objects.annotate(key=vendor.recorded_text(column, "row_data"))
    assert having.get(key=log.object_id) == log


def test_what_events_are_about_is_stored_once(vendor: Vendor) -> None:
    one, other = (7, "app_tag", "3"), (7, "app_book", "it's")
    vendor.store_related([one])
    vendor.store_related([one, other])
    rows = RelatedObject.objects.values_list("audit_log_id", "table_name", "object_id")
    assert set(rows) == {one, other}
    assert len(rows) == 2
