"""Follows docs/first-steps.md in a project that already had data."""

from __future__ import annotations

import shlex

import pytest

from tests.examples import examples, steps, without_figures
from tests.shop import Shop

PYTHON = examples("docs/first-steps.md", "python")
CONSOLE = examples("docs/first-steps.md", "console")

RENAME = """
import re
from django.contrib.auth.models import User
from django.test import Client
from shop.models import Customer
Customer.objects.filter(name="Ann").update(name="Anna")
admin = User.objects.create_superuser("bea", password="secret")
client = Client(headers={"host": "localhost"})
client.force_login(admin)
print(client.post("/admin/shop/customer/1/change/", {"name": "Anne"}).status_code)
page = client.get("/admin/shop/customer/1/history/")
text = page.content.decode()
found = re.findall(r"(\\w+)\\s*→\\s*(\\w+)", re.sub("<.+?>", " ", text))
print(page.status_code, found, ">bea<" in text)
"""

pytestmark = [pytest.mark.proof, pytest.mark.sqlite]


def test_its_steps_print_what_it_shows(tmp_path):
    shop = Shop(tmp_path)
    settings, _ = PYTHON
    shop.add_settings(settings)
    for command, output in (step for block in CONSOLE for step in steps(block)):
        python, *arguments = shlex.split(command)
        assert python == "python"
        assert without_figures(shop.run(*arguments)) == without_figures(output)


def test_its_admin_shows_who_renamed_the_customer_and_both_changes(tmp_path):
    shop = Shop(tmp_path)
    settings, pages = PYTHON
    shop.add_settings(settings)
    (tmp_path / "shop" / "admin.py").write_text(pages)
    shop.run("manage.py", "migrate", "-v0")
    assert shop.run("manage.py", "shell", "-v0", "-c", RENAME) == (
        "302\n200 [('Ann', 'Anna'), ('Anna', 'Anne')] True\n"
    )
