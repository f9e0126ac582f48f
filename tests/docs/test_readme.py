"""Tests the README's settings, commands, cron line and links."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import MISSING, fields

import pytest

from auditrepr.conf import Settings, get_settings
from tests.examples import examples, steps, without_figures
from tests.project import ROOT, Project
from tests.shop import Shop

TRY, INSTALL, IN_A_PROJECT = examples("README.md", "sh")
SETTINGS = examples("README.md", "python")
DEMO = examples("README.md", "text")
CRON = examples("README.md", "")
CONSOLE = examples("README.md", "console")
IN_SHORT = (examples("docs/package.md", "python"), examples("docs/package.md", "sh"))

REQUEST = """
from auditrepr.models import AuditLog
from django.contrib.auth.models import User
from django.test import Client
admin = User.objects.create_superuser("ann", password="secret")
client = Client(headers={"host": "localhost"})
client.force_login(admin)
client.post("/admin/password_change/", {
    "old_password": "secret", "new_password1": "correct-horse", "new_password2": "correct-horse",
})
client.post("/admin/auth/user/add/", {
    "username": "bea", "usable_password": "false",
    "password1": "correct-horse", "password2": "correct-horse",
})
added = AuditLog.objects.for_model(User).latest("pk")
print(added.actor == str(admin.pk), added.context["user_name"], added.context["path"])
print(list(AuditLog.objects.values()))
"""

README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs" / "settings.md").read_text()
(EXAMPLE,) = examples("docs/settings.md", "python")

PAGES = [
    "README.md",
    "CHANGELOG.md",
    *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]

pytestmark = pytest.mark.sqlite


def test_the_table_of_settings_names_every_one_with_its_default():
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| `(.+?)` \|", REFERENCE, re.MULTILINE))
    shown = {name: ast.literal_eval(default) for name, default in table.items()}
    defaults = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(Settings)
    }
    assert shown == defaults | {
        name: list(getattr(Settings, name)) for name in ("MODELS", "CONTEXT")
    }


def test_the_example_of_settings_is_understood(settings):
    names = {}
    exec(EXAMPLE, names)
    settings.AUDITREPR = names["AUDITREPR"]
    assert get_settings().REPR == {"auth.user": "get_full_name"}
    assert get_settings().APPEND_ONLY is True


@pytest.mark.proof
def test_what_it_shows_of_the_demo_is_what_the_demo_prints(tmp_path):
    (shown,) = DEMO
    done = Project(tmp_path).manage("demo", "--no-progress", DEBUG="on")
    assert done.returncode == 0, done.stderr
    # The ids and counts depend on the edition of the data, the time on the machine.
    printed = {without_figures(line) for line in done.stdout.splitlines()}
    assert {without_figures(line) for line in shown.splitlines()} - printed == set()


def test_the_page_for_package_indexes_shows_the_same_settings_and_commands():
    assert IN_SHORT == (SETTINGS, [IN_A_PROJECT])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A project with what the README adds to it."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    (settings,) = SETTINGS
    shop.add_settings(re.sub(r"^(\w+) = \[\.\.\.", r"\1 = [*\1", settings, flags=re.MULTILINE))
    for line in IN_A_PROJECT.splitlines():
        _, *arguments = shlex.split(line, comments=True)
        shop.run(*arguments)
    return shop


@pytest.mark.proof
def test_its_steps_lead_to_the_first_representation(shop):
    assert shop.run("manage.py", "audit_triggers", "check").endswith("are OK.\n")
    for command, output in (step for block in CONSOLE for step in steps(block)):
        python, *arguments = shlex.split(command)
        assert python == "python"
        assert without_figures(shop.run(*arguments)) == without_figures(output)


@pytest.mark.proof
def test_with_its_settings_a_request_is_recorded_with_its_user_and_no_password(shop):
    recorded, log = shop.run("manage.py", "shell", "-v0", "-c", REQUEST).split("\n", 1)
    assert recorded == "True ann /admin/auth/user/add/"
    assert "'table_name': 'auth_user'" in log
    assert not re.search("pbkdf2_|last_login", log)


def test_the_make_targets_it_names_exist():
    named = set(re.findall(r"\bmake ([a-z]+)", README))
    assert set(re.findall(r"^make ([a-z]+)$", TRY, re.MULTILINE)) == {"demo", "test"}
    assert named >= {"demo", "test"}
    assert named <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_its_cron_line_is_the_one_in_the_crontab():
    (line,) = CRON
    assert line.strip() in (ROOT / "deploy" / "crontab").read_text().splitlines()


@pytest.mark.parametrize("page", PAGES)
def test_its_links_to_files_lead_somewhere(page):
    file = ROOT / page
    links = re.findall(r"\]\(([^)#:]+)[^):]*\)", file.read_text())
    assert [link for link in links if not (file.parent / link).exists()] == []


def test_the_index_names_every_page():
    named = set(re.findall(r"\]\(([a-z-]+\.md)\)", (ROOT / "docs" / "index.md").read_text()))
    assert named == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
