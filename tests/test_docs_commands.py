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
from tests.project import ROOT

PAGE = (ROOT / "docs" / "commands.md").read_text()
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
    for block in re.findall(r"```console\n(.+?)```", PAGE, re.DOTALL):
        for example in re.split(r"^\$ python manage\.py ", block, flags=re.MULTILINE)[1:]:
            command, _, output = example.partition("\n")
            call_command(*shlex.split(command))
            assert _without_figures(capsys.readouterr().out) == _without_figures(output), command


def _without_figures(text: str) -> str:
    """Ids, times and durations differ, and the widths of their columns with them."""
    return re.sub(r" +", " ", re.sub(r"\d[\d.]*", "0", text))
