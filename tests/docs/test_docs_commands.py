"""Tests that docs/commands.md names every option, and that its examples print what it shows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from django.core.management import call_command, load_command_class
from django.core.management.base import DjangoHelpFormatter

from auditrepr.models import AuditLog, Coverage, InstanceRepr, StopReason
from tests.app.models import Author
from tests.examples import examples, steps, without_figures
from tests.project import ROOT
from tests.sizes import PARTITIONED

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


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(PARTITIONED, reason="the page shows a log that is not partitioned")
def test_its_examples_print_what_it_shows(capsys):
    AuditLog.objects.all().delete()
    Author.objects.bulk_create([Author(name="Ann"), Author(name="Bea")])
    Coverage.objects.update(reason="installed")
    for command, output in (step for block in CONSOLE for step in steps(block)):
        call_command(*shlex.split(command.removeprefix("python manage.py ")))
        assert without_figures(capsys.readouterr().out) == without_figures(output), command


def test_it_names_every_stop_reason():
    section = PAGE[PAGE.index("## Stop reasons") : PAGE.index("## Options of several commands")]
    assert re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE) == list(StopReason)


def documented(title: str) -> set[str]:
    """The keys of one of the JSON documents, inner ones too."""
    (part,) = re.findall(rf"^\*\*{re.escape(title)}.+?(?=^\*\*|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([a-z_]+)`", part.replace(title, "")))


def keys(found: object) -> set[str]:
    match found:
        case dict():
            return set(found).union(*map(keys, found.values()))
        case list():
            return set().union(*map(keys, found))
    return set()


@pytest.mark.django_db(transaction=True)
def test_it_names_every_key_of_the_json_documents(capsys):
    AuditLog.objects.all().delete()
    Author.objects.create(name="Ann")

    def printed(*command: str) -> set[str]:
        call_command(*command, "--format=json")
        return keys(json.loads(capsys.readouterr().out))

    assert documented("`backfill_reprs --dry-run`:") - {"false"} == printed(
        "backfill_reprs", "--dry-run"
    )
    run = printed("backfill_reprs")
    assert documented("A run") - {"backfill_reprs", "rebuild_reprs", "null"} == run
    InstanceRepr.objects.update(instance_repr="Anna")
    changed = printed("rebuild_reprs", "--dry-run")
    same_list = documented("`backfill_reprs --dry-run`:") - {
        "false",
        "pending",
        "complete",
        "count",
    }
    assert documented("`rebuild_reprs --dry-run`:") | same_list == changed
    printed("rebuild_reprs", "--max-seconds=0")
    status = printed("backfill_status")
    values = {"false", "null", "missing", "outdated", "disabled", "killed"}
    optional = {"holder", "expires_at", "expired"}
    optional |= {"planned", "done", "ids_per_second", "seconds_left", "held"}  # of a round
    optional |= {"first_id", "last_id"}
    optional |= {"entry", "age", "oldest_at", "seconds"}  # of retention
    optional |= {"sources", "until", "events", "left", "finished_at"}  # of imports
    optional |= {"upto_id"}  # of what is sealed
    optional |= {"ahead"}  # of partitions
    assert documented("`backfill_status`:") - values - optional == status - optional
