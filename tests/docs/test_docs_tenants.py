"""Runs the lines of docs/tenants.md that run the job for every schema."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from tests import processes
from tests.app.models import Author
from tests.examples import examples
from tests.missing import could_not_try
from tests.schemas import at, execute, migrate, schemas
from tests.servers import postgres_binaries

__all__ = ["schemas"]
(LOOP,) = examples("docs/tenants.md", "sh")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.proof
@pytest.mark.postgresql
def test_the_loop_runs_the_job_for_every_schema_that_holds_a_log(schemas, tmp_path):
    for name in ("one", "two"):
        migrate(name)
        with at(name):
            Author.objects.create(name=f"in {name}")
    done = subprocess.run(
        ["sh", "-euc", LOOP], env=environment(tmp_path), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for name in ("one", "two"):
        told = execute(f"SELECT instance_repr, fidelity FROM {name}.auditrepr_instancerepr")
        assert told == [(f"in {name}", "E")]


def environment(folder: Path) -> dict[str, str]:
    """What the page presupposes: ``psql`` finds the database, ``python manage.py`` the project."""
    psql = postgres_binaries() / "psql"
    if not psql.exists():
        could_not_try("the loop over schemas", "psql is not installed")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -W error -m django "$@"\n')
    python.chmod(0o755)
    settings = connection.settings_dict
    where = {
        "PGHOST": settings["HOST"],
        "PGPORT": str(settings["PORT"] or 5432),
        "PGUSER": settings["USER"],
        "PGDATABASE": settings["NAME"],
        "PATH": f"{folder}:{psql.parent}:{os.environ['PATH']}",
    }
    return processes.environment(**where)
