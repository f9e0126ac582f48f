"""The job does at negative IDs, at zero, and across both, what it does at any other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.monitoring import status
from auditrepr.job.retention import prune
from auditrepr.job.rounds import shares
from auditrepr.models import AuditLog, Checkpoint, Coverage, InstanceRepr
from auditrepr.vendors.types import BEGINNING
from tests.app.models import Author, Book
from tests.capturing import next_moment
from tests.running import run, texts
from tests.shifted import LAST_IDS, move
from tests.sizes import FIRST_ID

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(FIRST_ID != 1, reason="here, own events follow those that were moved"),
]

TEXTS = ["Ada", "Go (Ada)", "Ann", "Go (Ann)", "Bob"]


@pytest.fixture(
    params=[
        last if last in (0, -(10**9)) else pytest.param(last, marks=pytest.mark.proof)
        for last in LAST_IDS
    ]
)
def ids(request: pytest.FixtureRequest) -> list[int]:
    """The IDs of five events of an author and of her book."""
    AuditLog.objects.all().delete()
    author = Author.objects.create(name="Ada")
    next_moment()
    book = Book.objects.create(title="Go", author=author)
    next_moment()
    Author.objects.update(name="Ann")
    next_moment()
    Book.objects.update(price=9)
    next_moment()
    Author.objects.update(name="Bob")
    assert book.pk
    move(request.param)
    return list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))


def stored() -> list[tuple[Any, ...]]:
    rows = InstanceRepr.objects.order_by("pk")
    return list(rows.values_list("instance_repr", "fidelity", "reason"))


@pytest.mark.proof
def test_all_is_stored_exactly_and_the_watermark_follows(ids):
    assert run(batch_size=2).rows == 5
    assert stored() == [(text, "E", "") for text in TEXTS]
    assert Checkpoint.objects.get().settled_id == ids[-1]
    assert status.of("default").mark.settled_id == ids[-1]
    assert run().idle


@pytest.mark.proof
def test_it_stores_what_is_left_after_each_limit(ids):
    while run(batch_size=2, max_batches=1).rows:
        pass
    assert texts() == TEXTS


def test_own_events_follow_them(ids):
    run()
    Author.objects.create(name="Eve")
    last = AuditLog.objects.latest("pk").pk
    assert last > max(0, ids[-1])
    run()
    assert texts()[-1] == "Eve"
    assert Checkpoint.objects.get().settled_id == last


@pytest.mark.proof
def test_the_sweep_finds_what_was_deleted_below_the_watermark(ids):
    run()
    for pk in (ids[0], ids[-1]):
        InstanceRepr.objects.filter(pk=pk).delete()
    assert run().rows == 2
    assert texts() == TEXTS


@pytest.mark.proof
def test_a_rescan_begins_with_the_first_event(ids):
    run()
    InstanceRepr.objects.all().delete()
    assert run(rescan=True).rows == 5


@pytest.mark.proof
def test_a_round_stores_them_and_moves_the_watermark(ids):
    with DatabaseLock("default") as lock:
        assert shares.plan("default", "backfill_reprs", lock, width=2, least=1) == 3
    assert run().rows == 5
    assert texts() == TEXTS
    assert Checkpoint.objects.get().settled_id == ids[-1]


@pytest.mark.proof
def test_a_rebuild_builds_all_again(ids, settings):
    run()
    settings.AUDITREPR = {"REPR": {"app.Author": "tests.job.test_ids_below_zero.shout"}}
    call_command("rebuild_reprs", "--batch-size", "2", verbosity=0)
    assert texts() == ["ADA", "Go (Ada)", "ANN", "Go (Ann)", "BOB"]


def shout(author: Author) -> str:
    return author.name.upper()


def test_a_dry_run_shows_them(ids, capsys):
    call_command("backfill_reprs", "--dry-run")
    output = capsys.readouterr().out
    for text in TEXTS:
        assert text in output
    assert f"{ids[0]}" in output


@pytest.mark.proof
@pytest.mark.parametrize("kept", range(6))
def test_pruning_deletes_the_old_and_what_is_left_stays_true(ids, kept):
    run()
    if old := ids[: 5 - kept]:
        year = timezone.now() - timedelta(days=365)
        AuditLog.objects.filter(pk__lte=old[-1]).update(occurred_at=year)
    before = timezone.now() - timedelta(days=30)
    assert prune.preview("default", before).events == 5 - kept
    done = prune.prune("default", before, lock=DatabaseLock("default"), batch_size=2)
    assert (done.events, done.representations) == (5 - kept, 5 - kept)
    assert texts() == TEXTS[5 - kept :]
    assert set(Coverage.objects.values_list("pruned_id", flat=True)) == {
        old[-1] if old else BEGINNING
    }
    assert run(rescan=True).rows == 0
