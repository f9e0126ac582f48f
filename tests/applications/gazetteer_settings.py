"""The tests' settings with the demo's gazetteer in place of the test apps."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIGRATION_MODULES

INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if not app.startswith("tests.")),
    "management.gazetteer",
]
MIGRATION_MODULES = {**MIGRATION_MODULES, "gazetteer": None}
AUDITREPR = {"MODELS": ["*"]}
