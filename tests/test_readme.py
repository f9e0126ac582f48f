"""The README says what is so: its settings, its commands, its cron line, its links."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING, fields

import pytest

from auditrepr.conf import Settings
from tests.project import ROOT, Project

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
    (shown,) = re.findall(r"```text\n(.+?)```", README, re.DOTALL)
    done = Project(tmp_path).manage("demo", "--no-progress", DEBUG="on")
    assert done.returncode == 0, done.stderr
    printed = {_without_figures(line) for line in done.stdout.splitlines()}
    assert {_without_figures(line) for line in shown.splitlines()} - printed == set()


def _without_figures(line: str) -> str:
    """The ids and counts depend on the edition of the data, the time on the machine."""
    return re.sub(r"\d[\d.]*", "0", line)


def test_the_make_targets_it_names_exist():
    named = set(re.findall(r"\bmake ([a-z]+)", README))
    assert named >= {"demo", "test"}
    assert named <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_its_cron_line_is_the_one_in_the_crontab():
    (line,) = re.findall(r"^\*/2 .+$", README, re.MULTILINE)
    assert line in (ROOT / "deploy" / "crontab").read_text().splitlines()


@pytest.mark.parametrize("page", PAGES)
def test_its_links_to_files_lead_somewhere(page):
    file = ROOT / page
    links = re.findall(r"\]\(([^)#:]+)[^):]*\)", file.read_text())
    assert [link for link in links if not (file.parent / link).exists()] == []


def test_the_index_names_every_page():
    named = set(re.findall(r"\]\(([a-z-]+\.md)\)", (ROOT / "docs" / "index.md").read_text()))
    assert named == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
