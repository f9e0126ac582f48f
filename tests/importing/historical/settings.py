"""The tests' settings with django-simple-history."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if not app.startswith("tests.")),
    "simple_history", "tests.importing.historical",
]  # fmt: skip
TRACKED = ("Writer", "Tag", "Novel", "Visit", "Place", "Restaurant", "Building", "Tower")
AUDITREPR = {"MODELS": [f"historical.{name}" for name in TRACKED]}
