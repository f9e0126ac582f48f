"""Tests the import of what the real django-simple-history and django-auditlog have recorded.

``pip install django-simple-history django-auditlog`` makes these tests run.
"""

from __future__ import annotations

import pytest

from auditrepr.exceptions import SourceUnavailable
from auditrepr.sources import find
from tests.importing.running import tell

PACKAGES = [
    ("historical", "simple_history", "django-simple-history"),
    ("logged", "auditlog", "django-auditlog"),
]
STORIES = [
    (app, story, module, package)
    for app, module, package in PACKAGES
    for story in ("story", {"historical": "parents", "logged": "forms"}[app])
]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("simple_history", "no model has a history of django-simple-history"),
        ("auditlog", '"auditlog" is not in INSTALLED_APPS'),
    ],
)
def test_a_project_without_it_is_told_so(source: str, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        find(source).parts("default")


@pytest.mark.proof
@pytest.mark.each_database
@pytest.mark.parametrize(("app", "story", "module", "package"), STORIES)
def test_its_events_are_those_of_our_own_triggers(
    app: str, story: str, module: str, package: str
) -> None:
    settings = f"tests.importing.{app}.settings"
    tell(f"tests/importing/{app}/{story}.py", settings, module=module, package=package)


@pytest.mark.sized
@pytest.mark.each_database
@pytest.mark.parametrize(("app", "module", "package"), PACKAGES)
def test_nothing_exact_differs_from_what_was_said(app: str, module: str, package: str) -> None:
    """In random histories of what applications do."""
    settings = f"tests.importing.{app}.settings"
    tell(f"tests/importing/{app}/truth.py", settings, module=module, package=package)
