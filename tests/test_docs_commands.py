"""docs/commands.md names every command and option, and its examples print what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import call_command, load_command_class
from django.core.management.base import DjangoHelpFormatter

from auditrepr.models import AuditLog, Coverage
from tests.app.models import Author
from tests.examples import examples, steps, without_figures
from tests.project import ROOT

PAGE = (ROOT / "docs" / "commands.md").read_text()
CONSOLE = examples("docs/commands.md", "console")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.+?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = Path(ROOT / "auditrepr" / "management" / "commands")


def own_options(name: str) -> set[str]:
    parser = load_command_class("auditrepr", name).create_parser("manage.py", name)
    django = DjangoHelpFormatter.show_last
    return {
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and option not in django and option != "--help"
    }


def test_every_command_has_its_section():
    assert set(SECTIONS) == {file.stem for file in COMMANDS.glob("[a-z]*.py")}


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_its_table_names_every_option(name):
    cells = re.findall(r"^\| (`--.+?) \|", SECTIONS[name], re.MULTILINE)
    assert {option for cell in cells for option in re.findall(r"`(--[a-z-]+)", cell)} == (
        own_options(name)
    )


@pytest.mark.django_db(transaction=True)
def test_its_examples_print_what_it_shows(capsys):
    AuditLog.objects.all().delete()
    Author.objects.bulk_create([Author(name="Ann"), Author(name="Bea")])
    Coverage.objects.update(reason="installed")
    for command, output in (step for block in CONSOLE for step in steps(block)):
        call_command(*shlex.split(command.removeprefix("python manage.py ")))
        assert without_figures(capsys.readouterr().out) == without_figures(output), command
