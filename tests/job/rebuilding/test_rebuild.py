"""Stored representations are built anew: which, what changes, and how it is continued."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from auditrepr.exceptions import NotAudited
from auditrepr.job import backfill
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.rebuilding import rebuild as job_rebuild
from auditrepr.job.rebuilding.preview import preview
from auditrepr.job.rebuilding.selection import Selection
from auditrepr.job.runs.result import Progress, Result
from auditrepr.models import (
    AuditLog,
    BackfillRun,
    Fidelity,
    InstanceRepr,
    RebuildCursor,
    StopReason,
)
from tests.app.models import Author, Tag
from tests.running import texts

pytestmark = pytest.mark.django_db(transaction=True)

ALL = Selection()


@pytest.fixture(autouse=True)
def _five_authors_and_a_tag(transactional_db):
    AuditLog.objects.all().delete()
    Author.objects.bulk_create(Author(name=f"author {n}") for n in range(5))
    Tag.objects.create(label="tag")
    backfill.run("default", lock=DatabaseLock("default"))


@pytest.fixture
def better(monkeypatch):
    monkeypatch.setattr(Author, "__str__", lambda author: author.name.title())


def rebuild(selection: Selection | None = ALL, **options) -> Result:
    return job_rebuild.run("default", selection, lock=DatabaseLock("default"), **options)


def test_what_differs_is_updated_and_nothing_else_is_written(better):
    with CaptureQueriesContext(connection) as captured:
        result = rebuild()
    assert (result.again, result.rows, result.stop_reason) == (6, 5, StopReason.CAUGHT_UP)
    assert texts() == [*(f"Author {n}" for n in range(5)), "tag"]
    with CaptureQueriesContext(connection) as captured:
        assert rebuild().rows == 0
    assert not [q for q in captured if "UPDATE auditrepr_instancerepr" in q["sql"]]


def test_it_says_what_was_so_at_the_event(better):
    Author.objects.update(name="now")
    rebuild()
    assert texts()[0] == "Author 0"


def test_fidelity_and_reason_are_updated_too():
    InstanceRepr.objects.update(fidelity=Fidelity.MIXED, reason="long ago")
    assert rebuild().rows == 6
    assert not InstanceRepr.objects.exclude(fidelity=Fidelity.EXACT, reason="").exists()


def test_one_model_can_be_selected(better):
    selected = Selection.of("default", model="app.tag")
    assert rebuild(selected).again == 1
    assert rebuild(Selection.of("default", model="app.Author")).again == 5


@pytest.mark.parametrize("name", ["app.Nobody", "nonsense", "sessions.Session"])
def test_a_model_that_is_not_audited_is_refused_by_name(name):
    with pytest.raises(NotAudited, match=rf"'{name}'.*app\.Author"):
        Selection.of("default", model=name)


def test_what_is_mixed_can_be_selected(better):
    first = InstanceRepr.objects.order_by("pk")[:2].values("pk")
    InstanceRepr.objects.filter(pk__in=list(first.values_list("pk", flat=True))).update(
        fidelity=Fidelity.MIXED
    )
    assert rebuild(Selection(mixed=True)).again == 2
    assert texts()[:3] == ["Author 0", "Author 1", "author 2"]


def test_events_from_a_date_on_can_be_selected():
    old = AuditLog.objects.order_by("pk")[:4].values_list("pk", flat=True)
    ago = F("occurred_at") - timedelta(days=10)
    AuditLog.objects.filter(pk__in=list(old)).update(occurred_at=ago)
    since = timezone.now() - timedelta(days=1)
    assert rebuild(Selection.of("default", since=since)).again == 2


def test_a_row_that_can_no_longer_be_built_keeps_its_text(monkeypatch):
    def fail(author) -> str:
        raise ValueError("no name")

    monkeypatch.setattr(Author, "__str__", fail)
    result = rebuild()
    assert (result.failures, result.rows) == (5, 0)
    assert result.first_failure.endswith("ValueError: no name")
    assert texts()[0] == "author 0"


def test_a_run_cut_short_is_continued_where_it_was(better):
    cut = rebuild(Selection.of("default", model="app.Author"), batch_size=2, stop=stop_after(1))
    assert (cut.stop_reason, cut.again) == (StopReason.SIGNAL, 2)
    assert job_rebuild.unfinished("default")
    rest = rebuild(None, batch_size=2)
    assert (rest.again, rest.stop_reason) == (3, StopReason.CAUGHT_UP)
    assert texts() == [*(f"Author {n}" for n in range(5)), "tag"]
    assert job_rebuild.unfinished("default") is None
    assert rebuild(None).idle


def test_a_new_run_gives_up_the_one_that_was_cut_short(better):
    rebuild(batch_size=2, stop=stop_after(1))
    assert rebuild().again == 6
    assert not RebuildCursor.objects.exists()


def test_what_comes_after_its_start_is_none_of_its_business(better):
    def write(progress: Progress) -> None:
        Author.objects.create(name="new")

    result = rebuild(batch_size=2, on_progress=write)
    assert (result.again, result.stop_reason) == (6, StopReason.CAUGHT_UP)


def test_it_never_runs_at_the_same_time_as_the_backfill(better):
    with DatabaseLock("default"):
        assert rebuild().stop_reason is StopReason.LOCKED
    assert texts()[0] == "author 0"


def test_without_the_lock_nothing_is_stored_and_the_cursor_stays(better, monkeypatch):
    with monkeypatch.context() as lost:
        lost.setattr(DatabaseLock, "_extend", lambda lock: 0)
        assert rebuild(batch_size=2).stop_reason is StopReason.LEASE_LOST
    assert texts()[0] == "author 0"
    assert rebuild(None).again == 6


def test_the_run_is_recorded_by_its_command(better):
    rebuild()
    record = BackfillRun.objects.latest("pk")
    assert (record.command, record.rows, record.batches) == ("rebuild_reprs", 5, 1)


def test_progress_reaches_its_end(better):
    told: list[Progress] = []
    rebuild(batch_size=4, on_progress=told.append)
    assert (told[-1].done, told[0].done) == (told[-1].total, 4)


def test_a_preview_shows_what_would_change_and_writes_nothing(better):
    found = preview("default", ALL)
    assert found.looked_at == 6
    assert [(c.stored[0], c.outcome.text) for c in found.changes][:1] == [("author 0", "Author 0")]
    assert texts()[0] == "author 0"
    assert job_rebuild.unfinished("default") is None


def stop_after(batches: int):
    answers = iter([False] * batches)
    return lambda: next(answers, True)


def test_where_nothing_is_stored_nothing_is_begun():
    AuditLog.objects.all().delete()
    result = rebuild()
    assert (result.again, result.stop_reason) == (0, StopReason.CAUGHT_UP)
    assert not RebuildCursor.objects.exists()
