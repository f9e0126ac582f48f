"""Tests that the test suites of applications with auditrepr run as before."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.core.management.color import no_style
from django.db import connection

from auditrepr.models import AuditLog
from tests.app.models import Tag
from tests.processes import ROOT


@pytest.fixture
def database(tmp_path):
    """The name of the suite's own test database."""
    name = "suite" if connection.vendor == "postgresql" else str(tmp_path / "suite.sqlite3")
    yield name
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for suffix in ("", "_1", "_2"):
                cursor.execute(f'DROP DATABASE IF EXISTS "{name}{suffix}"')


def run(database, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", *arguments],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.suite.settings", "PYTHONPATH": str(ROOT),
                          "SUITE_DATABASE": database},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("options", [(), ("--parallel", "2"), ("--reverse", "--keepdb")])
def test_every_test_of_a_suite_begins_with_an_empty_log(database, options):
    said = run(database, "django", "test", "tests.suite.tests", "--noinput", *options)
    assert "Ran 10 tests" in said


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_a_suite_runs_again_on_the_database_that_it_kept(database):
    pytest_django = ("pytest", "-q", "--noconftest", "tests/suite/tests.py", "--reuse-db")
    for _ in range(2):
        assert "10 passed" in run(database, *pytest_django)
    assert "10 passed" in run(database, *pytest_django, "--create-db")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("tables", [["auditrepr_auditlog", "app_tag"], ["app_tag"]])
def test_a_flush_writes_into_the_log_unless_it_empties_it_too(tables):
    Tag.objects.create(label="old")
    cascade = connection.vendor == "postgresql"  # where Tag's references are in the way
    flush = connection.ops.sql_flush(no_style(), tables, allow_cascade=cascade)
    connection.ops.execute_sql_flush(flush)
    assert Tag.objects.count() == 0
    assert AuditLog.objects.exists() == (tables == ["app_tag"])
