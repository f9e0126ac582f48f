"""Tests the project's settings in processes that have only the given variables."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from auditrepr.conf import Settings, get_settings
from auditrepr.exceptions import InvalidSetting
from tests.project import ROOT, Project

SHOW = """
import json
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in dir(settings) if name.isupper()},
                 default=str))
"""

pytestmark = pytest.mark.sqlite  # whose file is the project's default


class SettingsProject(Project):
    def settings(self, **environment: str) -> dict:
        done = self.manage("shell", "-v0", "-c", SHOW, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def error(self, **environment: str) -> str:
        done = self.manage("check", **environment)
        assert done.returncode != 0, done.stdout
        (line,) = done.stderr.splitlines()
        return line


@pytest.fixture
def project(tmp_path: Path) -> SettingsProject:
    return SettingsProject(tmp_path)


@pytest.mark.proof
def test_without_debug_a_missing_secret_key_is_an_error_that_says_what_to_set(project):
    for environment in ({}, {"SECRET_KEY": ""}, {"DEBUG": "off"}):
        assert "ImproperlyConfigured: Set SECRET_KEY" in project.error(**environment)


@pytest.mark.proof
def test_debug_alone_is_enough_to_try_the_project_and_makes_the_data_folder(project):
    done = project.manage("migrate", "-v0", DEBUG="on")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (project.folder / "data" / "auditrepr.sqlite3").stat().st_size > 0


@pytest.mark.proof
def test_the_example_copied_to_env_is_enough_too(project):
    shutil.copy(ROOT / ".env.example", project.folder / ".env")
    assert project.settings()["DEBUG"] is True


@pytest.mark.proof
def test_in_production_nothing_is_left_for_djangos_deployment_checks(project):
    done = project.manage(
        "check", "--deploy", "--fail-level", "WARNING", SECRET_KEY="f2Zk9_" * 10,
        ALLOWED_HOSTS="audit.example.org",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.proof
def test_https_is_enforced_in_production_and_can_be_left_to_others(project):
    names = "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"
    for environment, expected in (
        ({"SECRET_KEY": "x"}, True),
        ({"SECRET_KEY": "x", "HTTPS": ""}, True),
        ({"SECRET_KEY": "x", "HTTPS": "off"}, False),
        ({"DEBUG": "on"}, False),
    ):
        settings = project.settings(**environment)
        assert [settings[name] for name in names] == [expected] * 3, environment


@pytest.mark.proof
def test_every_variable_reaches_its_setting(project):
    settings = project.settings(
        SECRET_KEY="$x#y",
        ALLOWED_HOSTS="a.example,b.example",
        CSRF_TRUSTED_ORIGINS="https://a.example",
        PROXY_SSL_HEADER="HTTP_X_FORWARDED_PROTO",
        TIME_ZONE="Europe/Berlin",
        LANGUAGE_CODE="de",
        STATIC_ROOT="/srv/static",
        LOG_LEVEL="info",
    )
    assert settings["SECRET_KEY"] == "$x#y"
    assert settings["ALLOWED_HOSTS"] == ["a.example", "b.example"]
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://a.example"]
    assert settings["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert (settings["TIME_ZONE"], settings["LANGUAGE_CODE"]) == ("Europe/Berlin", "de")
    assert settings["STATIC_ROOT"] == "/srv/static"
    assert settings["LOGGING"]["root"]["level"] == "INFO"


@pytest.mark.proof
def test_the_environment_wins_over_the_env_file(project):
    (project.folder / ".env").write_text("DEBUG=on\nTIME_ZONE=Asia/Tokyo\nLANGUAGE_CODE=ja\n")
    settings = project.settings(TIME_ZONE="Europe/Berlin")
    assert (settings["TIME_ZONE"], settings["LANGUAGE_CODE"]) == ("Europe/Berlin", "ja")


@pytest.mark.proof
def test_each_of_auditreprs_settings_can_come_from_the_environment(project):
    given = {
        "AUDITREPR_MODELS": "auth.Group,sessions.Session",
        "AUDITREPR_EXCLUDE": '{"auth.User": ["password"]}',
        "AUDITREPR_APPEND_ONLY": "on",
        "AUDITREPR_SEARCH": "on",
        "AUDITREPR_SEAL": "on",
        "AUDITREPR_MODEL_PERMISSIONS": "off",
        "AUDITREPR_HISTORY_BUTTON": "off",
        "AUDITREPR_CONTEXT": "user,command",
        "AUDITREPR_BATCH_SIZE": "10",
        "AUDITREPR_LEASE_SECONDS": "20",
        "AUDITREPR_LOCK_FILE": "/var/lib/auditrepr/lock",
        "AUDITREPR_MAX_LENGTH": "30",
        "AUDITREPR_RUNS_KEPT": "40",
        "AUDITREPR_LANGUAGE": "de",
        "AUDITREPR_TIME_ZONE": "Europe/Berlin",
        "AUDITREPR_REPR": '{"auth.User": "get_full_name"}',
        "AUDITREPR_RELATED": '{"auth.Group": ["user_set"]}',
        "AUDITREPR_ROW_SECONDS": "2.5",
        "AUDITREPR_RETENTION": '{"auth.Group": "90 days"}',
        "AUDITREPR_SOURCES": '{"ours": "shop.old_log.select"}',
    }
    assert {f"AUDITREPR_{field.name}" for field in fields(Settings)} == set(given)
    settings = project.settings(DEBUG="on", **given)
    assert settings["AUDITREPR"] == {
        "MODELS": ["auth.Group", "sessions.Session"],
        "EXCLUDE": {"auth.User": ["password"]},
        "APPEND_ONLY": True,
        "SEARCH": True,
        "SEAL": True,
        "MODEL_PERMISSIONS": False,
        "HISTORY_BUTTON": False,
        "CONTEXT": ["user", "command"],
        "BATCH_SIZE": 10,
        "LEASE_SECONDS": 20,
        "LOCK_FILE": "/var/lib/auditrepr/lock",
        "MAX_LENGTH": 30,
        "RUNS_KEPT": 40,
        "LANGUAGE": "de",
        "TIME_ZONE": "Europe/Berlin",
        "REPR": {"auth.User": "get_full_name"},
        "RELATED": {"auth.Group": ["user_set"]},
        "ROW_SECONDS": 2.5,
        "RETENTION": {"auth.Group": "90 days"},
        "SOURCES": {"ours": "shop.old_log.select"},
    }
    assert project.settings(DEBUG="on", AUDITREPR_BATCH_SIZE="")["AUDITREPR"] == {}
    auto = project.settings(DEBUG="on", AUDITREPR_BATCH_SIZE="auto")["AUDITREPR"]
    assert auto == {"BATCH_SIZE": "auto"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUDITREPR_BATCH_SIZE", "many"),
        ("AUDITREPR_EXCLUDE", "auth.User"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "postgres://localhost:port/x"),
    ],
)
def test_a_value_that_cannot_be_read_is_an_error_that_names_the_variable(project, name, value):
    error = project.error(DEBUG="on", **{name: value})
    assert error.startswith("ImproperlyConfigured: The environment variable ")
    assert name in error


def test_where_a_bad_value_was_read_is_shown_if_asked(project):
    done = project.manage("check", "--traceback", DEBUG="on", DATABASE_URL="nonsense")
    assert "Traceback" in done.stderr
    assert "DATABASE_URL: it must begin with" in done.stderr.splitlines()[-1]


@pytest.mark.proof
def test_a_database_url_gives_postgresql_as_it_stands(project):
    url = "postgres://me:p%23w@db.example:5433/audit?sslmode=require&conn_max_age=60"
    database = project.settings(DEBUG="on", DATABASE_URL=url)["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["USER"], database["PASSWORD"]) == ("me", "p#w")
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example", 5433, "audit")
    assert database["OPTIONS"] == {"sslmode": "require"}
    assert database["CONN_MAX_AGE"] == 60


@pytest.mark.proof
def test_a_relative_sqlite_file_is_next_to_manage_py_wherever_the_job_starts(project):
    database = project.settings(DEBUG="on", DATABASE_URL="sqlite:///x.sqlite3?timeout=3")
    assert database["DATABASES"]["default"]["NAME"] == str(project.folder / "x.sqlite3")
    assert database["DATABASES"]["default"]["OPTIONS"]["timeout"] == 3


@pytest.mark.proof
def test_sqlite_runs_in_wal_mode_and_takes_its_turn_at_the_begin_of_a_transaction(project):
    """The second writer waits for the first one; without IMMEDIATE it would fail at once."""
    look = """
from django.db import connection, transaction
cursor = connection.cursor()
print([cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "busy_timeout")])
connection.force_debug_cursor = True
with transaction.atomic():
    print(connection.queries[-1]["sql"])
"""
    done = project.manage("shell", "-v0", "-c", look, DEBUG="on")
    assert done.stdout.splitlines() == ["['wal', 20000]", "BEGIN IMMEDIATE"], done.stderr


@pytest.mark.proof
def test_the_root_leads_to_the_admin(project):
    look = "from django.test import Client; print(Client(SERVER_NAME='localhost').get('/').url)"
    assert project.manage("shell", "-v0", "-c", look, DEBUG="on").stdout == "/admin/\n"


@pytest.mark.proof
def test_the_example_explains_every_variable_that_the_settings_read_and_no_other(project):
    look = "from management.settings import env; print(*env.scheme, sep='\\n')"
    read = project.manage("shell", "-v0", "-c", look, DEBUG="on").stdout.split()
    example = (ROOT / ".env.example").read_text()
    assert re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE) == read
    explained = r"(^# .+\n)+(?=#?{}=)"
    unexplained = [n for n in read if not re.search(explained.format(n), example, re.MULTILINE)]
    assert unexplained == []


@pytest.mark.proof
def test_the_examples_defaults_are_those_that_apply(project):
    example = (ROOT / ".env.example").read_text()
    shown = dict(re.findall(r"^#([A-Z_]+)=(.+)$", example, re.MULTILINE))
    (project.folder / ".env").write_text("\n".join(f"{n}={v}" for n, v in shown.items()))
    ours = {f"AUDITREPR_{field.name}": field.default for field in fields(Settings)}
    given = project.settings(SECRET_KEY="x")
    assert given.pop("AUDITREPR") == {
        name.removeprefix("AUDITREPR_"): list(default) if isinstance(default, tuple) else default
        for name, default in ours.items()
        if name in shown
    }
    (project.folder / ".env").unlink()
    plain = project.settings(SECRET_KEY="x")
    assert plain.pop("AUDITREPR") == {}
    assert given == plain


def test_settings_that_are_no_dictionary_are_called_so(settings):
    settings.AUDITREPR = ["BATCH_SIZE"]
    with pytest.raises(
        InvalidSetting, match=r"^AUDITREPR must be a dictionary, not \['BATCH_SIZE'\]"
    ):
        get_settings()


def test_an_unknown_key_is_named_with_those_that_there_are(settings):
    settings.AUDITREPR = {"BATCHSIZE": 3}
    with pytest.raises(
        InvalidSetting, match=r"^Unknown setting AUDITREPR\['BATCHSIZE'\]\. Valid .*BATCH_SIZE"
    ):
        get_settings()
