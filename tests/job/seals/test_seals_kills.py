"""Sealing and pruning are killed again and again, beside writers with long transactions."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from auditrepr.job.seals import chain, export
from auditrepr.models import AuditLog, SealEntry
from tests.processes import start_python
from tests.sealing import verify
from tests.waiting import wait_until

pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True)]

KILLS = int(os.environ.get("STRESS_KILLS", "5"))

#: Seals and prunes in steps that are as small as can be, so that a kill comes between two of them.
KEEPER = """
from datetime import timedelta
from django.utils import timezone
from auditrepr.job.seals import sealing
sealing.EVENTS = 9
while True:
    call_command("seal_audit_log", verbosity=0)
    before = (timezone.now() - timedelta(seconds=0.7)).isoformat()
    call_command("prune_audit_log", before=before, batch_size=5, keep_last={keep_last},
                 interactive=False, verbosity=0)
    call_command("backfill_reprs", max_batches=3, verbosity=0)
    print("round", flush=True)
"""
#: On PostgreSQL, others commit later IDs meanwhile.
WRITER = """
import time
from django.db import transaction
while True:
    with transaction.atomic():
        Author.objects.create(name="first")
        time.sleep({pause})
        Author.objects.filter(name="first").update(name="last")
    time.sleep(0.2)
"""


@pytest.mark.parametrize("keep_last", [False, True])
def test_whatever_is_killed_when_the_log_is_what_was_sealed(tmp_path: Path, keep_last: bool):
    rng = random.Random(KILLS)
    AuditLog.objects.all().delete()
    writers = [start_python(WRITER.format(pause=pause)) for pause in (0, 0.3)]
    kept: Any = None
    try:
        wait_until(AuditLog.objects.exists)
        for _ in range(KILLS):
            keeper = start_python(KEEPER.format(keep_last=keep_last))
            assert keeper.stdout.readline() == "round\n"  # by now, it has loaded everything
            time.sleep(rng.uniform(0, 1))
            assert keeper.poll() is None, keeper.communicate()[1]
            check(kept)  # while it works
            keeper.kill()
            keeper.communicate()
            check(kept)
            if kept is None and SealEntry.objects.exists():
                kept = tmp_path / "seals"
                kept.write_bytes(b"".join(export.lines("default")))
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    call_command("backfill_reprs", verbosity=0, wait=30)
    call_command("seal_audit_log", verbosity=0)
    check(kept)
    assert SealEntry.objects.filter(kind="pruned").exists()
    # The last entry may be of a pruned event, far below the end of what is sealed.
    assert not AuditLog.objects.filter(pk__gt=chain.sealed_upto("default")).exists()


def check(kept: Path | None) -> None:
    if SealEntry.objects.exists():
        assert verify(against=kept and export.read(kept)).differences == []
