"""Tests that stopped recording is reported wherever users look, but not too often."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone

from auditrepr import capture, checks
from auditrepr.capture import append_only
from auditrepr.exceptions import MigrationsPending
from auditrepr.job.monitoring import findings
from auditrepr.models import AuditLog, Coverage, KnownFinding
from auditrepr.vendors import get_vendor
from tests import processes
from tests.app.models import Author
from tests.capturing import drop_triggers, sql
from tests.knowing import earlier
from tests.pages import LOG, RUNS, event, fail, page, reader, words
from tests.partitioning import partition_small
from tests.sizes import PARTITIONED
from tests.unmigrated import migrated, own_migrations, pend
from tests.unreachable import unreachable

__all__ = ["reader"]
pytestmark = pytest.mark.django_db

INSTALL = "Run: manage.py audit_triggers install --database default"
MIGRATE = "Run: manage.py migrate --database default"


@pytest.fixture(autouse=True)
def _no_gap(request):
    """What other tests have left there."""
    if "transaction" not in (request.node.get_closest_marker("django_db").kwargs or {}):
        request.getfixturevalue("db")
        Coverage.objects.update(reason=Coverage.Reason.INSTALLED)


def kinds() -> list[tuple[str, str]]:
    return [(found.kind, found.name) for found in findings.of("default")]


def job(**options: object) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("backfill_reprs", stdout=out, stderr=err, verbosity=0, **options)
    return out.getvalue(), err.getvalue()


# --- what is found -----------------------------------------------------------------------------


def test_a_database_that_records_all_it_should_has_none():
    assert findings.of("default") == []


def test_a_table_without_triggers_is_named_with_what_to_run():
    drop_triggers()
    (found,) = findings.of("default")
    assert str(found) == (
        f'Database "default": app_author: triggers are missing: changes are not recorded. {INSTALL}'
    )


def test_a_model_that_was_added_to_the_settings_is_named(settings):
    settings.AUDITREPR = {"MODELS": ["auth.Group"]}
    assert ("missing", "auth_group") in kinds()


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["insert", "update", "delete", "truncate"])
def test_one_trigger_of_a_table_that_is_gone_is_missing_and_not_disabled(kind):
    sql(f"DROP TRIGGER auditrepr_{kind}_public ON app_author")
    assert kinds() == [("missing", "app_author")]
    capture.install("default")
    assert kinds() == []


@pytest.mark.sqlite
@pytest.mark.parametrize("kind", ["insert", "update", "delete"])
def test_one_of_the_three_triggers_that_is_gone_is_missing(kind):
    sql(f"DROP TRIGGER auditrepr_{kind}_app_author")
    assert kinds() == [("missing", "app_author")]
    capture.install("default")
    assert kinds() == []


@pytest.mark.postgresql
def test_a_disabled_trigger_is_found():
    sql("ALTER TABLE app_author DISABLE TRIGGER auditrepr_insert_public")
    assert kinds() == [("disabled", "app_author")]


def test_outdated_and_left_over_triggers_are_found(settings):
    settings.AUDITREPR = {"EXCLUDE": {"app.Author": ["name"]}}
    assert kinds() == [("outdated", "app_author")]
    settings.AUDITREPR = {"MODELS": ["-app.Author"]}
    assert kinds() == [("left over", "app_author")]


def test_a_log_that_should_be_append_only_and_is_not_is_found(settings):
    settings.AUDITREPR = {"APPEND_ONLY": True}
    assert kinds() == [("not append-only", "auditrepr_auditlog")]
    append_only.install("default")
    assert kinds() == []


def test_a_view_is_found_with_the_way_to_quiet_it(settings):
    sql("CREATE VIEW app_author_view AS SELECT id, name FROM app_author")
    settings.AUDITREPR = {"MODELS": ["app.AuthorView"]}
    (found,) = findings.of("default")
    assert '"-app.AuthorView" in AUDITREPR["MODELS"]' in found.remedy
    settings.AUDITREPR = {"MODELS": ["app.AuthorView", "-app.AuthorView"]}
    assert findings.of("default") == []


@pytest.mark.sqlite
def test_a_virtual_table_is_found_with_the_way_to_quiet_it(settings):
    sql("CREATE VIRTUAL TABLE app_author_view USING fts5(name)")
    settings.AUDITREPR = {"MODELS": ["app.AuthorView"]}
    assert kinds() == [("unsupported", "app_author_view")]


def test_while_migrations_are_pending_the_hint_is_migrate():
    drop_triggers()
    pend()
    assert [found.remedy for found in findings.of("default")] == [MIGRATE]


def test_a_database_where_nothing_was_ever_migrated_can_be_asked():
    drop_triggers()
    sql("DROP TABLE django_migrations")
    assert [found.remedy for found in findings.of("default")] == [MIGRATE]


def test_one_query_finds_out_however_many_tables_there_are():
    with CaptureQueriesContext(connection) as captured:
        findings.of("default")
    asked = [q["sql"] for q in captured if q["sql"].lstrip().startswith("SELECT")]
    assert len(asked) == 1


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_query_that_takes_too_long_is_given_up():
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(OperationalError, match="statement timeout"):
            findings.of("default")
        assert findings.at_hand("default") == []
    finally:
        other.close()
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


# --- where it is told ---------------------------------------------------------------------------


def test_the_job_says_it_on_standard_error_at_any_verbosity_and_once():
    assert job() == ("", "")
    drop_triggers()
    out, err = job()
    assert out == ""
    assert "app_author" in err
    assert INSTALL in err
    assert job() == ("", "")
    capture.install("default")
    assert job() == ("", "")


def test_a_run_that_finds_the_lock_held_says_it_too():
    from auditrepr.job.locks.lease import DatabaseLock

    drop_triggers()
    with DatabaseLock("default"):
        assert "app_author" in job()[1]


@pytest.mark.proof
def test_many_tables_are_told_in_few_lines():
    for name in list(get_vendor("default").installed()):
        drop_triggers(name)
    lines = job()[1].splitlines()
    assert len(lines) == 21
    assert "more like these" in lines[-1]


def test_the_job_says_nothing_of_pending_migrations_for_ten_minutes():
    pend()
    assert job() == ("", "")
    earlier(timedelta(minutes=9))
    assert job() == ("", "")
    earlier(timedelta(minutes=1))
    out, err = job()
    assert out == ""
    assert "unapplied migrations of auditrepr. Until" in err
    assert MIGRATE in err
    assert job() == ("", "")


def test_migrations_that_were_applied_in_time_are_never_told():
    pend()
    job()
    migrated()
    assert job() == ("", "")
    pend()
    assert job() == ("", "")


def test_a_run_that_waits_for_migrate_stores_nothing_and_says_why_to_who_asks():
    Author.objects.create(name="a")
    pend()
    out = StringIO()
    call_command("backfill_reprs", stdout=out, verbosity=2)
    assert "Stopped: migrations" in out.getvalue()


def test_a_database_without_a_table_to_keep_it_in_is_an_error():
    capture.remove("default")
    pend()
    sql("ALTER TABLE auditrepr_knownfinding RENAME TO elsewhere")
    with pytest.raises(CommandError, match=r"unapplied migrations of auditrepr\."):
        job()


def test_check_asks_every_database_that_holds_a_log():
    drop_triggers()
    (message,) = checks.check_recording()
    assert message.id == "auditrepr.W001"
    assert "app_author (missing)" in message.msg
    assert message.hint == INSTALL


@pytest.mark.parametrize("named", [["--database", "default"], ["--database=default"]], ids=str)
def test_a_database_that_is_named_is_not_asked_twice(monkeypatch, named):
    drop_triggers()
    monkeypatch.setattr("sys.argv", ["manage.py", "check", *named])
    assert checks.check_recording() == []


def test_migrate_is_not_told_what_it_is_about_to_do(monkeypatch):
    drop_triggers()
    monkeypatch.setattr("sys.argv", ["manage.py", "migrate", "app"])
    assert checks.check_recording() == []


@pytest.mark.proof
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_manage_check_says_it_without_a_database_being_named():
    assert "no issues" in processes.run("check").stdout
    drop_triggers()
    try:
        done = processes.run("check")
    finally:
        capture.install("default")
    assert done.returncode == 0
    assert "app_author (missing)" in done.stderr
    assert INSTALL in done.stderr


def test_where_no_database_can_be_reached_check_says_nothing(tmp_path):
    drop_triggers()
    file = tmp_path / "db.sqlite3"
    where = {"NAME": str(file)} if connection.vendor == "sqlite" else {}
    with unreachable("default", **where):
        assert findings.at_hand("default") == []
    assert not file.exists()


def alarms(*arguments: str) -> str:
    """Why the status fails; empty if it does not."""
    try:
        call_command("backfill_status", *arguments, stdout=StringIO())
    except CommandError as error:
        return str(error) if error.returncode == 1 else f"exit code {error.returncode}"
    return ""


def test_status_fails_while_triggers_are_broken():
    assert alarms() == ""
    drop_triggers()
    assert "app_author: triggers are missing" in alarms()
    assert "no gaps" not in shown()


def shown() -> str:
    out = StringIO()
    with suppress(CommandError):
        call_command("backfill_status", stdout=out)
    return out.getvalue()


@pytest.mark.proof
def test_status_fails_for_an_hour_after_coverage_was_lost():
    drop_triggers()
    capture.install("default")
    assert "app_author: the log has a gap (triggers were missing)" in alarms()
    Coverage.objects.update(recorded_at=timezone.now() - timedelta(minutes=61))
    assert alarms() == ""
    assert "app_author" in alarms("--window", "2h")
    assert "no gaps" not in shown()


def test_status_fails_for_an_hour_after_events_failed():
    failure = fail(event(1))
    assert "1 event failed within 1 h" in alarms()
    failure.last_failed_at = timezone.now() - timedelta(minutes=61)
    failure.save()
    assert alarms() == ""
    assert "failed" in alarms("--window=2h")


def test_status_fails_once_migrations_are_pending_for_longer_than_a_deployment():
    pend()
    job()
    assert alarms() == ""
    earlier(timedelta(minutes=11))
    assert MIGRATE in alarms()


def test_status_counts_pending_migrations_from_the_first_moment_on():
    assert "migrations" not in shown()
    pend()
    count = len(own_migrations())
    assert f"migrations  {count} pending, of auditrepr\n" in shown()
    out = StringIO()
    call_command("backfill_status", "--format=prometheus", stdout=out)
    assert f'auditrepr_migrations_pending{{database="default"}} {count}\n' in out.getvalue()
    assert 'auditrepr_up{database="default"} 1\n' in out.getvalue()


def test_status_keeps_nothing():
    drop_triggers()
    before = list(Coverage.objects.values().order_by("pk"))
    alarms()
    assert list(Coverage.objects.values().order_by("pk")) == before
    assert not KnownFinding.objects.exists()


def test_status_says_no_gap_where_there_is_none():
    Coverage.objects.update(reason=Coverage.Reason.INSTALLED)
    assert "no gaps" in shown()


def test_a_window_that_is_none_is_a_usage_error():
    with pytest.raises(CommandError, match="window") as raised:
        call_command("backfill_status", window="soon")
    assert raised.value.returncode == 2


def test_prometheus_counts_what_keeps_the_log_from_being_complete():
    drop_triggers()
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("backfill_status", "--format=prometheus", stdout=out)
    assert 'auditrepr_findings{database="default"} 1\n' in out.getvalue()
    assert 'auditrepr_triggers_broken{database="default"} 1\n' in out.getvalue()
    assert 'auditrepr_migrations_pending{database="default"} 0\n' in out.getvalue()


@pytest.mark.parametrize("address", [LOG, RUNS])
def test_the_pages_of_the_log_and_of_the_job_begin_with_it(reader, address):
    assert "not recorded" not in words(page(reader, address))
    drop_triggers()
    text = words(page(reader, address))
    assert "app_author: triggers are missing" in text
    assert INSTALL in text


def test_the_pages_name_migrations_that_have_been_pending_for_too_long(reader):
    pend()
    job()
    assert "Migrations" not in words(page(reader, LOG))
    earlier(timedelta(minutes=11))
    assert MIGRATE in words(page(reader, LOG))


@pytest.mark.parametrize(
    "address",
    [RUNS, f"{LOG}1/change/", f"{LOG}object/?table_name=app_author&object_id=1"],
    ids=["job", "event", "history"],
)
def test_a_known_gap_stands_on_the_pages(reader, address):
    Coverage.objects.update(reason=Coverage.Reason.INSTALLED)
    event(1, text="Ada")
    assert "gap" not in words(page(reader, address))
    drop_triggers()
    assert "Author: the log has a gap that is still open (triggers were missing)" in words(
        page(reader, address)
    )
    capture.install("default")
    assert "Author: the log has a gap before event" in words(page(reader, address))


def test_a_pending_migration_is_told_with_what_to_run():
    error = MigrationsPending(alias="default", apps="app, auth")
    assert str(findings.of_migrations(error)) == (
        'Database "default" has unapplied migrations of app, auth. Until they are applied, no'
        f" representation is stored. {MIGRATE}"
    )


@pytest.mark.parametrize("address", [LOG, RUNS])
def test_pages_say_it_in_the_readers_language_and_the_job_in_english(reader, address):
    drop_triggers()
    with override_settings(LANGUAGE_CODE="de"):
        text = words(page(reader, address))
        said = job()[1]
    assert "app_author: Trigger fehlen: Änderungen werden nicht aufgezeichnet." in text
    assert "Führen Sie aus: manage.py audit_triggers install --database default" in text
    assert "triggers are missing" in said


def swallow() -> str:
    """Let the log lose all events; the statement that ends it."""
    if connection.vendor == "sqlite":
        sql(
            "CREATE TRIGGER quiet BEFORE INSERT ON auditrepr_auditlog"
            " BEGIN SELECT RAISE(IGNORE); END"
        )
        return 'DROP TRIGGER "quiet"'
    # No rule: a connection that has written keeps losing events after it was dropped.
    sql(
        "CREATE FUNCTION nil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER quiet BEFORE INSERT ON auditrepr_auditlog"
        " FOR EACH ROW EXECUTE FUNCTION nil()",
    )
    return "DROP TRIGGER quiet ON auditrepr_auditlog"


def test_what_swallows_events_on_the_log_itself_is_reported_everywhere(reader):
    remedy = swallow()
    Author.objects.create(name="Ann")
    assert not AuditLog.objects.exists()
    with pytest.raises(CommandError) as refused:
        call_command("audit_triggers", "check")
    assert "default: auditrepr_auditlog: may lose events because of" in str(refused.value)
    assert str(refused.value).endswith(f"default: As the owner of the log, run: {remedy}")
    (message,) = checks.check_databases(["default"])
    assert (message.id, message.hint) == ("auditrepr.W010", f"As its owner, run there: {remedy}")
    assert "the audit log may lose events because of" in message.msg
    assert remedy in "".join(job())
    with pytest.raises(CommandError, match=re.escape(remedy)) as refused:
        call_command("backfill_status", stdout=StringIO())
    assert "app_author: the log has a gap (triggers were disabled)." in str(refused.value)
    assert remedy in words(page(reader, LOG))
    sql(remedy)
    assert checks.check_databases(["default"]) == []


def test_coverage_ends_while_the_log_loses_events_and_starts_again_afterwards():
    capture.install("default")
    before = Coverage.objects.get(table_name="app_author").since_event
    assert before is not None
    remedy = swallow()
    assert "app_author" not in capture.covered("default")
    capture.note_gaps("default")
    capture.install("default")
    row = Coverage.objects.get(table_name="app_author")
    assert (row.since_event, row.reason) == (None, Coverage.Reason.DISABLED)
    sql(remedy)
    capture.note_gaps("default")
    assert Coverage.objects.get(table_name="app_author").since_event is not None
    assert "app_author" in capture.covered("default")


@pytest.mark.proof
@pytest.mark.postgresql
@pytest.mark.skipif(PARTITIONED, reason="the log is partitioned already")
@pytest.mark.django_db(transaction=True)
def test_so_is_what_is_on_a_partition_of_the_log_and_an_unlogged_one():
    partition_small()
    part = "auditrepr_auditlog_rest"
    sql(
        "CREATE FUNCTION nil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        f"CREATE TRIGGER quiet BEFORE INSERT ON {part} FOR EACH ROW EXECUTE FUNCTION nil()",
        f"ALTER TABLE {part} SET UNLOGGED",
    )
    try:
        found = [(one.name, one.remedy) for one in findings.of("default")]
        assert found == [
            (f"trigger quiet on {part}",
             f"As its owner, run there: DROP TRIGGER quiet ON {part}"),
            (f"unlogged table {part}",
             f"As its owner, run there: ALTER TABLE {part} SET LOGGED"),
        ]  # fmt: skip
    finally:
        sql("DROP FUNCTION nil() CASCADE", f"ALTER TABLE {part} SET LOGGED")
    assert findings.of("default") == []
