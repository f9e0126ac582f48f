"""The tests' settings with the packages that tests/truth/test_third_party.py is about."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIGRATION_MODULES

INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if not app.startswith("tests.")),
    "polymorphic", "taggit", "treebeard", "tests.thirdparty",
]  # fmt: skip
MIGRATION_MODULES = {**MIGRATION_MODULES, "taggit": None}
AUDITREPR = {"MODELS": ["*"]}
