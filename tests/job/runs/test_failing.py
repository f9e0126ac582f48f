"""Tests that a run reports models with failed events, first at once and then hourly."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models import F

from auditrepr.models import AuditLog, KnownFinding, ReprFailure
from tests.app.models import Author, Tag
from tests.running import _empty_log

__all__ = ["_empty_log"]
pytestmark = pytest.mark.django_db(transaction=True)


def pass_time(minutes: int) -> None:
    span = timedelta(minutes=minutes)
    KnownFinding.objects.update(reported_at=F("reported_at") - span)
    ReprFailure.objects.update(next_attempt_at=F("next_attempt_at") - span)


@pytest.fixture
def job(capsys):
    """What a run under cron says."""

    def run(*arguments: str) -> str:
        call_command("backfill_reprs", "--verbosity=0", *arguments)
        said = capsys.readouterr()
        assert said.out == ""
        return said.err

    return run


def broken(error: type[BaseException] = ValueError):
    def fail(author) -> str:
        if author.name.startswith("bad"):
            raise error("no\nname")
        return author.name

    return fail


def test_a_run_without_failures_says_nothing(job):
    Author.objects.create(name="Ann")
    assert job() == ""
    assert not KnownFinding.objects.exists()


@pytest.mark.proof
def test_failures_are_told_with_model_count_and_first_error_at_any_verbosity(job, monkeypatch):
    monkeypatch.setattr(Author, "__str__", broken())
    Author.objects.bulk_create(Author(name=f"bad {n}") for n in range(1200))
    first = AuditLog.objects.earliest("pk").pk
    said = f"All 1,200 events of app.Author failed: ValueError: no\\nname (event {first})"
    assert job() == f"default: {said}\n"


def test_some_failures_of_a_model_are_told_with_how_many_were_tried(job, monkeypatch):
    monkeypatch.setattr(Author, "__str__", broken())
    Author.objects.bulk_create(Author(name=name) for name in ("bad", "fine", "good"))
    Tag.objects.create(label="x")
    assert job().startswith("default: 1 of 3 events of app.Author failed: ValueError")


def test_each_model_has_a_line_of_its_own(job, monkeypatch):
    monkeypatch.setattr(Author, "__str__", broken())
    monkeypatch.setattr(Tag, "__str__", lambda tag: tag.nothing)
    Author.objects.create(name="bad")
    Tag.objects.create(label="x")
    author, tag = job().splitlines()
    assert author.startswith("default: The only event of app.Author failed: ValueError")
    assert tag.startswith("default: The only event of app.Tag failed: AttributeError")


@pytest.mark.proof
def test_the_runs_of_the_same_hour_do_not_repeat_it(job, monkeypatch):
    monkeypatch.setattr(Author, "__str__", broken())
    Author.objects.create(name="bad")
    assert job()
    for minutes in (2, 5, 20):
        pass_time(minutes)
        Author.objects.create(name="bad, too")
        assert job() == ""
    pass_time(40)
    assert job().startswith("default: "), "an hour later they fail still"


def test_that_a_model_fails_as_a_whole_is_told_although_a_part_of_it_was(job, monkeypatch):
    monkeypatch.setattr(Author, "__str__", broken())
    Author.objects.bulk_create(Author(name=name) for name in ("bad", "fine"))
    assert job().startswith("default: 1 of 2 events")
    Author.objects.bulk_create(Author(name="bad") for _ in range(3))
    assert job().startswith("default: All 3 events of app.Author failed")


def test_another_error_of_the_same_model_is_news(job, monkeypatch):
    monkeypatch.setattr(Author, "__str__", broken())
    Author.objects.create(name="bad")
    assert "ValueError" in job()
    monkeypatch.setattr(Author, "__str__", broken(KeyError))
    Author.objects.create(name="bad")
    assert "KeyError" in job()


def test_what_was_tried_again_and_failed_again_is_told_so(job, monkeypatch):
    monkeypatch.setattr(Author, "__str__", broken())
    Author.objects.bulk_create(Author(name="bad") for _ in range(2))
    job()
    pass_time(61)
    assert job().startswith("default: 2 events of app.Author fail still: ValueError")
    assert set(ReprFailure.objects.values_list("attempts", flat=True)) == {2}


def test_strict_says_why_it_exits_3(capsys, monkeypatch):
    monkeypatch.setattr(Author, "__str__", broken())
    Author.objects.bulk_create(Author(name="bad") for _ in range(2))
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            call_command("backfill_reprs", "--strict", verbosity=0)
        assert ended.value.code == 3
        assert "default: 2 failed representations (--strict)" in capsys.readouterr().err
