import threading

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from auditrepr import capture
from auditrepr.capture import triggers
from auditrepr.capture.state import Status
from auditrepr.models import AuditLog, Coverage
from auditrepr.vendors import get_vendor
from tests.app.models import Author, Tag
from tests.app.tracked import Awkward
from tests.capturing import covered_since, drop_triggers, sql, status_of

pytestmark = pytest.mark.django_db

# The tables with their triggers, and the coverage.
QUERIES = 2


def disable_triggers(table):
    sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")


def coverage_of(name, using="default"):
    return Coverage.objects.using(using).filter(table_name=name).first()


def migrate(using="default"):
    call_command("migrate", verbosity=0, database=using)


class LogOnlyInDefault:
    def allow_migrate(self, db, app_label, **hints):
        return False if app_label == "auditrepr" and db != "default" else None


# --- at migrate --------------------------------------------------------------------------------


def test_after_migrate_every_tracked_table_has_its_triggers_and_its_coverage():
    states = [state for state in capture.inspect("default") if state.status is not Status.ABSENT]
    assert {state.status for state in states} == {Status.OK}
    assert set(covered_since("default")) == {state.name for state in states}
    assert coverage_of("app_author").reason == Coverage.Reason.INSTALLED


def test_a_second_migrate_looks_once_and_changes_no_trigger():
    with CaptureQueriesContext(connection) as queries:
        migrate()
    written = [q["sql"] for q in queries if "TRIGGER" in q["sql"] and "CREATE" in q["sql"]]
    assert written == []
    assert len([q for q in queries if "auditrepr_coverage" in q["sql"].partition("FROM")[2]]) == 1


def test_finding_out_that_nothing_is_to_do_takes_a_fixed_few_queries_and_no_transaction(
    django_assert_num_queries,
):
    with django_assert_num_queries(QUERIES):
        assert capture.install("default") == []


@pytest.mark.proof
def test_triggers_dropped_by_hand_are_found_named_and_put_back_by_migrate():
    drop_triggers("app_author")
    assert status_of("app_author") is Status.MISSING
    migrate()
    assert status_of("app_author") is Status.OK
    assert coverage_of("app_author").reason == Coverage.Reason.MISSING


def test_migrate_says_what_it_installed(capsys):
    drop_triggers("app_author")
    call_command("migrate", verbosity=1)
    assert "Updated audit triggers: app_author\n" in capsys.readouterr().out


@pytest.mark.postgresql
def test_disabled_triggers_are_found_and_fire_again_after_install():
    disable_triggers("app_author")
    assert status_of("app_author") is Status.DISABLED
    assert [state.name for state in capture.install("default")] == ["app_author"]
    assert status_of("app_author") is Status.OK
    assert coverage_of("app_author").reason == Coverage.Reason.DISABLED
    Author.objects.create(name="Ada")
    assert AuditLog.objects.filter(table_name="app_author").exists()


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_taking_auditrepr_out_of_a_database_leaves_its_tables_writable_and_coming_back_works():
    migrated = [("auditrepr", "zero"), ("auditrepr",)]
    try:
        call_command("migrate", *migrated[0], verbosity=0)
        Author.objects.create(name="Ada")
        assert capture.inspect("default") == []
        assert capture.install("default") == []
    finally:
        call_command("migrate", *migrated[1], verbosity=0)
    assert status_of("app_author") is Status.OK
    Author.objects.create(name="Bob")
    assert [event.row_data["name"] for event in AuditLog.objects.all()] == ["Bob"]


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_a_flushed_database_is_covered_again_at_once():
    Author.objects.create(name="Ada")
    call_command("flush", interactive=False, verbosity=0)
    assert "app_author" in covered_since("default")


# --- what is installed -------------------------------------------------------------------------


def test_changed_exclusions_make_the_triggers_outdated_until_the_next_install(settings):
    settings.AUDITREPR = {"EXCLUDE": {"app.Author": ["name"]}}
    assert status_of("app_author") is Status.OUTDATED
    assert [state.name for state in capture.install("default")] == ["app_author"]
    assert status_of("app_author") is Status.OK
    Author.objects.create(name="Ada")
    assert "name" not in AuditLog.objects.get().row_data


def test_the_triggers_and_the_coverage_of_a_table_that_is_tracked_no_more_vanish(settings):
    settings.AUDITREPR = {"MODELS": ["auth.Group"]}
    capture.install("default")
    assert "auth_group" in covered_since("default")
    settings.AUDITREPR = {}
    assert status_of("auth_group") is Status.LEFTOVER
    capture.install("default")
    assert status_of("auth_group") is None
    assert coverage_of("auth_group") is None
    assert "auth_group" not in get_vendor("default").installed()


def test_a_name_full_of_what_needs_quoting_is_installed_covered_and_removed(settings):
    key = {"sqlite": "integer PRIMARY KEY", "postgresql": "serial PRIMARY KEY"}[connection.vendor]
    sql(f"""CREATE TABLE "O'Brien's Önly table" (id {key}, "it's a Näme" text)""")
    settings.AUDITREPR = {"MODELS": ["app.Awkward"]}
    capture.install("default")
    Awkward.objects.create(name="x")
    assert AuditLog.objects.get().row_data["it's a Näme"] == "x"
    assert status_of("O'Brien's Önly table") is Status.OK
    assert "O'Brien's Önly table" in covered_since("default")
    settings.AUDITREPR = {}
    capture.install("default")
    assert "O'Brien's Önly table" not in get_vendor("default").installed()


@pytest.mark.proof
def test_a_view_is_left_out(settings):
    settings.AUDITREPR = {"MODELS": ["app.AuthorView"]}
    sql("CREATE VIEW app_author_view AS SELECT id, name FROM app_author")
    assert status_of("app_author_view") is Status.UNSUPPORTED
    assert capture.install("default") == []
    assert "app_author_view" not in covered_since("default")


def test_a_table_that_is_not_there_is_passed_over(settings):
    settings.AUDITREPR = {"MODELS": ["app.AuthorView"]}
    assert status_of("app_author_view") is Status.ABSENT
    assert capture.install("default") == []


@pytest.mark.proof
def test_while_the_models_key_is_not_in_the_table_the_tables_own_key_serves():
    drop_triggers("app_tag")
    sql("ALTER TABLE app_tag RENAME COLUMN id TO old_id")
    (state,) = (state for state in capture.inspect("default") if state.name == "app_tag")
    assert state.capture.key_columns == ("old_id",)
    capture.install("default")
    sql("INSERT INTO app_tag (old_id, label) VALUES (77, 'x')")
    assert AuditLog.objects.get().object_id == "77"


def test_only_the_named_tables_are_installed():
    drop_triggers("app_author")
    drop_triggers("app_tag")
    capture.install("default", names=["app_tag"])
    assert (status_of("app_author"), status_of("app_tag")) == (Status.MISSING, Status.OK)


@pytest.mark.proof
def test_force_replaces_triggers_that_are_in_order_without_a_gap():
    before = covered_since("default")
    changed = {state.name for state in capture.install("default", force=True)}
    assert before.keys() == changed
    assert covered_since("default") == before


def test_an_install_that_fails_halfway_leaves_all_as_it_was(monkeypatch):
    drop_triggers("app_author")
    drop_triggers("app_tag")
    vendor = type(get_vendor("default"))
    install_sql = vendor.install_sql

    def failing(self, *captures):
        first, *_ = captures
        return [*install_sql(self, first), "no such SQL"]

    monkeypatch.setattr(vendor, "install_sql", failing)
    with pytest.raises(DatabaseError):
        capture.install("default")
    assert (status_of("app_author"), status_of("app_tag")) == (Status.MISSING, Status.MISSING)
    assert coverage_of("app_author").reason == Coverage.Reason.INSTALLED


def test_remove_takes_every_trigger_and_all_coverage_and_leaves_the_log():
    Author.objects.create(name="Ada")
    assert "app_author" in capture.remove("default")
    assert get_vendor("default").installed() == {}
    assert not Coverage.objects.exists()
    Author.objects.create(name="Bob")
    assert [event.row_data["name"] for event in AuditLog.objects.all()] == ["Ada"]


def test_remove_needs_no_valid_setting(settings):
    settings.AUDITREPR = {"MODELS": ["app.Nobody"]}
    assert "app_author" in capture.remove("default")


@pytest.mark.proof
def test_the_script_installs_what_install_would():
    capture.remove("default")
    sql(*capture.script("default"))
    assert status_of("app_author") is Status.OK
    assert capture.install("default") == []
    assert "app_author" in covered_since("default")


# --- several databases -------------------------------------------------------------------------


@pytest.mark.django_db(databases=["default", "other"])
def test_each_database_is_checked_and_fixed_separately():
    drop_triggers("app_author", using="other")
    assert (status_of("app_author"), status_of("app_author", "other")) == (
        Status.OK,
        Status.MISSING,
    )
    assert [state.name for state in capture.install("other")] == ["app_author"]
    Author.objects.using("other").create(name="Ada")
    assert AuditLog.objects.using("other").count() == 1
    assert AuditLog.objects.count() == 0
    assert coverage_of("app_author").reason == Coverage.Reason.INSTALLED


@pytest.mark.proof
@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_nothing_happens_in_a_database_that_a_router_keeps_the_log_out_of(settings):
    call_command("migrate", "auditrepr", "zero", verbosity=0, database="other")
    try:
        settings.DATABASE_ROUTERS = [LogOnlyInDefault()]
        call_command("migrate", verbosity=0, database="other")
        assert capture.inspect("other") == []
        assert get_vendor("other").installed() == {}
        assert capture.databases() == ["default"]
        Author.objects.using("other").create(name="Ada")
    finally:
        settings.DATABASE_ROUTERS = []
        # Without its tables the migrations count as applied: faked back and made again.
        call_command("migrate", "auditrepr", "zero", fake=True, verbosity=0, database="other")
        call_command("migrate", verbosity=0, database="other")
    assert status_of("app_author", "other") is Status.OK


# --- coverage ----------------------------------------------------------------------------------


def events_so_far():
    """Makes an event and undoes it: its id is handed out all the same."""
    with transaction.atomic():
        Tag.objects.create(label="x")
        last = AuditLog.objects.latest("id").id
        Tag.objects.all().delete()
        AuditLog.objects.all().delete()
    return last + 1


def test_coverage_begins_at_the_highest_id_handed_out_though_the_row_may_be_gone():
    drop_triggers("app_author")
    handed_out = events_so_far()
    capture.install("default")
    assert coverage_of("app_author").since_event == handed_out
    Author.objects.create(name="Ada")
    assert AuditLog.objects.get().id == handed_out + 1


def test_leaving_out_one_more_column_breaks_no_coverage(settings):
    before = coverage_of("app_author").since_event
    events_so_far()
    settings.AUDITREPR = {"EXCLUDE": {"app.Author": ["name"]}}
    capture.install("default")
    assert coverage_of("app_author").since_event == before


def test_including_a_column_again_restarts_coverage(settings):
    settings.AUDITREPR = {"EXCLUDE": {"app.Author": ["name"]}}
    capture.install("default")
    handed_out = events_so_far()
    settings.AUDITREPR = {}
    assert "app_author" not in covered_since("default")
    capture.install("default")
    row = coverage_of("app_author")
    assert (row.since_event, row.reason) == (handed_out, Coverage.Reason.COLUMNS)


@pytest.mark.sqlite
def test_a_column_that_another_program_added_is_not_covered_before_the_next_install():
    sql("ALTER TABLE app_author ADD COLUMN email text")
    assert "app_author" not in covered_since("default")
    assert "app_tag" in covered_since("default")
    capture.install("default")
    assert coverage_of("app_author").reason == Coverage.Reason.COLUMNS


@pytest.mark.postgresql
def test_a_column_that_another_program_added_is_covered_at_once():
    sql("ALTER TABLE app_author ADD COLUMN email text")
    assert "app_author" in covered_since("default")
    Author.objects.create(name="Ada")
    assert "email" in AuditLog.objects.get().row_data


@pytest.mark.proof
@pytest.mark.postgresql
def test_an_excluded_column_that_is_gone_breaks_no_coverage():
    before = coverage_of("app_book").since_event
    events_so_far()
    sql("ALTER TABLE app_book DROP COLUMN secret")
    capture.install("default", force=True)
    assert coverage_of("app_book").since_event == before


def test_a_table_without_triggers_is_not_covered():
    drop_triggers("app_author")
    assert "app_author" not in covered_since("default")
    assert "app_tag" in covered_since("default")


@pytest.mark.proof
def test_a_noted_gap_outlasts_triggers_that_come_back_unnoticed():
    drop_triggers("app_author")
    assert [state.name for state in capture.note_gaps("default")] == ["app_author"]
    row = coverage_of("app_author")
    assert (row.since_event, row.reason) == (None, Coverage.Reason.MISSING)
    sql(*capture.script("default"))
    assert "app_author" not in covered_since("default")
    handed_out = events_so_far()
    assert capture.note_gaps("default") == []
    row = coverage_of("app_author")
    assert (row.since_event, row.reason) == (handed_out, Coverage.Reason.MISSING)


@pytest.mark.postgresql
def test_a_noted_disabled_trigger_is_not_covered_until_it_is_seen_enabled():
    disable_triggers("app_author")
    capture.note_gaps("default")
    sql("ALTER TABLE app_author ENABLE TRIGGER USER")
    assert "app_author" not in covered_since("default")
    capture.note_gaps("default")
    assert coverage_of("app_author").reason == Coverage.Reason.DISABLED
    assert "app_author" in covered_since("default")


def put_back(*names, using="default"):
    """By hand, and just as they were, so that nothing is recorded."""
    vendor = get_vendor(using)
    states = [state for state in capture.inspect(using) if state.name in names]
    assert {state.status for state in states} == {Status.OK}
    sql(*(text for s in states for text in vendor.remove_sql(s.name)), using=using)
    sql(*(text for s in states for text in vendor.install_sql(s.capture)), using=using)


def audited():
    return [state.name for state in capture.inspect("default") if state.capture]


@pytest.mark.parametrize("how", ["install", "note_gaps"])
def test_triggers_that_were_put_back_unnoticed_end_coverage(how):
    put_back("app_author")
    assert status_of("app_author") is Status.OK
    assert "app_author" not in covered_since("default")
    assert "app_tag" in covered_since("default")
    handed_out = events_so_far()
    assert getattr(triggers, how)("default") == []
    row = coverage_of("app_author")
    assert (row.since_event, row.reason) == (handed_out, Coverage.Reason.REPLACED)
    assert "app_author" in covered_since("default")
    assert coverage_of("app_tag").reason == Coverage.Reason.INSTALLED


@pytest.mark.proof
def test_all_triggers_at_once_are_not_put_back_unnoticed_either():
    put_back(*audited())
    assert covered_since("default") == {}


def test_no_install_of_another_table_hides_that_triggers_were_put_back():
    put_back("app_author")
    drop_triggers("app_tag")
    capture.install("default", names=["app_tag"])
    assert "app_author" not in covered_since("default")
    capture.install("default")
    assert coverage_of("app_author").reason == Coverage.Reason.REPLACED


def change_the_schema():
    with connection.schema_editor(atomic=False) as editor:
        editor.execute("ALTER TABLE app_tag ADD COLUMN more integer")


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_no_schema_change_hides_that_triggers_were_put_back():
    try:
        put_back("app_author")
        change_the_schema()
        assert "app_author" not in covered_since("default")
        assert "app_tag" in covered_since("default")
        capture.install("default")
        assert coverage_of("app_author").reason == Coverage.Reason.REPLACED
    finally:
        sql("DELETE FROM auditrepr_coverage")
        with connection.schema_editor(atomic=False) as editor:
            editor.execute("ALTER TABLE app_tag DROP COLUMN more")
        capture.install("default")


@pytest.mark.postgresql
def test_triggers_that_were_disabled_and_enabled_again_unnoticed_end_coverage():
    disable_triggers("app_author")
    sql("ALTER TABLE app_author ENABLE TRIGGER USER")
    assert "app_author" not in covered_since("default")


@pytest.mark.postgresql
def test_a_function_that_was_replaced_and_put_back_unnoticed_ends_coverage():
    trigger = "tgrelid = 'app_author'::regclass AND tgname = 'auditrepr_insert_public'"
    function = f"(SELECT tgfoid FROM pg_trigger WHERE {trigger})"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_get_functiondef({function}), {function}::regproc")
        definition, name = cursor.fetchone()
    empty = "RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    sql(f"CREATE OR REPLACE FUNCTION {name}() {empty}", definition.replace("%", "%%"))
    assert "app_author" not in covered_since("default")


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_database_that_was_vacuumed_is_covered_as_before():
    before = covered_since("default")
    sql("CREATE TABLE other (id integer)", "DROP TABLE other", "VACUUM")
    assert covered_since("default") == before


@pytest.mark.sqlite
def test_triggers_put_back_with_all_that_was_there_and_in_its_order_are_not_told_apart():
    """This is what is not promised."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'auditrepr%%'"
            " ORDER BY rowid"
        )
        found = cursor.fetchall()
    before = covered_since("default")
    sql(*(f'DROP TRIGGER "{name}"' for name, _ in found))
    sql(*(text.replace("%", "%%") for _, text in found))
    assert covered_since("default") == before


def test_noting_no_gaps_takes_as_few_queries(django_assert_num_queries):
    with django_assert_num_queries(QUERIES):
        assert capture.note_gaps("default") == []


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_coverage_begins_after_the_last_uncaptured_writer_has_ended():
    """Events handed out while CREATE TRIGGER waits for a writer are not covered."""
    drop_triggers("app_author")
    writer = connection.copy()
    writer.set_autocommit(False)
    with writer.cursor() as cursor:
        cursor.execute("INSERT INTO app_author (name) VALUES ('nobody sees me')")
    done = threading.Event()

    def install():
        try:
            capture.install("default")
        finally:
            connection.close()
            done.set()

    thread = threading.Thread(target=install)
    thread.start()
    assert not done.wait(0.5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('auditrepr_auditlog', 'id'))")
        (handed_out_meanwhile,) = cursor.fetchone()
    writer.commit()
    writer.close()
    thread.join(20)
    assert coverage_of("app_author").since_event == handed_out_meanwhile
