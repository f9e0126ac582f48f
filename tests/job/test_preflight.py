"""Tests what the job checks before it uses a database."""

from __future__ import annotations

import sys
from importlib import import_module
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from auditrepr import as_of, checks
from auditrepr.exceptions import MigrationsPending
from auditrepr.job import preflight
from auditrepr.models import Lease
from tests.app.models import Author
from tests.capturing import rename_table
from tests.unmigrated import pend

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_one_query_finds_out(django_assert_num_queries):
    with django_assert_num_queries(1):
        preflight.check("default")


def test_the_app_of_a_migration_that_is_not_applied_is_named():
    pend()
    with pytest.raises(MigrationsPending, match=r"unapplied migrations of auditrepr\."):
        preflight.check("default")


def test_a_squashed_migration_counts_where_those_it_replaces_are_applied(monkeypatch):
    initial = import_module("auditrepr.migrations.0001_initial").Migration
    monkeypatch.setattr(initial, "replaces", [("auditrepr", "0000_old")], raising=False)
    MigrationRecorder.Migration.objects.filter(app="auditrepr", name="0001_initial").update(
        name="0000_old"
    )
    preflight.check("default")


@pytest.fixture
def _without_record():
    """The tables are there, as in a test suite without migrations, and no record of any."""
    rename_table("django_migrations", "elsewhere")
    yield
    rename_table("elsewhere", "django_migrations")


@pytest.mark.proof
@pytest.mark.parametrize("command", ["backfill_reprs", "rebuild_reprs"])
@pytest.mark.usefixtures("_without_record")
def test_a_suite_without_migrations_is_told_so_and_its_transaction_goes_on(command):
    with pytest.raises(CommandError, match=r"has no record of migrations.*--nomigrations"):
        call_command(command)
    Lease.objects.update_or_create(name="backfill")
    assert Lease.objects.count() == 1


@pytest.fixture
def _without_log():
    call_command("migrate", "auditrepr", "zero", verbosity=0)
    yield
    call_command("migrate", verbosity=0)


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_without_log")
def test_without_the_tables_everything_names_the_migration_that_is_missing():
    missing = r'"default" has unapplied migrations of auditrepr\. Run: manage\.py migrate'
    for command in (
        ["backfill_reprs"],
        ["rebuild_reprs"],
        ["rebuild_reprs", "--resume"],
        ["rebuild_reprs", "--dry-run"],
        ["backfill_status"],
        ["backfill_status", "--release-lock", "--no-input"],
        ["audit_triggers", "check"],
        ["prune_audit_log", "--before=2020-01-01", "--no-input"],
        ["seal_audit_log"],
        ["seal_audit_log", "--export=-", "--no-seal"],
        ["verify_audit_log"],
    ):
        with pytest.raises(CommandError, match=missing):
            call_command(*command)
    with pytest.raises(MigrationsPending, match=missing):
        as_of(Author, timezone.now(), pk=1)
    with pytest.raises(MigrationsPending, match=missing):
        as_of(Author, 1, pk=1)


@pytest.mark.parametrize(
    "command",
    [
        ["backfill_reprs"],
        ["backfill_reprs", "--dry-run"],
        ["rebuild_reprs"],
        ["prune_audit_log", "--before=2020-01-01", "--no-input"],
        ["seal_audit_log"],
        ["backfill_status", "--release-lock", "--no-input"],
        ["audit_triggers", "install", "--database=default"],
        ["audit_triggers", "remove", "--database=default"],
    ],
    ids=" ".join,
)
def test_where_django_commits_nothing_the_commands_say_so_and_do_nothing(command, monkeypatch):
    """Else they would report what they had done, and all of it would be rolled back."""
    Lease.objects.update_or_create(name="backfill", defaults={"token": uuid4()})
    monkeypatch.setitem(connection.settings_dict, "AUTOCOMMIT", False)
    with pytest.raises(CommandError, match=r'DATABASES\["default"\] turns AUTOCOMMIT off'):
        call_command(*command)


@pytest.fixture
def broken(tmp_path, monkeypatch, settings):
    """Return what makes an audited app's only migration one that cannot be loaded."""

    def make(name: str) -> None:
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "__init__.py").touch()
        (tmp_path / "broken" / f"{name}.py").write_text(
            "from django.db import migrations\n"
            "class Migration(migrations.Migration):\n"
            "    dependencies = [('nowhere', '0001')]\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        settings.MIGRATION_MODULES = settings.MIGRATION_MODULES | {"drifting": "broken"}
        settings.AUDITREPR = {"MODELS": ["drifting.*"]}

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == "broken"]:
        del sys.modules[name]


def test_migrations_that_cannot_be_read_are_one_clear_line(broken):
    broken("0002_new")
    with pytest.raises(CommandError, match=r"Could not load the project's migrations.*nowhere"):
        call_command("backfill_reprs")


def test_where_all_are_applied_none_is_loaded(broken):
    broken("0001_initial")
    preflight.check("default")
    assert "broken.0001_initial" not in sys.modules


@pytest.mark.parametrize(
    "command",
    [
        "audit_triggers check",
        "backfill_reprs",
        "backfill_status --format=json",
        "export_audit_log --format=csv",
        "prune_audit_log --before=2020-01-01 --no-input",
        "rebuild_reprs",
        "seal_audit_log",
        "verify_audit_log",
    ],
)
@pytest.mark.django_db(transaction=True)
def test_an_option_that_is_none_is_one_clear_line(monkeypatch, command):
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "no_such_option", 1)
    connection.close()
    with pytest.raises(CommandError, match=r"Could not connect to database.*no_such_option"):
        call_command(*command.split())


@pytest.mark.django_db(transaction=True)
def test_an_option_that_is_none_is_a_warning_of_the_check(monkeypatch):
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "no_such_option", 1)
    connection.close()
    (message,) = checks.check_databases(["default"])
    assert message.id == "auditrepr.W006"
    assert "no_such_option" in message.msg
