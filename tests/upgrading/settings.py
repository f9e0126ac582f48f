"""The settings of the library's project; the environment names its database."""

import json
import os

SECRET_KEY = "upgrading"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["auditrepr", "tests.upgrading.library"]
DATABASES = {"default": json.loads(os.environ["UPGRADING"])}
AUDITREPR = {"MODELS": ["library.*"], "APPEND_ONLY": True, "SEARCH": True}
