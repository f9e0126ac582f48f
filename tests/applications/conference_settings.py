"""pretalx with all its models audited: every manager of an event's objects needs a scope."""

import os
import tempfile
from typing import Any

_data = tempfile.TemporaryDirectory(prefix="pretalx")  # it is removed with this module
os.environ["PRETALX_DATA_DIR"] = _data.name

from pretalx.settings import *  # noqa: E402, F403
from pretalx.settings import INSTALLED_APPS  # noqa: E402

from tests.settings import DATABASES  # noqa: E402, F401

INSTALLED_APPS = [*INSTALLED_APPS, "auditrepr"]
#: Its many migrations take longer than the story, and come to the same tables.
MIGRATION_MODULES = {app.rpartition(".")[2]: None for app in INSTALLED_APPS if app != "auditrepr"}
CACHES: dict[str, Any] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
LOGGING: dict[str, Any] = {}
AUDITREPR = {"MODELS": ["*"]}
