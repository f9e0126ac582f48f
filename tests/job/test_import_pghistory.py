"""Tests the import of what the real django-pghistory has recorded.

``pip install django-pghistory`` makes this test run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from auditrepr.exceptions import SourceUnavailable
from auditrepr.sources import find
from tests.missing import could_not_try
from tests.processes import ROOT


@pytest.mark.sqlite
def test_a_project_without_it_is_told_so() -> None:
    with pytest.raises(SourceUnavailable, match='"pghistory" is not in INSTALLED_APPS'):
        find("pghistory").parts("default")


@pytest.mark.postgresql
def test_its_events_are_those_of_our_own_triggers() -> None:
    run_there("story")


@pytest.mark.postgresql
@pytest.mark.proof
def test_a_year_of_its_events_is_read_as_it_was() -> None:
    """A hundred thousand events of ten models, with nothing but what docs/import.md says."""
    run_there("year")


def run_there(name: str) -> None:
    """Run the tests of a module in a process of its own.

    Its settings name applications that other tests do not have.
    """
    if not find_spec("pghistory"):
        could_not_try("django-pghistory as a source", "django-pghistory is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "TEST_RUN"}
    if server := environment.get("TEST_POSTGRES_URL"):
        # Databases of its own on the same server: these tests still use theirs.
        environment["TEST_POSTGRES_URL"] = server.replace("/auditrepr", "/importing", 1)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore",
         f"tests/importing/{name}.py"],
        env=environment | {"DJANGO_SETTINGS_MODULE": "tests.importing.settings",
                           "PYTHONPATH": str(ROOT)},
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
