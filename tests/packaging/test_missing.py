"""Tests that a run reports what it could not try, or fails where nothing may be missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT

TEST = """
from tests.missing import could_not_try

def test_hstore():
    could_not_try("hstore", "this PostgreSQL lacks it")
"""

pytestmark = [pytest.mark.proof, pytest.mark.sqlite]


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TEST)
    plugin = ["-p", "tests.conftest", "--ds=tests.settings", f"--rootdir={folder}"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, folder / "test_it.py"],
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_a_skip_for_want_of_something_is_named_at_the_end_and_in_the_file(tmp_path):
    file = tmp_path / "not-tried"
    done = run(tmp_path, TEST_NOT_TRIED=str(file))
    line = "SQLite: hstore: this PostgreSQL lacks it\n"
    assert done.returncode == 0, done.stdout
    assert line in done.stdout.partition("= not tried =")[2]
    assert file.read_text().startswith(line)
    assert "any other pair than Python" in file.read_text()


def test_where_nothing_may_be_missing_the_same_test_fails(tmp_path):
    done = run(tmp_path, TEST_NOTHING_MISSING="1")
    assert done.returncode == 1
    assert "could not try hstore: this PostgreSQL lacks it" in done.stdout
    assert "1 failed" in done.stdout
