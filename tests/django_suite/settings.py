"""Settings of Django's own tests with every model of theirs audited: ``nox --session django``."""

import os
import sys
import tempfile
from pathlib import Path

from tests.servers import database_settings

SECRET_KEY = "tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = False

if os.environ["TEST_DATABASE"] == "postgresql":
    # The server's user must be able to enter the directory for temporary files.
    Path(tempfile.gettempdir()).chmod(0o711)
    DATABASES = database_settings("postgresql")
else:
    # Django's tests expect these in memory, where each of them has its own.
    DATABASES = {alias: {"ENGINE": "django.db.backends.sqlite3"} for alias in ("default", "other")}

AUDITREPR = {"MODELS": ["*"]}

# The program that reads this sets INSTALLED_APPS itself, from its own list.
sys.modules["__main__"].ALWAYS_INSTALLED_APPS.append("auditrepr")
