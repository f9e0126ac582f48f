"""The README says what is so: its settings, its commands, its cron line, its links."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import MISSING, fields

import pytest

from auditrepr.conf import Settings
from tests.examples import examples, without_figures
from tests.project import ROOT, Project
from tests.shop import Shop

TRY, INSTALL, IN_A_PROJECT = examples("README.md", "sh")
SETTINGS = examples("README.md", "python")
DEMO = examples("README.md", "text")
CRON = examples("README.md", "")
IN_SHORT = (examples("docs/package.md", "python"), examples("docs/package.md", "sh"))

RENAME = (
    "from shop.models import Customer; from django.contrib.auth.models import User; "
    'Customer.objects.update(name="Anna"); User.objects.create_user("ann", password="secret")'
)
READ = """
from auditrepr.models import InstanceRepr
for stored in InstanceRepr.objects.order_by("pk"):
    print(stored.instance_repr)
"""
READ_ALL = """
from auditrepr.models import AuditLog
print(list(AuditLog.objects.values()))
"""

README = (ROOT / "README.md").read_text()

PAGES = [
    "README.md",
    "CHANGELOG.md",
    *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]

pytestmark = pytest.mark.sqlite


def test_its_table_names_every_setting_with_its_default():
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| `(.+?)` \|", README, re.MULTILINE))
    shown = {name: ast.literal_eval(default) for name, default in table.items()}
    defaults = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(Settings)
    }
    assert shown == defaults | {
        name: list(getattr(Settings, name)) for name in ("MODELS", "CONTEXT")
    }


def test_what_it_shows_of_the_demo_is_what_the_demo_prints(tmp_path):
    (shown,) = DEMO
    done = Project(tmp_path).manage("demo", "--no-progress", DEBUG="on")
    assert done.returncode == 0, done.stderr
    # The ids and counts depend on the edition of the data, the time on the machine.
    printed = {without_figures(line) for line in done.stdout.splitlines()}
    assert {without_figures(line) for line in shown.splitlines()} - printed == set()


def test_the_page_for_package_indexes_shows_the_same_settings_and_commands():
    assert IN_SHORT == (SETTINGS, [IN_A_PROJECT])


def test_its_settings_and_commands_audit_a_project(tmp_path):
    shop = Shop(tmp_path)
    (settings,) = SETTINGS
    shop.add_settings(settings.replace("...", "*INSTALLED_APPS"))
    migrate, backfill = (line.partition("#")[0] for line in IN_A_PROJECT.splitlines())
    for line in (migrate, f"python manage.py shell -c '{RENAME}'", backfill):
        _, *arguments = shlex.split(line)
        printed = shop.run(*arguments)
    assert "Stored 2 representations, 0 failed" in printed
    assert shop.run("manage.py", "audit_triggers", "check").endswith("are in order.\n")
    assert shop.run("manage.py", "shell", "-v0", "-c", READ) == "Anna\nann\n"
    assert "pbkdf2_" not in shop.run("manage.py", "shell", "-v0", "-c", READ_ALL)


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
