"""A line of a crontab, adapted to a project that a test makes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from tests.project import ROOT, Project

CREATE = "from django.contrib.auth.models import Group; Group.objects.create(name='Auditors')"


def adapted(line: str, folder: Path) -> str:
    """The line, with the places and the user of a test; what it prints is kept, not mailed."""
    job = line.replace(" shop ", " root ", 1).replace(".venv/bin/python", sys.executable)
    job = job.replace("/etc/shop/env", str(folder / "env"))
    return f"{job.replace('/srv/shop', str(folder))} >{folder / 'output'} 2>&1"


def command(line: str) -> str:
    """What the shell gets of it."""
    return line.split(None, 6)[6]


def project_with_a_pending_row(folder: Path) -> Path:
    """Make one, and the file of its environment; its database."""
    database = folder / "audit.sqlite3"
    environment = {
        "DATABASE_URL": f"sqlite:///{database}",
        "SECRET_KEY": "a key with spaces, 'quotes' and 100%",
        "AUDITREPR_MODELS": "auth.Group",
        "PYTHONPATH": str(ROOT),
    }
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in environment.items()]
    (folder / "env").write_text("".join(lines))
    project = Project(folder)
    for arguments in (["migrate", "-v0"], ["shell", "-v0", "--command", CREATE]):
        done = project.manage(*arguments, **environment)
        assert done.returncode == 0, done.stderr
    return database
