"""Runs stories whose settings name applications that other tests do not have."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

from tests.missing import could_not_try
from tests.processes import ROOT


def tell(story: str, settings: str, *, module: str, package: str) -> None:
    """Run the story in a process of its own, on the database of this one.

    :param module: what must be installed for it, from this package.
    """
    if not find_spec(module):
        could_not_try(f"{package} as a source", f"{package} is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "TEST_RUN"}
    if server := environment.get("TEST_POSTGRES_URL"):
        # Databases of its own on the same server: these tests still use theirs.
        environment["TEST_POSTGRES_URL"] = server.replace("/auditrepr", f"/{module}", 1)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", story],
        env=environment | {"DJANGO_SETTINGS_MODULE": settings, "PYTHONPATH": str(ROOT)},
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
