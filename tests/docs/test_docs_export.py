"""Tests docs/export.md: its commands run, and its table lists the columns of an export."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from django.core.management import call_command

from auditrepr.models import AuditLog, Checkpoint
from auditrepr.readers.export_records import COLUMNS
from tests.examples import examples
from tests.pages import event
from tests.project import ROOT

PAGE = (ROOT / "docs" / "export.md").read_text()
LINES = [line for block in examples("docs/export.md", "") for line in block.splitlines()]
COMMAND = re.compile(r"manage.py (export_audit_log .*?)(?: [|>] .*)?$")


@pytest.mark.sqlite
def test_it_names_every_column_in_its_order() -> None:
    section = PAGE[PAGE.index("## Columns") :]
    cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == [*COLUMNS, "cut"]


@pytest.mark.django_db
def test_its_commands_run(tmp_path: Path, capsys) -> None:
    AuditLog.objects.all().delete()
    for pk in (41, 42):
        event(pk, text="Ann")
    Checkpoint.objects.update_or_create(pk=1, defaults={"settled_id": 42})
    assert len(LINES) == 5
    for line in LINES:
        found = COMMAND.search(line)
        assert found, line
        command = found[1].replace("shop.Order", "app.Author")
        for folder in ("/var/lib/shop/", "/var/log/shop/"):
            command = command.replace(folder, f"{tmp_path}/")
        command = command.replace("--output orders", f"--output {tmp_path}/orders")
        call_command(*shlex.split(command))
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("id", line.get("end")) for line in printed] == [
        41, "complete", 41, 42, "complete", 42, "complete",
    ]  # fmt: skip
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "audit.jsonl", "orders.csv", "siem.position",
    ]  # fmt: skip
