"""A small project for the suite, so that its log has few events."""

import json
import os

from tests.servers import database_settings

SECRET_KEY = "suite"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = database_settings(os.environ.get("TEST_DATABASE", "sqlite"))
del DATABASES["other"]
DATABASES["default"]["TEST"] = {"NAME": os.environ["SUITE_DATABASE"]}
# Not a test database, but this one, as this role.
DATABASES["default"] |= json.loads(os.environ.get("SUITE_ACCESS", "{}"))
# Django copies a SQLite file for --parallel, but not the write-ahead log next to it.
DATABASES["default"]["OPTIONS"].pop("init_command", None)
INSTALLED_APPS = ["auditrepr", "tests.suite"]
AUDITREPR = {
    "MODELS": ["suite.*"],
    "APPEND_ONLY": "SUITE_ACCESS" in os.environ,
    "SEARCH": True,
}
