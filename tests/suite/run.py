"""The suite's application on a database that is not a test database, in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from django.db import connection

from tests import processes

WRITE = (
    "from tests.suite.models import Shelf; Shelf.objects.create(name='Top');"
    " Shelf.objects.update(name='Low')"
)


def manage(access: dict[str, Any], *arguments: str, code: int = 0) -> str:
    """What manage.py prints with these parts of the database's settings; it ends with this code."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "django", *arguments],
        env=processes.environment(
            DJANGO_SETTINGS_MODULE="tests.suite.settings",
            TEST_DATABASE=connection.vendor,
            SUITE_DATABASE="unused",
            SUITE_ACCESS=json.dumps(access),
        ),
        cwd=processes.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def shell(access: dict[str, Any], code: str) -> str:
    """What this code prints."""
    return manage(access, "shell", "-v0", "-c", code)
