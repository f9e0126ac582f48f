"""Fifty runs begin at the same moment: one works, and the others step aside.

``STRESS_ROUNDS=3`` lets them do it so often in a row, as ``make stress`` does.
"""

from __future__ import annotations

import json
import os

import pytest

from auditrepr.models import BackfillRun, InstanceRepr
from tests.app.models import Author
from tests.processes import start_python

pytestmark = pytest.mark.proof

PROCESSES = 50
ROUNDS = int(os.environ.get("STRESS_ROUNDS", "1"))

# The one that works does not end before all others have.
TOGETHER = """
import os, pathlib, time
from django.conf import settings
folder = pathlib.Path({folder!r})
settings.AUDITREPR = {{"ROW_SECONDS": 600}}

def name(author):
    while len(list(folder.glob("*.done"))) < {processes} - 1:
        time.sleep(0.02)
    return author.name

def work(number):
    os.close(gate)
    os.read(hold, 1)  # ends when nobody can write there any more
    for stream in (1, 2):
        os.dup2(os.open(folder / f"{{number}}.{{stream}}", os.O_CREAT | os.O_WRONLY), stream)
    try:
        execute_from_command_line(
            ["manage.py", "backfill_reprs", "--lock={lock}", "--batch-size=50", "--format=json"]
        )
    finally:
        sys.stdout.flush()
        (folder / f"{{number}}.done").touch()

Author.__str__ = name
hold, gate = os.pipe()
children = []
for number in range({processes}):
    if not (pid := os.fork()):
        work(number)
        os._exit(0)
    children.append(pid)
os.close(hold)
os.close(gate)
for pid in children:
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.parametrize("lock", ["database", "file"])
@pytest.mark.django_db(transaction=True)
def test_of_fifty_at_the_same_moment_one_works_and_the_others_exit(lock, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for number in range(1, ROUNDS + 1):
        Author.objects.bulk_create(Author(name=f"author {n}") for n in range(200))
        folder = tmp_path / str(number)
        folder.mkdir()
        code = TOGETHER.format(folder=str(folder), processes=PROCESSES, lock=lock)
        codes, errors = start_python(code).communicate(timeout=300)
        said = [file.read_text() for file in folder.glob("*.2")]
        assert (codes.split(), errors, set(said)) == (["0"] * PROCESSES, "", {""})
        reports = [json.loads(file.read_text())[0] for file in folder.glob("*.1")]
        others = PROCESSES - 1
        assert sorted(report["stored"] for report in reports) == [0] * others + [200]
        reasons = sorted(report["stop_reason"] for report in reports)
        assert reasons == ["caught-up"] + ["locked"] * others
        assert InstanceRepr.objects.count() == 200 * number
        assert sum(BackfillRun.objects.values_list("skipped_runs", flat=True)) == others * number
