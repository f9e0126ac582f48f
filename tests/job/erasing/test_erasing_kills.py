"""Erasing is killed again and again, beside writers, the job, sealing and pruning."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from django.core.management import call_command

from auditrepr.job.seals import export
from auditrepr.models import AuditLog, Erasure, InstanceRepr, SealEntry
from tests.app.models import Author, Book
from tests.erasing import dump
from tests.processes import start_python
from tests.sealing import verify

pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True)]

KILLS = int(os.environ.get("STRESS_KILLS", "5"))

#: In steps that are as small as can be, so that a kill comes between two of them.
ERASER = """
command = ["erase_from_audit_log", "--object", "app.Author:{key}", "--no-input", "--wait", "30"]
print("ready", flush=True)
call_command(*command, "--batch-size", "1", verbosity=0)
print("done", flush=True)
"""
KEEPER = """
import time
from auditrepr.job.seals import sealing
sealing.EVENTS = 9
while True:
    call_command("backfill_reprs", verbosity=0)
    call_command("seal_audit_log", verbosity=0, wait=5)
    time.sleep(0.1)
"""
WRITER = """
import time
while True:
    Book.objects.create(title="other")
    Author.objects.create(name="Bea")
    time.sleep(0.1)
"""


def person(name: str) -> int:
    """An author in many events, and in the representations of many books; gives the key."""
    author = Author.objects.create(name=name)
    for n in range(12):
        Author.objects.filter(pk=author.pk).update(name=f"{name} {n}")
        Book.objects.create(title=f"{n}", author=author)
    call_command("backfill_reprs", verbosity=0, wait=30)
    key = author.pk
    Book.objects.filter(author=author).update(author=None)
    author.delete()
    return key


def test_whatever_is_killed_nothing_is_left_and_seals_verify(tmp_path: Path):
    rng = random.Random(KILLS)
    AuditLog.objects.all().delete()
    key = person("Zelda Quill")
    call_command("seal_audit_log", verbosity=0)
    kept = tmp_path / "seals"
    kept.write_bytes(b"".join(export.lines("default")))
    others = [start_python(code) for code in (KEEPER, WRITER)]
    kills = 0
    try:
        while True:
            eraser = start_python(ERASER.format(key=key))
            assert eraser.stdout.readline() == "ready\n"
            if kills >= KILLS:
                output, errors = eraser.communicate(timeout=120)
                assert output == "done\n", errors
                break
            time.sleep(rng.uniform(0.05, 0.7))
            eraser.kill()
            eraser.communicate()
            kills += 1
            assert verify(against=export.read(kept)).differences == []
    finally:
        for other in others:
            other.kill()
            other.communicate()
    assert "quill" not in dump()
    # A run that ended before its kill came is a record of its own; none is left unfinished.
    assert not Erasure.objects.filter(finished_at=None).exists()
    assert Erasure.objects.exists()
    call_command("backfill_reprs", verbosity=0, wait=30, rescan=True)
    call_command("rebuild_reprs", verbosity=0, wait=30)
    assert "quill" not in dump()
    assert verify(against=export.read(kept)).differences == []
    assert SealEntry.objects.filter(kind="erased").exists()
    assert not InstanceRepr.objects.filter(reason__startswith="erased, and").exists()
