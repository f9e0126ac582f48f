"""Runs what the docs show about sealing the log: as whoever knows nothing but that page."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from auditrepr.job.seals import sealing
from auditrepr.models import AuditLog, SealEntry
from tests.app.models import Author
from tests.capturing import sql
from tests.examples import examples, steps, without_figures
from tests.running import run
from tests.sealing import ids

pytestmark = pytest.mark.django_db(transaction=True)

SETTING, CHECK = examples("docs/seal.md", "python")
(CONTENT,) = examples("docs/seal.md", "sql")
CONSOLE = examples("docs/seal.md", "console")
(FOUND,) = examples("docs/seal.md", "text")


@pytest.fixture(autouse=True)
def _events(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    AuditLog.objects.all().delete()
    for n in range(10):
        Author.objects.create(name=f"é{n}")


def test_its_commands_print_what_it_shows():
    run()
    for block in CONSOLE:
        for command, output in steps(block):
            printed = io.StringIO()
            call_command(*command.split()[2:], stdout=printed)
            assert without_figures(printed.getvalue()) == without_figures(output)


def test_its_setting_seals_and_its_check_finds_what_was_changed_in_an_export(settings: Any):
    given: dict[str, Any] = {}
    exec(SETTING + CHECK, given)
    settings.AUDITREPR = given["AUDITREPR"]
    run()
    Author.objects.create(name="later")
    run()
    call_command("seal_audit_log", export="seals.jsonl", verbosity=0)
    assert SealEntry.objects.count() == 2
    given["check"]("seals.jsonl")
    file = Path("seals.jsonl")
    file.write_text(file.read_text().replace('"events": 10', '"events": 11'))
    with pytest.raises(AssertionError):
        given["check"]("seals.jsonl")


@pytest.mark.postgresql
def test_its_query_computes_the_content_of_a_range():
    run()
    call_command("seal_audit_log", verbosity=0)
    first, last = ids()[0], ids()[-1]
    query = CONTENT.replace("id <= 10000", f"id <= {last}").replace("id > 5000", f"id >= {first}")
    ((content,),) = sql(query)
    assert bytes(content) == bytes(SealEntry.objects.get().content)


def test_what_it_shows_of_a_difference_is_what_is_printed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sealing, "EVENTS", 4)
    run()
    call_command("seal_audit_log", verbosity=0)
    AuditLog.objects.filter(pk=ids()[5]).update(writer="x")
    with pytest.raises(CommandError) as found:
        call_command("verify_audit_log", verbosity=0)
    assert without_figures(str(found.value)) == without_figures(FOUND.rstrip())
