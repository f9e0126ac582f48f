"""Tests that every output format can be parsed, with and without work done."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import pytest
from django.core.management import CommandError, call_command, load_command_class

from tests.app.models import Author
from tests.project import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

COMMANDS = sorted(
    file.stem for file in (ROOT / "auditrepr" / "management" / "commands").glob("[a-z]*.py")
)
SAMPLE = re.compile(r'(\w+)\{\w+="(?:[^"\\\n]|\\.)*"(?:,\w+="(?:[^"\\\n]|\\.)*")*\} -?\d[\d.e+]*')


def offered() -> list[tuple[str, str]]:
    """The commands that offer formats of a report, with each; an export has tests of its own."""
    return [
        (name, choice)
        for name in COMMANDS
        if name != "export_audit_log"
        for action in load_command_class("auditrepr", name).create_parser("", name)._actions
        if "--format" in action.option_strings
        for choice in action.choices or ()
    ]


def is_text(printed: str) -> None:
    assert not printed.startswith(("{", "# "))


def is_json(printed: str) -> None:
    assert isinstance(json.loads(printed), dict)


def is_json_by_database(printed: str) -> None:
    found = json.loads(printed)
    assert isinstance(found, list)
    assert [one["database"] for one in found] == ["default"]


def is_prometheus(printed: str) -> None:
    """Each family is one block: its help, its type, its samples; nothing of it comes again."""
    assert printed.endswith("\n")
    families = re.split(r"^# HELP ", printed, flags=re.MULTILINE)
    assert families.pop(0) == ""
    names = []
    for family in families:
        help_, type_, *samples = family.splitlines()
        name, _, words = help_.partition(" ")
        assert words
        assert type_ == f"# TYPE {name} gauge"
        found = [SAMPLE.fullmatch(sample) for sample in samples]
        assert {sample and sample[1] for sample in found} <= {name}
        names.append(name)
    assert len(set(names)) == len(names) > 0


@pytest.mark.proof
@pytest.mark.parametrize(("name", "choice"), offered())
def test_it_is_what_it_says(name, choice, capsys, monkeypatch):
    several = name in ("backfill_reprs", "backfill_status")
    json_of = is_json_by_database if several else is_json
    read = {"text": is_text, "json": json_of, "prometheus": is_prometheus}[choice]
    for text in ('a "quoted" \\ name\nin two lines', "b"):
        Author.objects.create(name=text)
        call_command(name, format=choice)
        read(capsys.readouterr().out)
    monkeypatch.setattr(Author, "__str__", lambda author: 1 / 0)
    Author.objects.create(name="c")
    call_command("backfill_reprs", verbosity=0)
    with suppress(CommandError):  # the status fails, after it has said how things stand
        call_command(name, format=choice)
    read(capsys.readouterr().out)


def test_the_commands_that_offer_formats_are_those_that_tell_of_the_job():
    assert {name for name, _ in offered()} == {
        "backfill_reprs", "backfill_status", "rebuild_reprs",
    }  # fmt: skip
