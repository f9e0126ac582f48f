"""Tests the commands that build an image of the project, where no database can be reached."""

from __future__ import annotations

import pytest

from tests.project import Project

pytestmark = [pytest.mark.proof, pytest.mark.sqlite]  # each test names its own database

NOWHERE = ["postgres://nobody@127.0.0.1:1/none", "sqlite:////nonexistent/db.sqlite3"]


@pytest.mark.parametrize("url", NOWHERE)
def test_check_finds_nothing(tmp_path, url):
    done = Project(tmp_path).manage("check", DATABASE_URL=url, DEBUG="on")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("System check identified no issues")


@pytest.mark.parametrize("url", NOWHERE)
def test_no_migration_is_missing(tmp_path, url):
    project = Project(tmp_path, warnings="ignore")  # Django warns that it cannot read the applied
    done = project.manage("makemigrations", "--check", "--dry-run", DATABASE_URL=url, DEBUG="on")
    assert (done.returncode, done.stdout, done.stderr) == (0, "No changes detected\n", "")


@pytest.mark.parametrize("url", NOWHERE)
def test_static_files_are_collected(tmp_path, url):
    done = Project(tmp_path).manage("collectstatic", "-n", "-v0", DATABASE_URL=url, DEBUG="on")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_check_creates_no_database(tmp_path):
    file = tmp_path / "db.sqlite3"
    done = Project(tmp_path).manage("check", DATABASE_URL=f"sqlite:///{file}", DEBUG="on")
    assert (done.returncode, done.stderr) == (0, "")
    assert not file.exists()
