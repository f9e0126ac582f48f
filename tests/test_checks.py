import re
import tempfile
from pathlib import Path
from threading import Timer

import pytest
from django.core import checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections
from django.test import override_settings

from auditrepr import AuditContextMiddleware, capture, receivers
from auditrepr.capture import flush
from auditrepr.checks import check_middleware
from auditrepr.exceptions import Misconfigured, UnsupportedDatabase
from auditrepr.models import AuditLog
from auditrepr.vendors import get_vendor
from tests import processes
from tests.capturing import drop_triggers, sql
from tests.unreachable import unreachable
from tests.waiting import LONG

pytestmark = pytest.mark.each_database

STATIC = {
    "auditrepr.E001": {"MODEL": []},
    "auditrepr.E002": {"MODELS": ["app.Nobody"]},
    "auditrepr.E003": {"EXCLUDE": {"app.Author": ["nothing"]}},
    "auditrepr.E004": {"EXCLUDE": {"app.Author": ["id"]}},
    "auditrepr.E005": {"MODELS": ["auditrepr.AuditLog"]},
    "auditrepr.E008": {"REPR": {"app.Author": "nothing"}},
    "auditrepr.E010": {"RELATED": {"app.Author": ["nothing"]}},
    "auditrepr.E011": {"SOURCES": {"ours": "tests.nowhere.select"}},
    "auditrepr.W004": {"LOCK_FILE": "/tmp/auditrepr.lock"},
}


def found(databases=()):
    """What ``manage.py check`` reports; with databases, what they add to it."""
    tags = [checks.Tags.database] if databases else None
    messages = checks.run_checks(tags=tags, databases=databases)
    return {m.id: m for m in messages if m.id.startswith("auditrepr.")}


def kinds_of(error):
    for kind in error.__subclasses__():
        yield kind
        yield from kinds_of(kind)


def test_a_project_in_order_has_nothing_to_report():
    assert found() == {}


@pytest.mark.parametrize(("check_id", "value"), STATIC.items())
def test_a_wrong_setting_has_its_id(settings, check_id, value):
    settings.AUDITREPR = value
    assert list(found()) == [check_id]


def test_every_mistake_of_a_project_has_an_id_and_an_example():
    ids = {kind.check_id for kind in kinds_of(Misconfigured)}
    assert ids == {check_id for check_id in STATIC if check_id[-4] == "E"}


def test_a_migrate_says_what_is_wrong_with_a_relation(settings):
    settings.AUDITREPR = {"RELATED": {"app.Author": ["nothing"]}}
    with pytest.raises(SystemCheckError, match=r"app\.Author has no relation 'nothing'"):
        call_command("migrate", plan=True, skip_checks=False)


OURS = "auditrepr.AuditContextMiddleware"


@pytest.mark.parametrize(
    ("paths", "ids"),
    [
        ([OURS], []),
        (["auditrepr.attribution.AuditContextMiddleware"], []),
        (["tests.nowhere.Middleware", OURS], []),
        (["auditrepr_shop.Middleware"], []),
        ([OURS, OURS], ["auditrepr.W011"]),
        ([OURS, "auditrepr.attribution.AuditContextMiddleware"], ["auditrepr.W011"]),
        (["tests.test_checks.Inheriting", OURS], ["auditrepr.W011"]),
        (["auditrepr.AuditMiddleware"], ["auditrepr.E012"]),
        (["auditrepr.middleware.AuditContextMiddleware"], ["auditrepr.E012"]),
        (["auditrepr.context"], ["auditrepr.E012"]),
        (["auditrepr.Nothing", OURS, OURS], ["auditrepr.E012", "auditrepr.W011"]),
    ],
)
def test_a_middleware_is_there_once_or_not_at_all(settings, paths, ids):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, *paths]
    assert list(found()) == ids


def test_a_middleware_that_cannot_be_imported_is_left_to_django(settings):
    settings.MIDDLEWARE = ["tests.raising.Middleware", OURS, OURS]
    (message,) = check_middleware()
    assert (message.id, "tests.raising" in message.msg) == ("auditrepr.W011", False)


class Inheriting(AuditContextMiddleware):
    """What a project may have made of it."""


@pytest.mark.parametrize(
    "value",
    [
        {"BATCH_SIZE": 0},
        {"BATCH_SIZE": True},
        {"MODELS": "app.Author"},
        {"EXCLUDE": ["app.Author"]},
        {"EXCLUDE": {"app.Author": "name"}},
        {"LOCK_FILE": 5},
        "app.Author",
    ],
)
def test_a_setting_of_the_wrong_kind_is_an_error_that_names_it(settings, value):
    settings.AUDITREPR = value
    messages = found()
    assert list(messages) == ["auditrepr.E001"]
    assert isinstance(messages["auditrepr.E001"], checks.Error)


@pytest.mark.parametrize(
    "folder", ["/tmp", "/var/tmp/deep/down", tempfile.gettempdir(), "/var/../tmp"]
)
def test_a_lock_file_in_a_folder_that_gets_cleaned_is_a_warning(settings, folder):
    settings.AUDITREPR = {"LOCK_FILE": f"{folder}/auditrepr.lock"}
    assert isinstance(found()["auditrepr.W004"], checks.Warning)


def test_a_lock_file_in_a_folder_that_lasts_is_fine(settings):
    settings.AUDITREPR = {"LOCK_FILE": "/var/lib/project/auditrepr.lock"}
    assert found() == {}


@pytest.mark.django_db
def test_a_database_in_order_has_nothing_to_report():
    assert found(["default"]) == {}


@pytest.mark.django_db
def test_broken_triggers_are_a_warning_with_the_command_to_run():
    drop_triggers("app_author")
    message = found(["default"])["auditrepr.W001"]
    assert "app_author (missing)" in message.msg
    assert message.hint == "Run: manage.py audit_triggers install --database default"
    capture.install("default")
    assert found(["default"]) == {}


@pytest.mark.django_db
def test_outdated_triggers_are_a_warning(settings):
    settings.AUDITREPR = {"EXCLUDE": {"app.Author": ["name"]}}
    assert "app_author (outdated)" in found(["default"])["auditrepr.W001"].msg


@pytest.mark.postgresql
@pytest.mark.django_db
def test_disabled_triggers_are_a_warning():
    sql("ALTER TABLE app_author DISABLE TRIGGER USER")
    assert "app_author (disabled)" in found(["default"])["auditrepr.W001"].msg


@pytest.mark.django_db
def test_without_a_database_named_all_that_hold_a_log_are_asked():
    drop_triggers("app_author")
    message = found()["auditrepr.W001"]
    assert "app_author (missing)" in message.msg
    assert message.hint == "Run: manage.py audit_triggers install --database default"


@pytest.mark.django_db
def test_a_view_that_is_to_be_audited_is_a_warning(settings):
    settings.AUDITREPR = {"MODELS": ["app.AuthorView"]}
    assert found(["default"]) == {}
    sql("CREATE VIEW app_author_view AS SELECT id, name FROM app_author")
    message = found(["default"])["auditrepr.W002"]
    assert "app_author_view" in message.msg


@pytest.mark.django_db
def test_audited_tables_in_a_database_without_a_log_are_a_warning():
    capture.remove("default")
    sql(f"DROP TABLE {AuditLog._meta.db_table}")
    message = found(["default"])["auditrepr.W003"]
    assert "app_author" in message.msg
    assert message.hint == "Run: manage.py migrate --database default"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "warns"),
    [
        (["migrate"], False),
        (["migrate", "auditrepr"], False),
        (["migrate", "--database", "default"], False),
        (["migrate", "app"], True),
        (["check", "--database", "default"], True),
        ([], True),
    ],
)
def test_a_migrate_that_is_about_to_make_the_log_is_not_told_that_there_is_none(
    arguments, warns, monkeypatch
):
    capture.remove("default")
    sql(f"DROP TABLE {AuditLog._meta.db_table}")
    monkeypatch.setattr("sys.argv", ["manage.py", *arguments])
    assert ("auditrepr.W003" in found(["default"])) == warns


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_a_time_zone_of_a_database_that_stores_none_is_reported(zone, monkeypatch):
    other = connections["other"]
    monkeypatch.setitem(other.settings_dict, "TIME_ZONE", zone)
    for name in ("timezone", "timezone_name"):
        other.__dict__.pop(name, None)
    try:
        with override_settings(DATABASE_ROUTERS=[]):
            warned = "auditrepr.W012" in found()
    finally:
        for name in ("timezone", "timezone_name"):
            other.__dict__.pop(name, None)
    assert warned == (zone == "Asia/Tokyo" and other.vendor == "sqlite")


class NoLogAnywhere:
    def allow_migrate(self, db, app_label, **hints):
        return False if app_label == "auditrepr" else None


@pytest.mark.django_db
def test_where_a_router_keeps_the_log_out_the_hint_names_the_router(settings):
    settings.DATABASE_ROUTERS = [NoLogAnywhere()]
    capture.remove("default")
    sql(f"DROP TABLE {AuditLog._meta.db_table}")
    assert "router" in found(["default"])["auditrepr.W003"].hint


@pytest.mark.postgresql
@pytest.mark.django_db
def test_a_cached_sequence_is_an_error_until_its_hint_is_followed():
    sql("ALTER TABLE auditrepr_auditlog ALTER COLUMN id SET CACHE 20")
    message = found(["default"])["auditrepr.E007"]
    assert isinstance(message, checks.Error)
    sql(message.hint.partition(": ")[2])
    assert found(["default"]) == {}


class NothingAnywhere:
    def allow_migrate(self, db, app_label, **hints):
        return False


def test_a_database_of_another_kind_is_an_error_unless_a_router_keeps_the_log_out(settings):
    connection = connections["other"]
    connection.vendor = "oracle"
    settings.DATABASE_ROUTERS = []
    try:
        assert isinstance(found(["other"])["auditrepr.E006"], checks.Error)
        settings.DATABASE_ROUTERS = [NoLogAnywhere()]
        assert found(["other"]) == {}
    finally:
        del connection.vendor


def test_the_reference_lists_every_id_and_no_other():
    root = Path(__file__).parent.parent
    pattern = r"auditrepr\.[EW]\d{3}"
    listed = re.findall(pattern, (root / "docs/checks.md").read_text())
    code = "".join(file.read_text() for file in (root / "auditrepr").rglob("*.py"))
    assert sorted(listed) == sorted(set(re.findall(pattern, code)))


@pytest.mark.django_db
def test_settings_that_cannot_be_read_are_one_error_and_not_one_of_each_database(settings):
    settings.AUDITREPR = {"MODELS": ["app.Nothing"]}
    assert found(["default", "other"]) == {}


@pytest.mark.django_db
def test_a_database_without_audited_models_has_nothing_to_check(settings):
    settings.DATABASE_ROUTERS = [NothingAnywhere()]
    assert found(["default"]) == {}


def test_a_database_of_another_kind_is_left_alone_by_migrate_and_flush(settings):
    connection = connections["other"]
    operations = connection.ops
    connection.vendor = "oracle"
    settings.DATABASE_ROUTERS = []
    try:
        with pytest.raises(UnsupportedDatabase, match="oracle"):
            get_vendor("other")
        receivers.after_migrate(using="other")
        flush.connect()
        assert connection.ops is operations
    finally:
        del connection.vendor


@pytest.mark.django_db(databases=["default", "other"])
def test_a_database_that_cannot_be_reached_is_a_warning_and_no_traceback():
    with unreachable("other"):
        message = found(["other"])["auditrepr.W006"]
    assert "Could not connect to database" in message.msg
    assert message.hint == "Fix this, then run: manage.py check --database other"


@pytest.mark.django_db
def test_no_database_is_checked_while_a_test_has_other_apps():
    """As Django's own tests of migrations do."""
    drop_triggers("app_author")
    apps = ["tests.app", "django.contrib.auth", "django.contrib.contenttypes"]
    with override_settings(INSTALLED_APPS=apps, AUDITREPR={"MODELS": ["app.Author"]}):
        assert found(["default"]) == {}


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_runserver_says_what_is_not_recorded():
    drop_triggers("app_author")
    with processes.start("runserver", "--noreload", "127.0.0.1:0") as server:
        in_vain = Timer(LONG, server.kill)
        in_vain.start()
        assert any("app_author (missing)" in line for line in server.stderr)
        in_vain.cancel()
        server.kill()
