"""docs/first-steps.md, done as it stands there in a project that had data before."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT

PAGE = (ROOT / "docs" / "first-steps.md").read_text()
MODELS = """
from django.db import models

class Customer(models.Model):
    name = models.TextField()

    def __str__(self):
        return self.name

class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)

    def __str__(self):
        return f"order {self.pk} of {self.customer}"
"""
CREATE = """
from shop.models import Customer, Order
Order.objects.create(customer=Customer.objects.create(name="Ann"))
"""

pytestmark = pytest.mark.sqlite


class Site:
    """What `startproject` makes, with an app and some rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run("-m", "django", "startproject", "site_of_a_shop", ".")
        self.run("manage.py", "startapp", "shop")
        (folder / "shop" / "models.py").write_text(MODELS)
        self.add_settings('INSTALLED_APPS += ["shop"]\n')
        self.run("manage.py", "makemigrations", "-v0")
        self.run("manage.py", "migrate", "-v0")
        self.run("manage.py", "shell", "-v0", "-c", CREATE)

    def add_settings(self, text: str) -> None:
        with (self.folder / "site_of_a_shop" / "settings.py").open("a") as settings:
            settings.write(text)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout


def test_its_steps_print_what_it_shows(tmp_path):
    site = Site(tmp_path)
    (settings,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    site.add_settings(settings)
    steps = re.findall(r"^\$ python (.+)\n((?:(?!\$|```).*\n)*)", PAGE, re.MULTILINE)
    assert len(steps) == PAGE.count("\n$ ")
    for command, output in steps:
        assert _without_figures(site.run(*shlex.split(command))) == _without_figures(output)


def _without_figures(text: str) -> str:
    """Times and durations differ."""
    return re.sub(r"\d[\d.]*", "0", text)
