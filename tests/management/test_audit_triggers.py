import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from auditrepr import capture
from auditrepr.capture.state import Status
from auditrepr.management.commands.audit_triggers import Command
from auditrepr.models import AuditLog, Coverage
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.capturing import drop_triggers, sql, status_of
from tests.unreachable import unreachable

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def run(*arguments, **options):
    out = io.StringIO()
    call_command("audit_triggers", *arguments, stdout=out, **options)
    return out.getvalue()


def drop_log(using):
    capture.remove(using)
    sql(f"DROP TABLE {AuditLog._meta.db_table}", using=using)


def test_check_accepts_triggers_that_are_ok():
    assert run("check") == ("default: all triggers are OK.\nother: all triggers are OK.\n")


def test_check_names_every_table_in_every_database_and_what_to_run():
    drop_triggers("app_author")
    drop_triggers("app_tag", using="other")
    with pytest.raises(CommandError) as raised:
        run("check")
    assert str(raised.value).splitlines() == [
        "default: app_author: triggers missing",
        "Run: manage.py audit_triggers install --database default",
        "other: app_tag: triggers missing",
        "Run: manage.py audit_triggers install --database other",
    ]
    assert raised.value.returncode == 1


@pytest.mark.postgresql
def test_check_names_a_disabled_trigger():
    sql("ALTER TABLE app_author DISABLE TRIGGER USER")
    with pytest.raises(CommandError, match="default: app_author: triggers disabled"):
        run("check")


def test_check_names_an_outdated_trigger(settings):
    settings.AUDITREPR = {"EXCLUDE": {"app.Author": ["name"]}}
    with pytest.raises(CommandError, match="default: app_author: triggers outdated"):
        run("check", database="default")


def test_check_writes_down_the_gap_that_it_found():
    drop_triggers("app_author")
    with pytest.raises(CommandError):
        run("check")
    row = Coverage.objects.get(table_name="app_author")
    assert (row.since_event, row.reason) == (None, Coverage.Reason.MISSING)


def test_check_looks_only_at_the_database_it_is_told():
    drop_triggers("app_author", using="other")
    assert run("check", database="default") == "default: all triggers are OK.\n"


def test_check_at_verbosity_2_lists_every_table():
    assert "default: app_author: ok\n" in run("check", verbosity=2)


@pytest.mark.parametrize("action", ["check", "install", "remove"])
def test_verbosity_0_prints_nothing(action):
    assert run(action, verbosity=0) == ""


def test_install_fixes_triggers_and_lists_them():
    drop_triggers("app_author")
    assert run("install", database="default") == (
        "default: app_author: triggers fixed (were missing)\n"
    )
    assert status_of("app_author") is Status.OK
    assert Coverage.objects.get(table_name="app_author").reason == Coverage.Reason.MISSING


def test_install_with_nothing_to_fix_says_so():
    assert run("install", database="default") == "default: all triggers are OK.\n"


def test_remove_asks_nothing_and_says_what_it_did():
    printed = run("remove", database="default")
    assert printed.startswith("default: removed the triggers of ")
    assert "app_author" in printed
    assert get_vendor("default").installed() == {}
    assert get_vendor("other").installed() != {}
    assert run("remove", database="default") == "default: removed the triggers of 0 tables\n"


@pytest.mark.proof
def test_remove_works_when_the_settings_are_broken(settings):
    settings.AUDITREPR = {"MODELS": ["app.Nobody"]}
    run("remove")
    assert get_vendor("default").installed() == {}


def test_remove_works_in_a_database_whose_log_is_gone():
    drop_log("other")
    assert run("remove", database="other") == "other: removed the triggers of 0 tables\n"


def test_no_system_check_keeps_anyone_from_removing():
    assert Command.requires_system_checks == []


@pytest.mark.proof
def test_sql_prints_what_installs_the_triggers():
    printed = run("sql", database="default")
    capture.remove("default")
    assert printed.count("CREATE") >= 4
    sql(*capture.script("default"))
    assert status_of("app_author") is Status.OK
    Author.objects.create(name="Ada")
    assert AuditLog.objects.count() == 1


def test_broken_settings_are_one_clear_line(settings):
    settings.AUDITREPR = {"MODELS": ["app.Nobody"]}
    with pytest.raises(CommandError, match="Nobody") as raised:
        run("check")
    assert "\n" not in str(raised.value)


def test_a_database_without_the_log_is_passed_over_unless_it_is_named():
    drop_log("other")
    assert run("check") == "default: all triggers are OK.\n"
    with pytest.raises(CommandError, match=r"Run: manage\.py migrate --database other"):
        run("check", database="other")


@pytest.mark.proof
def test_without_any_log_it_says_what_to_run():
    drop_log("default")
    drop_log("other")
    with pytest.raises(CommandError, match=r"Run: manage\.py migrate --database default"):
        run("check")


def test_an_unknown_database_is_a_usage_error():
    with pytest.raises(CommandError, match="nowhere"):
        run("check", "--database", "nowhere")


def test_what_the_database_refuses_is_one_clear_line():
    sql("DROP TABLE auditrepr_coverage")
    with pytest.raises(CommandError, match="auditrepr_coverage") as raised:
        run("check", database="default")
    assert "\n" not in str(raised.value)


def test_an_unreachable_database_is_one_clear_line(db):
    with (
        unreachable("other"),
        pytest.raises(CommandError, match='Could not connect to database "other"') as raised,
    ):
        run("check", database="other")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("action", ["check", "install", "remove"])
def test_an_unreachable_database_keeps_no_other_from_its_turn(action, db, capsys):
    error = pytest.raises(CommandError, match='Could not connect to database "other"')
    with unreachable("other"), error:
        call_command("audit_triggers", action)
    assert capsys.readouterr().out.startswith("default: ")


def test_a_second_alias_of_a_database_is_not_checked_again():
    there = connections["other"]
    connections["other"] = connections["default"].copy(alias="other")
    try:
        assert run("check") == "default: all triggers are OK.\n"
    finally:
        connections["other"].close()
        connections["other"] = there
