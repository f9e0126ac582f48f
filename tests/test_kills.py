"""The job is killed again and again, at any moment, beside writers.

``STRESS_KILLS=500 pytest tests/test_kills.py`` does it for longer, as ``make stress`` does.
"""

from __future__ import annotations

import os
import random
import time

import pytest
from django.core.management import call_command

from auditrepr.models import AuditLog, Checkpoint, InstanceRepr, Lease, ReprFailure
from tests.processes import start_python

KILLS = int(os.environ.get("STRESS_KILLS", "20"))

JOB = """
print("ready", flush=True)
while True:
    call_command("backfill_reprs", batch_size=7, verbosity=0)
"""
WRITER = """
from django.db import transaction
import time
number = 0
while True:
    with transaction.atomic():
        for author in Author.objects.bulk_create(Author(name=str(number + n)) for n in range(9)):
            author.name += "!"
            author.save()
    number += 9
    time.sleep(0.02)
"""


@pytest.mark.django_db(transaction=True)
def test_however_often_it_is_killed_every_row_is_represented_once_and_no_lock_is_stuck():
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    writer = start_python(WRITER)
    try:
        for _ in range(KILLS):
            job = start_python(JOB)
            assert job.stdout.readline() == "ready\n", job.stderr.read()
            time.sleep(moments.uniform(0, 0.5))
            job.kill()
            job.communicate()
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()
    call_command("backfill_reprs", verbosity=0)
    events = AuditLog.objects.count()
    assert events > 9 * KILLS, seed
    assert not AuditLog.objects.pending().exists(), seed
    assert not ReprFailure.objects.exists(), seed
    texts = dict(InstanceRepr.objects.values_list("pk", "instance_repr"))
    said = {row.pk: row.row_data["name"] for row in AuditLog.objects.all()}
    assert texts == said, seed
    assert Lease.objects.get().token is None, seed
    assert Checkpoint.objects.get().settled_id == max(texts), seed
