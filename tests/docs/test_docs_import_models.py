"""Runs the pages about importing what django-simple-history and django-auditlog have recorded."""

from __future__ import annotations

import pytest

from tests.examples import examples
from tests.importing.running import tell

PAGES = {
    "historical": examples("docs/import-simple-history.md", "console"),
    "logged": examples("docs/import-auditlog.md", "console"),
}
PACKAGES = [
    ("historical", "simple_history", "django-simple-history"),
    ("logged", "auditlog", "django-auditlog"),
]


@pytest.mark.proof
@pytest.mark.each_database
@pytest.mark.parametrize(("app", "module", "package"), PACKAGES)
def test_its_commands_lead_from_the_dry_run_to_the_history(
    app: str, module: str, package: str
) -> None:
    assert len(PAGES[app]) == 2
    settings = f"tests.importing.{app}.settings"
    tell(f"tests/importing/{app}/page.py", settings, module=module, package=package)
