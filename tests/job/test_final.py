"""Tests final failures: they are stored, never retried by themselves, and delay nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.utils import timezone

from auditrepr.job.monitoring import failure_counts, status
from auditrepr.models import AuditLog, BackfillRun, Checkpoint, InstanceRepr, ReprFailure
from tests.app.models import Author
from tests.app.relations import Line, Order
from tests.capturing import next_moment
from tests.running import run, texts

pytestmark = pytest.mark.django_db(transaction=True)

asked: list[str] = []
DAY = timedelta(days=1)


def by_line(order: Order) -> str:
    asked.append(order.ref)
    return f"{order.ref}: {order.lines.get().item}"


def better(order: Order) -> str:
    return f"{order.ref}: {order.lines.count()}"


@pytest.fixture(autouse=True)
def _an_order(transactional_db, settings) -> None:
    """One that has a line only after it was added, and again none when it was deleted."""
    AuditLog.objects.all().delete()
    asked.clear()
    settings.AUDITREPR = {"REPR": {"app.Order": by_line}}
    order = Order.objects.create(ref="A")
    next_moment()
    Line.objects.create(order=order, item="x")
    next_moment()
    Order.objects.update(ref="B")
    next_moment()
    Line.with_hidden.all().delete()
    next_moment()
    Order.objects.all().delete()


@pytest.fixture
def command(capsys) -> Callable[..., tuple[int, str, str]]:
    """A command's exit code, and what it says on standard output and on standard error."""

    def called(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            call_command(*arguments)
            code: Any = 0
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return called


def final() -> list[str]:
    return list(ReprFailure.objects.final().order_by("pk").values_list("error_class", flat=True))


def pass_time() -> None:
    """As if the time for another attempt had come, if it ever comes."""
    ReprFailure.objects.failing().update(next_attempt_at=timezone.now() - DAY)


def test_it_is_stored_with_its_error_and_never_due():
    done = run()
    assert (done.rows, done.failures, done.final, done.first_failure) == (3, 0, 2, "")
    assert final() == ["Line.DoesNotExist"] * 2
    assert not ReprFailure.objects.failing().exists()
    assert "by_line" in ReprFailure.objects.earliest("pk").traceback
    assert texts()[1] == "B: x"
    asked.clear()
    for _ in range(2):
        pass_time()
        assert run().idle
    assert asked == []


def test_it_does_not_hold_back_the_watermark_nor_is_it_found_by_the_sweep_or_a_rescan():
    run()
    assert Checkpoint.objects.get().settled_id == AuditLog.objects.latest("pk").pk
    asked.clear()
    assert run(rescan=True).idle
    assert run().idle
    assert asked == []
    assert not AuditLog.objects.pending().exists()


@pytest.mark.proof
def test_status_counts_it_by_itself(command):
    run()
    found = status.of("default")
    assert (found.failures.by_error, str(found.failures.rows), str(found.failures.due)) == (
        (), "0", "0",
    )  # fmt: skip
    assert found.final.by_error == (("Line.DoesNotExist", 2),)
    assert str(found.pending) == "0"
    assert failure_counts.recently_failed("default", DAY).rows == 0
    code, text, _ = command("backfill_status")
    assert code == 0
    assert "failed      none\n" in text
    assert "final       2 events: str() raised as of the event; not retried\n" in text
    assert "            2 Line.DoesNotExist\n" in text
    [document] = json.loads(command("backfill_status", "--format=json")[1])
    assert document["final"] == {
        "count": 2, "complete": True, "by_error": {"Line.DoesNotExist": 2},
    }  # fmt: skip
    assert document["failures"] == {"count": 0, "complete": True, "due": 0, "by_error": {}}
    metrics = command("backfill_status", "--format=prometheus")[1]
    assert 'auditrepr_final_events{database="default"} 2\n' in metrics
    assert 'auditrepr_failures_due{database="default"} 0\n' in metrics
    assert "auditrepr_failures{" not in metrics


def test_without_one_the_status_shows_no_line_of_them(command):
    Order.objects.all().delete()
    AuditLog.objects.all().delete()
    run()
    assert "\nfinal " not in command("backfill_status")[1]
    assert json.loads(command("backfill_status", "--format=json")[1])[0]["final"]["count"] == 0


def test_final_events_are_counted_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(failure_counts, "MOST_FAILURES", 2)
    ReprFailure.objects.bulk_create(
        ReprFailure(audit_log_id=pk, error_class="E") for pk in range(-3, 0)
    )
    assert str(status.of("default").final.rows) == "at least 2"


def test_it_is_no_failure_to_a_run_nor_to_strict(command):
    code, out, err = command("backfill_reprs", "--strict")
    assert (code, err) == (0, "")
    assert "Stored 3 representations, 0 failed, 2 final (1 batch" in out
    assert BackfillRun.objects.get().failures == 0
    code, out, err = command("backfill_reprs", "--strict", "--retry-failed", "--format=json")
    assert (code, err) == (0, "")
    [document] = json.loads(out)
    assert (document["again"], document["failures"], document["final"]) == (2, 0, 2)
    assert final() == ["Line.DoesNotExist"] * 2


def test_another_failure_of_the_same_model_is_told_and_counted_as_before(command, settings):
    def sometimes(order: Order) -> str:
        if order.ref == "B":
            raise ValueError("no B")
        return by_line(order)

    settings.AUDITREPR = {"REPR": {"app.Order": sometimes}}
    Order.objects.create(ref="C")
    settings.AUDITREPR = {"REPR": {"app.Order": sometimes, "app.Line": lambda line: "l"}}
    Author.objects.create(name="fine")
    code, _, err = command("backfill_reprs", "--strict", "--verbosity=0")
    assert code == 3
    # No event of the model was built: then the final ones are told of, too.
    assert "default: All 4 events of app.Order failed: ValueError: no B (event" in err
    assert "default: 2 failed representations (--strict)" in err
    assert ReprFailure.objects.failing().count() == 2
    assert final() == ["Line.DoesNotExist"] * 2


def test_a_model_of_which_no_event_was_built_is_told_though_all_are_final(command, settings):
    settings.AUDITREPR = {"REPR": {"app.Order": lambda order: order.lines.get(item="none").item}}
    code, _, err = command("backfill_reprs", "--strict", "--verbosity=0")
    assert code == 0
    first = AuditLog.objects.earliest("pk").pk
    assert err == (
        "default: All 3 events of app.Order failed: Line.DoesNotExist: Line matching query does"
        f" not exist. (event {first})\n"
    )
    pass_time()
    assert command("backfill_reprs", "--verbosity=0")[2] == ""


def test_retry_failed_takes_it_up_after_a_better_str(settings, command):
    run()
    settings.AUDITREPR = {"REPR": {"app.Order": better}}
    assert run().idle
    done = run(retry_failed=True)
    assert (done.rows, done.again, done.final) == (2, 2, 0)
    assert not ReprFailure.objects.exists()
    assert texts()[0] == "A: 0"
    assert texts()[-1] == "B: 0"


def test_a_failure_may_become_final_and_a_final_one_a_failure(settings):
    """A service that is there again shows what the data say; better code may need another one."""

    def unreachable(order: Order) -> str:
        raise ConnectionError

    settings.AUDITREPR = {"REPR": {"app.Order": unreachable}}
    assert run().failures == 3
    settings.AUDITREPR = {"REPR": {"app.Order": by_line}}
    pass_time()
    assert (run().final, final()) == (2, ["Line.DoesNotExist"] * 2)
    assert not ReprFailure.objects.failing().exists()
    settings.AUDITREPR = {"REPR": {"app.Order": unreachable}}
    run(retry_failed=True)
    assert final() == []
    assert ReprFailure.objects.failing().filter(attempts=3).count() == 2


def test_what_was_retried_often_before_an_upgrade_becomes_final_when_it_is_due():
    run()
    ReprFailure.objects.update(next_attempt_at=Now(), attempts=20)  # as it was before
    assert status.of("default").failures.due.rows == 2
    assert run().final == 2
    assert final() == ["Line.DoesNotExist"] * 2


@pytest.mark.proof
def test_a_rebuild_takes_it_up_after_a_better_str(settings, command):
    run()
    settings.AUDITREPR = {"REPR": {"app.Order": better}}
    code, out, _ = command("rebuild_reprs", "--dry-run", "--model=app.Order", "--format=json")
    assert code == 0
    document = json.loads(out)
    assert (document["looked_at"], document["would_change"]) == (3, 3)
    first, middle, _ = document["events"]
    assert (first["stored"], first["stored_fidelity"], first["stored_reason"]) == (None, None, "")
    assert (middle["stored"], middle["stored_fidelity"]) == ("B: x", "exact")
    _, out, _ = command("rebuild_reprs", "--dry-run", "--model=app.Order")
    assert "(str() raised)  →  A: 0" in out
    _, out, _ = command("rebuild_reprs", "--model=app.Order")
    assert "Rebuilt 3 representations, 3 changed (1 batch" in out
    assert not ReprFailure.objects.exists()
    assert [text for text in texts() if ": " in text] == ["A: 0", "B: 1", "B: 0"]


def test_a_rebuild_that_meets_the_same_answer_changes_nothing(command):
    run()
    _, out, _ = command("rebuild_reprs", "--dry-run")
    assert "0 of 5 representations in the first batch would change. Nothing was written." in out
    _, out, _ = command("rebuild_reprs")
    assert "Rebuilt 5 representations, 0 changed" in out
    assert "could not be rebuilt" not in out
    assert final() == ["Line.DoesNotExist"] * 2


def test_a_text_that_is_there_stays_though_str_raises_as_of_its_event(settings, command):
    settings.AUDITREPR = {"REPR": {"app.Order": better}}
    run()
    settings.AUDITREPR = {"REPR": {"app.Order": by_line}}
    _, out, _ = command("rebuild_reprs", "--model=app.Order")
    assert "2 could not be rebuilt and keep their text." in out
    assert not ReprFailure.objects.exists()
    assert texts()[0] == "A: 0"


@pytest.mark.parametrize(
    ("selection", "takes"),
    [
        (["--mixed"], False),
        (["--model=app.Author"], False),
        (["--model=app.Order"], True),
        (["--since=2020-01-01"], True),
        (["--batch-size=1"], True),
    ],
)
def test_a_rebuild_takes_those_that_it_selects(settings, command, selection, takes):
    run()
    settings.AUDITREPR = {"REPR": {"app.Order": better}}
    command("rebuild_reprs", *selection)
    assert (final() == []) is takes
    assert InstanceRepr.objects.count() + ReprFailure.objects.count() == 5


@pytest.mark.proof
def test_a_rebuild_that_is_cut_short_goes_on_with_those_that_are_left(settings, command):
    run()
    settings.AUDITREPR = {"REPR": {"app.Order": better}}
    command("rebuild_reprs", "--max-seconds=0")
    command("rebuild_reprs", "--resume", "--batch-size=2")
    assert final() == []
    assert InstanceRepr.objects.count() == 5


@pytest.mark.proof
def test_pruning_deletes_it_with_its_event(command):
    run()
    AuditLog.objects.update(occurred_at=timezone.now() - 2 * DAY)
    before = f"{timezone.now() - DAY:%Y-%m-%d}"
    code, out, _ = command("prune_audit_log", "--before", before, "--no-input")
    assert code == 0
    assert "2 failures" in out
    assert not ReprFailure.objects.exists()


@pytest.mark.proof
def test_a_dry_run_says_what_it_is(command):
    _, out, _ = command("backfill_reprs", "--dry-run")
    assert "(str() raised as of the event: Line.DoesNotExist: Line matching query" in out
    [document] = json.loads(command("backfill_reprs", "--dry-run", "--format=json")[1])
    assert [event["final"] for event in document["events"]] == [True, False, False, False, True]
