"""Tests the capture facet: triggers, context, and the log's position."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.core.management.color import no_style
from django.db import DatabaseError, connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext

from auditrepr.capture import partitions
from auditrepr.models import AuditLog, SealEntry
from auditrepr.utils.sql import Statement
from auditrepr.vendors import Vendor
from auditrepr.vendors.capture_types import Kind
from tests import swallowing
from tests.capturing import sql
from tests.vendors.recording import CREATE, TABLE, audit, captured, insert, logged

pytestmark = pytest.mark.django_db

OTHER = "conformance_other"
LOG = AuditLog._meta.db_table


def queries(work: Callable[[], Any]) -> int:
    """How many queries this takes."""
    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


def refused(statement: str) -> bool:
    try:
        with transaction.atomic():
            sql(statement)
    except DatabaseError:
        return True
    return False


# --- tables and their triggers -------------------------------------------------------------------


def test_shapes_are_those_of_the_tables_that_exist(vendor: Vendor) -> None:
    sql(CREATE, f"CREATE VIEW {OTHER} AS SELECT id FROM {TABLE}")
    found = vendor.shapes([TABLE, OTHER, "conformance_nowhere"])
    assert found.keys() == {TABLE, OTHER}
    assert found[OTHER].kind is Kind.VIEW
    shape = found[TABLE]
    assert (shape.kind, shape.key_columns) == (Kind.TABLE, ("id",))
    assert [column.name for column in shape.columns] == ["id", "name", "secret"]
    assert all(column.stored for column in shape.columns)


def test_installed_triggers_say_what_they_were_made_from(vendor: Vendor) -> None:
    capture = audit(vendor, excluded=["secret"])
    found = vendor.installed()[TABLE]
    assert [found.fingerprint] == vendor.fingerprints(capture)
    assert (found.name, found.enabled, found.excluded) == (TABLE, True, {"secret"})
    if found.columns is not None:
        assert found.columns == {"id", "name"}
    assert LOG not in vendor.installed()


def test_installed_triggers_are_found_by_as_many_queries_however_many_there_are(
    vendor: Vendor,
) -> None:
    audit(vendor)
    before = queries(vendor.installed)
    audit(vendor, table=OTHER)
    assert queries(vendor.installed) == before


def test_fingerprints_differ_where_the_triggers_do(vendor: Vendor) -> None:
    sql(CREATE)
    one, other = captured(vendor), captured(vendor, excluded=["secret"])
    first, second, again = vendor.fingerprints(one, other, one)
    assert (first == again, first == second) == (True, False)
    assert vendor.fingerprints() == []


def test_fingerprints_change_with_the_tables_columns(vendor: Vendor) -> None:
    sql(CREATE)
    before = vendor.fingerprints(captured(vendor))
    sql(f"ALTER TABLE {TABLE} ADD COLUMN more integer")
    assert vendor.fingerprints(captured(vendor)) != before


def test_the_number_of_queries_does_not_depend_on_the_number_of_tables(vendor: Vendor) -> None:
    one = audit(vendor)
    other = audit(vendor, table=OTHER)
    for ask in (vendor.fingerprints, vendor.install_sql):
        assert queries(lambda ask=ask: ask(one)) == queries(lambda ask=ask: ask(one, other))
    assert queries(lambda: vendor.remove_sql(TABLE)) == queries(
        lambda: vendor.remove_sql(TABLE, OTHER)
    )


def test_triggers_record_every_change_but_not_what_is_excluded(vendor: Vendor) -> None:
    audit(vendor, excluded=["secret"])
    insert(1)
    sql(
        f"UPDATE {TABLE} SET name = 'Bea', secret = 'more' WHERE id = 1",
        f"UPDATE {TABLE} SET secret = 'again' WHERE id = 1",
        f"UPDATE {TABLE} SET id = 2 WHERE id = 1",
        f"DELETE FROM {TABLE}",
    )
    found = logged()
    assert [(e.action, e.object_id, e.previous_object_id) for e in found] == [
        ("I", "1", None),
        ("U", "1", None),
        ("U", "2", "1"),
        ("D", "2", None),
    ]
    assert [event.row_data for event in found] == [
        {"id": 1, "name": "Ann"},
        {"id": 1, "name": "Bea"},
        {"id": 2, "name": "Bea"},
        {"id": 2, "name": "Bea"},
    ]
    assert [event.changed_from for event in found] == [None, {"name": "Ann"}, {"id": 1}, None]


def test_triggers_that_are_installed_again_replace_those_that_are_there(vendor: Vendor) -> None:
    capture = audit(vendor)
    vendor.execute(vendor.install_sql(capture))
    insert(1)
    assert [event.action for event in logged()] == ["I"]


def test_several_tables_get_their_triggers_at_once(vendor: Vendor) -> None:
    sql(CREATE, CREATE.replace(TABLE, OTHER))
    captures = [captured(vendor), captured(vendor, table=OTHER)]
    vendor.execute([*vendor.support_sql(), *vendor.install_sql(*captures)])
    insert(1)
    insert(2, table=OTHER)
    assert [event.object_id for event in (*logged(), *logged(OTHER))] == ["1", "2"]
    assert vendor.install_sql() == []


def test_what_triggers_share_may_be_created_again(vendor: Vendor) -> None:
    audit(vendor)
    vendor.execute(vendor.support_sql())
    insert(1)
    assert len(logged()) == 1


def test_sealed_triggers_differ_from_those_created_later(vendor: Vendor) -> None:
    capture = audit(vendor)
    ours = vendor.installed()[TABLE]
    assert not vendor.installed()[TABLE].replace(ours.identity)
    vendor.execute([*vendor.remove_sql(TABLE), *vendor.install_sql(capture)])
    theirs = vendor.installed()[TABLE]
    assert theirs.replace(ours.identity)
    assert theirs.fingerprint == ours.fingerprint
    vendor.execute(vendor.seal_sql())
    assert vendor.installed()[TABLE].enabled


def test_a_table_without_partitions_needs_no_guards(vendor: Vendor) -> None:
    assert vendor.guard_sql(audit(vendor)) == []


def test_removed_triggers_record_nothing_more(vendor: Vendor) -> None:
    audit(vendor)
    audit(vendor, table=OTHER)
    vendor.execute(vendor.remove_sql(TABLE, OTHER))
    insert(1)
    insert(1, table=OTHER)
    assert vendor.installed().keys().isdisjoint({TABLE, OTHER})
    assert logged() == logged(OTHER) == []
    vendor.execute(vendor.remove_sql(TABLE))
    assert vendor.remove_sql() == []


def test_nothing_is_left_where_all_is_removed(vendor: Vendor) -> None:
    capture = audit(vendor)
    vendor.execute(vendor.append_only_sql())
    vendor.execute(vendor.remove_sql(*vendor.installed()))
    vendor.execute(vendor.remove_support_sql())
    assert (vendor.installed(), vendor.append_only()) == ({}, False)
    insert(1)
    assert logged() == []
    vendor.execute(vendor.remove_support_sql())
    vendor.execute([*vendor.support_sql(), *vendor.install_sql(capture)])
    insert(2)
    assert len(logged()) == 1


@pytest.mark.proof
def test_a_schema_changes_under_triggers_unless_the_flag_says_that_they_block_it(
    vendor: Vendor,
) -> None:
    audit(vendor)
    change = f"ALTER TABLE {TABLE} DROP COLUMN name"
    if vendor.triggers_block_schema_changes:
        assert refused(change)
        vendor.execute(vendor.remove_sql(TABLE))
    sql(change, f"INSERT INTO {TABLE} (id) VALUES (1)")
    assert sql(f"SELECT id FROM {TABLE}") == [(1,)]


def test_djangos_flush_empties_one_table_after_the_other_if_the_flag_says_so(
    vendor: Vendor,
) -> None:
    statements = vendor.connection.ops.sql_flush(no_style(), [TABLE, OTHER])
    assert (len(statements) > 1) is vendor.flushes_table_by_table


def test_one_query_surveys_what_several_would_tell(vendor: Vendor) -> None:
    audit(vendor, excluded=["secret"])
    names = [TABLE, LOG, "conformance_nowhere"]
    with CaptureQueriesContext(connection) as asked:
        found = vendor.survey(names, migrations=False)
    assert len(asked) == 1
    assert found.shapes == vendor.shapes(names)
    assert found.installed == vendor.installed()
    assert found.schema == vendor.log_schema()
    assert (found.append_only, found.applied) == (False, None)


def test_a_survey_may_leave_out_the_triggers(vendor: Vendor) -> None:
    audit(vendor)
    names = [TABLE, LOG]
    found = vendor.survey(names, migrations=True, installed=False)
    whole = vendor.survey(names, migrations=True)
    assert whole.installed.keys() >= {TABLE}
    assert found == whole._replace(installed={}, append_only=False)


def test_a_survey_tells_whether_the_log_is_append_only(vendor: Vendor) -> None:
    vendor.execute(vendor.append_only_sql())
    assert vendor.survey([], migrations=False).append_only


def test_what_swallows_events_is_found_with_what_ends_it(vendor: Vendor) -> None:
    audit(vendor)
    for statements, cause in swallowing.SWALLOWING[connection.vendor]:
        version = vendor.catalog_version([TABLE])
        sql(*statements)
        assert vendor.catalog_version([TABLE]) != version
        (found,) = vendor.swallowing()
        assert found.cause == cause
        assert vendor.survey([], migrations=False).swallowing == (found,)
        assert partitions.unrecorded(vendor.installed()[TABLE])
        sql(found.remedy)
        assert vendor.swallowing() == ()
        assert not partitions.unrecorded(vendor.installed()[TABLE])


def test_what_swallows_none_is_not(vendor: Vendor) -> None:
    vendor.execute(vendor.append_only_sql())
    audit(vendor)
    for statements in swallowing.HARMLESS[connection.vendor]:
        with suppress(ZeroDivisionError), transaction.atomic():
            sql(*statements)
            assert vendor.swallowing() == ()
            raise ZeroDivisionError


def test_a_survey_finds_the_applied_migrations_too_if_asked(vendor: Vendor) -> None:
    applied = MigrationRecorder(connection).applied_migrations()
    assert vendor.survey([], migrations=True).applied == applied.keys()


def test_a_survey_without_a_table_of_migrations_is_an_error(vendor: Vendor) -> None:
    sql("ALTER TABLE django_migrations RENAME TO conformance_migrations")
    with pytest.raises(DatabaseError), transaction.atomic():
        vendor.survey([], migrations=True)
    assert vendor.survey([], migrations=False).applied is None


@pytest.mark.parametrize(
    "change",
    [
        f"ALTER TABLE {TABLE} ADD COLUMN more integer",
        f"ALTER TABLE {TABLE} RENAME TO {OTHER}",
        "DELETE FROM auditrepr_coverage WHERE table_name = 'app_book'",
    ],
)
def test_a_change_of_a_table_or_its_coverage_is_another_version(
    vendor: Vendor, change: str
) -> None:
    audit(vendor)
    before = vendor.catalog_version([TABLE])
    sql(change)
    assert vendor.catalog_version([TABLE]) != before


def test_so_is_the_loss_of_its_triggers(vendor: Vendor) -> None:
    audit(vendor)
    before = vendor.catalog_version([TABLE])
    vendor.execute(vendor.remove_sql(TABLE))
    assert vendor.catalog_version([TABLE]) != before


def test_events_are_no_other_version(vendor: Vendor) -> None:
    audit(vendor)
    before = vendor.catalog_version([TABLE])
    insert(1)
    assert logged()
    assert vendor.catalog_version([TABLE]) == before


def test_a_survey_gives_fingerprints_the_schema_that_they_need(vendor: Vendor) -> None:
    sql(CREATE)
    capture = captured(vendor)
    schema = vendor.survey([], migrations=False).schema
    assert queries(lambda: vendor.fingerprints(capture, schema=schema)) == 0
    assert vendor.fingerprints(capture, schema=schema) == vendor.fingerprints(capture)


def test_a_table_that_lacks_one_of_its_triggers_is_not_whole(vendor: Vendor) -> None:
    capture = audit(vendor)
    assert (vendor.installed()[TABLE].whole, vendor.installed()[TABLE].fires) == (True, True)
    statements = vendor.install_sql(capture)
    last = [s for s in statements if s.startswith("CREATE TRIGGER")][-1]
    vendor.execute(vendor.remove_sql(TABLE))
    vendor.execute(statement for statement in statements if statement != last)
    assert (vendor.installed()[TABLE].whole, vendor.installed()[TABLE].fires) == (False, False)


# --- the log -------------------------------------------------------------------------------------


def test_an_append_only_log_refuses_what_would_change_it(vendor: Vendor) -> None:
    audit(vendor)
    insert(1)
    assert not vendor.append_only()
    vendor.execute(vendor.append_only_sql())
    assert vendor.append_only()
    emptying = connection.ops.sql_flush(no_style(), [LOG])
    changes = [f"UPDATE {LOG} SET object_id = '2'", f"DELETE FROM {LOG}", emptying[0]]
    assert [refused(change) for change in changes] == [True] * 3
    insert(2)
    assert [event.object_id for event in logged()] == ["1", "2"]
    vendor.execute(vendor.append_only_sql())
    assert vendor.append_only()


@pytest.mark.proof
def test_of_an_append_only_log_the_chain_of_seals_is_append_only_too(vendor: Vendor) -> None:
    seal = "INSERT INTO auditrepr_sealentry (number, format, kind, after_id, upto_id, events,"
    seal += " sealed_at, digest) VALUES ({}, 1, 'sealed', 0, 1, 0, '', '')"
    vendor.execute([*vendor.append_only_sql(), seal.format(1)])
    table = SealEntry._meta.db_table
    emptying = connection.ops.sql_flush(no_style(), [table])
    changes = [f"UPDATE {table} SET events = 2", f"DELETE FROM {table}", emptying[0]]
    assert [refused(change) for change in changes] == [True] * 3
    vendor.execute([seal.format(2)])
    for allowing in (vendor.pruning, vendor.erasing):
        with transaction.atomic(), allowing():
            assert refused(f"UPDATE {table} SET events = 2")
    vendor.execute(vendor.remove_support_sql())
    assert not vendor.append_only()
    assert not refused(f"DELETE FROM {table}")


def test_pruning_may_delete_and_the_log_refuses_it_again_afterwards(vendor: Vendor) -> None:
    audit(vendor)
    insert(1)
    vendor.execute(vendor.append_only_sql())
    assert vendor.may_prune()
    with transaction.atomic(), vendor.pruning():
        assert not refused(f"DELETE FROM {LOG} WHERE table_name = '{TABLE}'")
    assert (logged(), vendor.append_only()) == ([], True)
    insert(2)
    assert refused(f"DELETE FROM {LOG}")


def test_erasing_may_change_and_the_log_refuses_it_again_afterwards(vendor: Vendor) -> None:
    audit(vendor)
    insert(1)
    vendor.execute(vendor.append_only_sql())
    change = f"UPDATE {LOG} SET object_id = 'x' WHERE table_name = '{TABLE}'"
    assert vendor.may_erase()
    with transaction.atomic(), vendor.erasing():
        assert not refused(change)
    assert ([event.object_id for event in logged()], vendor.append_only()) == (["x"], True)
    assert refused(change)


def test_the_position_lies_between_what_is_recorded_before_and_after(vendor: Vendor) -> None:
    audit(vendor)
    insert(1)
    position = vendor.position()
    insert(2)
    before, after = logged()
    assert before.pk <= position.event < after.pk
    assert position.transaction_id == after.transaction_id


def test_a_log_has_an_identity_that_no_other_has(vendor: Vendor) -> None:
    log, copied = vendor.log_identity()
    assert vendor.log_identity() == (log, False)
    assert log
    assert not copied
    sql("ALTER TABLE auditrepr_auditlog RENAME TO auditrepr_elsewhere")
    assert vendor.log_identity() == (None, False)


def test_a_session_takes_one_of_the_logs_ids_at_once(vendor: Vendor) -> None:
    assert vendor.sequence_cache() == 1


# --- context -------------------------------------------------------------------------------------


def telling(vendor: Vendor, said: str, statement: str, *parameters: Any, many: bool = False) -> Any:
    """Run a statement with this context; gives its rows, or how many it wrote."""

    def wrapper(*given: Any) -> Any:
        return vendor.tell(said, Statement(*given))

    with connection.execute_wrapper(wrapper), connection.cursor() as cursor:
        (cursor.executemany if many else cursor.execute)(statement, *parameters)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def test_a_statement_is_recorded_with_its_context_and_the_next_without(vendor: Vendor) -> None:
    audit(vendor)
    said = {"user": "Ann", "reason": "50 %s, it's \\ \N{SNOWMAN}"}
    values = f"INSERT INTO {TABLE} (id, name) VALUES"
    assert telling(vendor, json.dumps(said), f"{values} (1, '100%')") == 1
    assert telling(vendor, json.dumps(said), f"{values} (%s, '100%%')", [2]) == 1
    insert(3)
    assert [event.context for event in logged()] == [said, said, None]
    assert {event.row_data["name"] for event in logged()} == {"100%", "Ann"}


def test_a_statement_with_a_context_gives_its_rows(vendor: Vendor) -> None:
    audit(vendor)
    statement = f"INSERT INTO {TABLE} (id, name) VALUES (%s, %s) RETURNING id, name"
    assert telling(vendor, '{"user": "Ann"}', statement, [1, "Bea"]) == [(1, "Bea")]


def test_many_statements_have_the_context_of_the_call(vendor: Vendor) -> None:
    audit(vendor)
    statement = f"INSERT INTO {TABLE} (id) VALUES (%s)"
    telling(vendor, '{"user": "Ann"}', statement, [[1], [2]], many=True)
    insert(3)
    assert [event.context for event in logged()] == [{"user": "Ann"}] * 2 + [None]


def test_a_statement_that_fails_leaves_no_context(vendor: Vendor) -> None:
    audit(vendor)
    with pytest.raises(DatabaseError), transaction.atomic():
        telling(vendor, '{"user": "Ann"}', f"INSERT INTO {TABLE} (nothing) VALUES (1)")
    insert(1)
    assert [event.context for event in logged()] == [None]


@pytest.mark.django_db(transaction=True)
def test_a_new_connection_is_prepared_without_a_query(vendor: Vendor) -> None:
    audit(vendor)
    try:
        connection.close()
        connection.ensure_connection()
        assert queries(lambda: vendor.prepare(connection)) == 0
        statement = f"INSERT INTO {TABLE} (id) VALUES (1)"
        telling(vendor, '{"user": "Ann"}', statement)
        assert [event.context for event in logged()] == [{"user": "Ann"}]
    finally:
        vendor.execute([*vendor.remove_sql(TABLE), f"DROP TABLE {TABLE}"])
