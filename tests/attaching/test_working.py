"""Tests that the job does with an attached log what it does with one of our own."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from auditrepr.job import backfill as backfill_job
from auditrepr.models import (
    AuditLog,
    BackfillRun,
    InstanceRepr,
    ReprFailure,
    Share,
)
from auditrepr.tasks import backfill
from tests.app.models import Author, Book
from tests.attaching.attached import attach, command, once
from tests.processes import run_here
from tests.rounds import check_all_is_stored, parts, plan, share_lock, start
from tests.running import run, texts

pytestmark = [
    pytest.mark.proof,
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.usefixtures("supa_audit"),
]


def backlog(count: int = 60) -> None:
    """Let the other log record so many events, some before it is attached and some after."""
    Author.objects.bulk_create(Author(name=f"author {n}") for n in range(count // 2))
    attach("supa_audit")
    Author.objects.bulk_create(Author(name=f"later {n}") for n in range(count // 2))
    assert AuditLog.objects.count() == count


def said(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def test_two_processes_share_the_backlog() -> None:
    backlog()
    process = start(2, env={})
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert "Stored 60 representations" in output
    check_all_is_stored()
    assert sum(BackfillRun.objects.values_list("rows", flat=True)) == 60


def test_shares_cover_the_backlog_and_the_watermark_follows_them() -> None:
    backlog()
    assert plan() == 6
    first = AuditLog.objects.order_by("pk").first()
    assert first is not None
    assert parts()[0][0] < first.pk
    call_command("backfill_reprs", verbosity=0)
    check_all_is_stored()


def test_a_round_is_canceled_and_the_next_run_does_the_rest() -> None:
    backlog()
    plan()
    call_command("backfill_status", cancel=True, verbosity=0)
    assert not Share.objects.exists()
    run()
    check_all_is_stored()


def test_celerys_eager_task_stores_what_is_pending() -> None:
    backlog()
    assert backfill.apply().get() is None
    check_all_is_stored()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_rebuild_builds_with_todays_code(workers: int) -> None:
    backlog(40)
    run()
    InstanceRepr.objects.update(instance_repr="old")
    assert "40" in run_here("rebuild_reprs", "--workers", str(workers)).stdout
    check_all_is_stored()


def test_a_changed_str_shows_in_the_rebuild(monkeypatch: Any) -> None:
    backlog(4)
    run()
    monkeypatch.setattr(Author, "__str__", lambda author: author.name.upper())
    assert "4" in said("rebuild_reprs", dry_run=True)
    assert texts()[0] == "author 0"
    said("rebuild_reprs")
    assert texts() == ["AUTHOR 0", "AUTHOR 1", "LATER 0", "LATER 1"]


def test_failed_events_are_retried_until_they_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the next run if they are due, and by ``--retry-failed`` before."""
    backlog(2)
    name = Author.__str__
    monkeypatch.setattr(Author, "__str__", lambda author: str(author.nothing))
    run()
    assert run(retry_failed=True).failed_again == 2
    assert list(ReprFailure.objects.values_list("attempts", flat=True)) == [2, 2]
    monkeypatch.setattr(Author, "__str__", name)
    assert run().idle, "none of them is due"
    last = AuditLog.objects.latest("pk")
    ReprFailure.objects.filter(pk=last.pk).update(next_attempt_at=timezone.now())
    run()
    assert texts() == ["later 0"]
    run(retry_failed=True)
    check_all_is_stored()


def test_what_an_objects_own_row_lacked_is_final_and_what_others_lacked_is_retried(
    settings: Any,
) -> None:
    """Nothing says that another object was not there: the log does not know what was seen."""
    settings.AUDITREPR = {"REPR": {"app.Book": lambda book: book.author.name}}
    settings.AUDITREPR["REPR"]["app.Author"] = lambda author: author.books.get().title
    Book.objects.create(title="Go", author=None)
    Author.objects.create(name="Ann")
    attach("supa_audit")
    result = run()
    assert (result.rows, result.failures, result.final) == (0, 1, 1)
    of_book, of_author = ReprFailure.objects.order_by("pk")
    assert (of_book.final, of_author.final) == (True, False)
    assert run(retry_failed=True).again == 2


def test_a_rescan_finds_what_lost_its_representation() -> None:
    backlog(4)
    run()
    InstanceRepr.objects.all().delete()
    assert run(rescan=True).rows == 4
    check_all_is_stored()


def test_the_status_says_to_what_the_log_is_attached() -> None:
    backlog(6)
    run(batch_size=2, max_batches=1)
    (document,) = json.loads(said("backfill_status", format="json"))
    assert (document["attached_to"], document["triggers"]) == ("supa_audit", {})
    assert document["pending"] == {"count": 4, "complete": True}
    assert document["runs"][0]["stored"] == 2
    assert document["coverage_gaps"] == {}
    text = said("backfill_status")
    assert "triggers    attached to supa_audit" in text
    assert "coverage    unknown: supa_audit does not say when it recorded" in text


def test_metrics() -> None:
    backlog(6)
    run(batch_size=2, max_batches=1)
    metrics = dict(
        line.rsplit(" ", 1)
        for line in said("backfill_status", format="prometheus").splitlines()
        if not line.startswith("#")
    )
    found = {
        name: metrics[f'auditrepr_{name}{{database="default"}}']
        for name in ("up", "pending_rows", "triggers_broken", "coverage_gaps", "findings")
    }
    assert found == {
        "up": "1", "pending_rows": "4", "triggers_broken": "0", "coverage_gaps": "0",
        "findings": "0",
    }  # fmt: skip


def test_who_detaches_in_the_midst_of_a_round_is_told_to_cancel_it() -> None:
    backlog()
    plan()
    with share_lock() as lock:
        assert lock
        with pytest.raises(CommandError, match=r"Several workers share.*--cancel"):
            command("detach")
        said("backfill_status", cancel=True)
        assert "Detached the audit log" in command("detach")
    assert not InstanceRepr.objects.exists()
    Author.objects.create(name="own")
    run()
    check_all_is_stored()


def test_a_round_of_a_log_that_was_detached_stores_nothing() -> None:
    """A worker is building when its round is canceled, and the log becomes another one."""
    backlog()
    plan()
    held = once(lambda: (said("backfill_status", cancel=True), command("detach")))
    backfill_job.assist("default", on_progress=held)
    assert not InstanceRepr.objects.exists()
    assert not AuditLog.objects.exists()
