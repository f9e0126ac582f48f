"""What an import brings of somebody who was erased before, in each package's story."""

from __future__ import annotations

import re
import shlex
from typing import Any

from django.core.management import call_command

from auditrepr.models import AuditLog, Erasure, Import
from tests.capturing import next_moment
from tests.erasing import dump
from tests.importing.together import switch

NAME = "Zoë O'Quill"


def tell(source: str, model: Any, capsys: Any) -> None:
    """Let a writer be recorded by both logs, and erased from ours before the import."""
    writer = model.objects.create(name=NAME)
    switch()
    writer.name = f"{NAME} II"
    writer.save()
    key = writer.pk
    writer.delete()
    call_command("backfill_reprs", verbosity=0)
    call_command("erase_from_audit_log", f"--object={model._meta.label}:{key}", "--no-input")
    assert "quill" not in dump()
    capsys.readouterr()
    what = f"--object {model._meta.label}:PK --database default"
    again = f"manage.py erase_from_audit_log {what}"
    call_command("import_audit_log", source, dry_run=True)
    said = capsys.readouterr().out
    assert "There was an erasure in this log" in said
    assert re.search(rf"\n  once on 20.*: {re.escape(again)}\n", said)
    assert "quill" not in dump()
    next_moment()
    call_command("import_audit_log", source, verbosity=0)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert again in printed.err
    assert Import.objects.exists()
    assert "quill" in dump(), "the other log knows nothing of it"
    command = again.replace(":PK", f":{key}").removeprefix("manage.py ")
    call_command(*shlex.split(command), "--no-input")
    assert "quill" not in dump()
    call_command("backfill_reprs", verbosity=0)
    assert "quill" not in dump()
    assert AuditLog.objects.filter(object_id=key).count() >= 3
    assert Erasure.objects.count() == 2
