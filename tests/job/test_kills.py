"""The job is killed again and again, at any moment, beside writers; and so is the server.

``STRESS_KILLS=500 pytest tests/job/test_kills.py`` does it for longer, as ``make stress`` does.
"""

from __future__ import annotations

import json
import os
import random
import time
from functools import partial
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command

from auditrepr.models import AuditLog, Checkpoint, InstanceRepr, Lease, ReprFailure
from tests import processes
from tests.processes import start_python
from tests.servers import PostgresServer
from tests.waiting import wait_until

pytestmark = pytest.mark.proof

KILLS = int(os.environ.get("STRESS_KILLS", "20"))
CRASHES = max(3, KILLS // 10)

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
# Holds the file for longer than most runs of the job live.
SLOW_WRITER = WRITER.replace("author.save()\n", "author.save()\n        time.sleep(0.4)\n")
# Goes on when the server is back; says how many transactions the server has confirmed.
STUBBORN_WRITER = """
import time
from django.db import Error, connection, transaction
number = 0
while True:
    try:
        with transaction.atomic():
            Author.objects.bulk_create(Author(name=f"{number}") for _ in range(9))
        number += 1
        print(number, flush=True)
        time.sleep(0.02)
    except Error:
        connection.close()
        time.sleep(0.05)
"""
STUBBORN_JOB = """
from django.core.management import CommandError
import time
print("ready", flush=True)
while True:
    try:
        call_command("backfill_reprs", batch_size=7, verbosity=0)
    except CommandError as error:
        assert "\\n" not in str(error)
        time.sleep(0.05)
"""


def finish(least: int, seed: int) -> None:
    """A last run; then at least so many events are there, and each is represented once."""
    call_command("backfill_reprs", verbosity=0, wait=90)
    assert AuditLog.objects.count() >= least > 0, seed
    assert not AuditLog.objects.pending().exists(), seed
    assert not ReprFailure.objects.exists(), seed
    texts = dict(InstanceRepr.objects.values_list("pk", "instance_repr"))
    said = {row.pk: row.row_data["name"] for row in AuditLog.objects.all()}
    assert texts == said, seed
    assert Lease.objects.get().token is None, seed
    assert Checkpoint.objects.get().settled_id == max(texts), seed


def has_stored_more_than(count: int) -> bool:
    return InstanceRepr.objects.count() > count


@pytest.mark.parametrize(
    "writing", [WRITER, pytest.param(SLOW_WRITER, marks=pytest.mark.sqlite)], ids=["", "slow"]
)
@pytest.mark.django_db(transaction=True)
def test_however_often_it_is_killed_every_row_is_represented_once_and_no_lock_is_stuck(writing):
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    writer = start_python(writing)
    try:
        for n in range(KILLS):
            job = start_python(JOB)
            assert job.stdout.readline() == "ready\n", job.stderr.read()
            if n % 2:  # what ends two runs in a row is held against the event that both built
                wait_until(partial(has_stored_more_than, InstanceRepr.objects.count()))
            time.sleep(moments.uniform(0, 0.5))
            job.kill()
            job.communicate()
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()
    finish(least=9 * KILLS, seed=seed)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_however_often_the_server_crashes_every_row_is_represented_once(tmp_path):
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    server = PostgresServer()
    names = json.dumps({"default": "first"})
    there = {"TEST_POSTGRES_URL": server.url, "TEST_DATABASE_NAMES": names}
    with (tmp_path / "writer").open("w") as confirmed, (tmp_path / "job").open("w") as said:
        try:
            with psycopg.connect(server.url, dbname="postgres", autocommit=True) as session:
                session.execute("CREATE DATABASE first")
            assert processes.run("migrate", "--run-syncdb", env=there).returncode == 0
            writer = start_python(STUBBORN_WRITER, env=there, stdout=confirmed, stderr=said)
            job = start_python(STUBBORN_JOB, env=there, stdout=said, stderr=said)
            for _ in range(CRASHES):
                time.sleep(moments.uniform(0.5, 2))
                server.stop("immediate")
                server.start()
            time.sleep(1)
            assert (writer.poll(), job.poll()) == (None, None), Path(said.name).read_text()
            for process in (writer, job):
                process.kill()
                process.communicate()
            transactions = int(Path(confirmed.name).read_text().split()[-1])
            check = f"from tests.job.test_kills import finish\nfinish({9 * transactions}, {seed})"
            done = start_python(check, env=there)
            _, errors = done.communicate(timeout=120)
            assert (done.returncode, errors) == (0, "")
        finally:
            server.close()
