"""The tests' settings with django-auditlog."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIGRATION_MODULES

INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if not app.startswith("tests.")),
    "auditlog", "tests.importing.logged",
]  # fmt: skip
MIGRATION_MODULES = MIGRATION_MODULES | {"auditlog": None}
TRACKED = ("Writer", "Tag", "Novel", "Parcel", "Day", "Lap")
AUDITREPR = {
    "MODELS": [f"logged.{name}" for name in TRACKED],
    "EXCLUDE": {"logged.Writer": ["secret"]},
}
