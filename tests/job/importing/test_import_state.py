"""What was imported, what is left, and who imports, is told in every format."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from auditrepr.job import importing
from auditrepr.job.importing import Request
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.locks.process import Process
from auditrepr.job.monitoring import summary
from auditrepr.models import AuditLog, BackfillRun, Import
from tests import old_log
from tests.app.models import Author
from tests.capturing import next_moment
from tests.running import run

pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _five_changes(other_log: None) -> None:
    for name in "abcde":
        Author.objects.create(name=name)
        next_moment()
    old_log.switch()


def bring(**options: Any) -> None:
    lock = DatabaseLock("default")
    importing.run(Request("default", ["ours"]), lock=lock, batch_size=2, **options)


def told(form: str = "text") -> str:
    out = io.StringIO()
    call_command("backfill_status", format=form, stdout=out)
    return out.getvalue()


def document() -> Any:
    (found,) = json.loads(told("json"))
    return found["imports"]


def test_nothing_is_said_without_an_import() -> None:
    assert "imports " not in told()
    assert document() == []
    assert "auditrepr_import_events_left{" in told("prometheus")


def test_an_interrupted_import_is_told_with_what_continues_it() -> None:
    bring(stop=lambda: True)
    assert "ours: 2 of 5 events, begun 2" in told()
    assert "; interrupted. To continue: manage.py import_audit_log ours" in told()
    (one,) = document()
    assert (one["sources"], one["events"], one["left"]) == (["ours"], 2, 3)
    assert (one["finished_at"], one["holder"]) == (None, None)
    (sample,) = [s for s in told("prometheus").splitlines() if s.startswith("auditrepr_import")]
    assert sample.endswith(" 3")


def test_an_import_under_way_is_told_with_its_process() -> None:
    seen: list[summary.ImportState] = []

    def look(progress: Any) -> None:
        seen.extend(summary.of("default").imports)

    bring(on_progress=look)
    assert [(one.events, one.left) for one in seen] == [(2, 3), (4, 1), (5, 0)]
    worker = seen[0].worker
    assert worker is not None
    assert worker.is_same(Process.current())


def test_a_run_of_the_job_is_not_taken_for_the_import() -> None:
    bring(stop=lambda: True)
    with DatabaseLock("default"):
        assert summary.of("default").imports[0].worker
        me = Process.current()
        BackfillRun.objects.create(host=me.host, pid=me.pid, started_at=timezone.now())
        assert summary.of("default").imports[0].worker is None


def test_finished_and_abandoned_imports_are_told_with_what_they_have() -> None:
    bring(stop=lambda: True)
    importing.abandon(Request("default", ["ours"]), lock=DatabaseLock("default"))
    assert "ours: 2 events from before 2" in told()
    until = AuditLog.objects.earliest("pk").occurred_at
    call_command("import_audit_log", "ours", until=until, verbosity=0)
    run()
    assert [(one.events, one.left) for one in summary.of("default").imports] == [
        (3, 0), (2, 0),
    ]  # fmt: skip
    assert all(one["finished_at"] for one in document())
    assert "interrupted" not in told()


def test_only_the_latest_are_told() -> None:
    bring()
    one = Import.objects.get()
    for n in range(1, 8):
        Import.objects.create(
            sources=[f"s{n}"], parts=[], until=one.until, first_id=one.first_id - n,
            last_id=one.first_id - n, started_at=one.started_at, finished_at=one.finished_at,
        )  # fmt: skip
    sources = [name for one in summary.of("default").imports for name in one.sources]
    assert sources == ["s7", "s6", "s5", "s4", "s3"]
