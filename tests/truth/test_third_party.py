"""Tests applications made of third-party models: everything audited, every exact text true.

``pip install django-polymorphic django-taggit django-treebeard`` makes these tests run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.missing import could_not_try
from tests.processes import ROOT

pytestmark = [pytest.mark.proof, pytest.mark.each_database]

PACKAGES = ("polymorphic", "taggit", "treebeard")


def test_every_exact_text_of_other_peoples_models_is_true():
    """In a process of its own: its settings name applications that other tests do not have."""
    if absent := [name for name in PACKAGES if not find_spec(name)]:
        could_not_try("third-party applications", f"no {', '.join(absent)} is installed")
    environment = {name: value for name, value in os.environ.items() if name != "TEST_RUN"}
    if server := environment.get("TEST_POSTGRES_URL"):
        # Databases of its own on the same server: these tests are still at work in theirs.
        environment["TEST_POSTGRES_URL"] = server.replace("/auditrepr", "/thirdparty", 1)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-W", "ignore",
         "tests/thirdparty/story.py"],
        env=environment | {"DJANGO_SETTINGS_MODULE": "tests.thirdparty.settings",
                           "PYTHONPATH": str(ROOT)},
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    sys.stdout.write(done.stdout)
