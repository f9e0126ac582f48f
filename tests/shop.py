"""A shop with rows, in its own directory, before it installs auditrepr."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.project import ROOT

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


class Shop:
    """What ``startproject`` makes, with an app and some rows."""

    def __init__(
        self, folder: Path, models: str = MODELS, create: str = CREATE, settings: str = ""
    ) -> None:
        self.folder = folder
        self.run("-m", "django", "startproject", "site_of_a_shop", ".")
        self.run("manage.py", "startapp", "shop")
        (folder / "shop" / "models.py").write_text(models)
        self.add_settings(f'INSTALLED_APPS += ["shop"]\n{settings}')
        self.run("manage.py", "makemigrations", "-v0")
        self.run("manage.py", "migrate", "-v0")
        self.run("manage.py", "shell", "-v0", "-c", create)

    def add_settings(self, text: str) -> None:
        with (self.folder / "site_of_a_shop" / "settings.py").open("a") as settings:
            settings.write(text)

    def run(self, *arguments: str) -> str:
        """What Python prints, run with these arguments, if all went well."""
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
