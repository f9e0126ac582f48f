"""Tests the import of what the real django-pghistory has recorded.

``pip install django-pghistory`` makes this test run.
"""

from __future__ import annotations

import pytest

from auditrepr.exceptions import SourceUnavailable
from auditrepr.sources import find
from tests.importing.running import tell


@pytest.mark.sqlite
def test_a_project_without_it_is_told_so() -> None:
    with pytest.raises(SourceUnavailable, match='"pghistory" is not in INSTALLED_APPS'):
        find("pghistory").parts("default")


@pytest.mark.proof
@pytest.mark.postgresql
def test_its_events_are_those_of_our_own_triggers() -> None:
    run_there("story")


@pytest.mark.proof
@pytest.mark.postgresql
def test_keys_and_actions_of_every_tracker_are_read() -> None:
    run_there("trackers")


@pytest.mark.sized
@pytest.mark.postgresql
def test_nothing_exact_differs_from_what_was_said() -> None:
    """In random histories of what applications do."""
    run_there("truth")


@pytest.mark.postgresql
@pytest.mark.proof
def test_a_year_of_its_events_is_read_as_it_was() -> None:
    """A hundred thousand events of ten models, with nothing but what docs/import.md says."""
    run_there("year")


def run_there(name: str) -> None:
    tell(
        f"tests/importing/{name}.py",
        "tests.importing.settings",
        module="pghistory",
        package="django-pghistory",
    )
