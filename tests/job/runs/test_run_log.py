"""Tests logging: loggers, levels and fields are those of the docs."""

from __future__ import annotations

import ast
import logging
import re

import pytest

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import BackfillRun
from tests.app.models import Author
from tests.project import ROOT
from tests.running import _empty_log, run

__all__ = ["_empty_log"]
pytestmark = pytest.mark.django_db(transaction=True)

PAGE = (ROOT / "docs" / "metrics-and-logging.md").read_text()
ROWS = re.findall(r"^\| `(auditrepr\.\w+)` \| ([A-Z]+) \| .+? \| (.+) \|$", PAGE, re.MULTILINE)
OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@pytest.fixture(autouse=True)
def _listening(caplog):
    caplog.set_level(logging.DEBUG, logger="auditrepr")


def fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in OWN}


def test_each_batch_and_the_end_of_a_run_are_logged_with_their_figures(caplog):
    Author.objects.bulk_create([Author(name=name) for name in "abc"])
    result = run(batch_size=2)
    *batches, end = caplog.records
    assert [(b.levelname, b.batch, b.rows, b.failures) for b in batches] == [
        ("DEBUG", 1, 2, 0), ("DEBUG", 2, 1, 0),
    ]  # fmt: skip
    assert (end.levelname, end.rows, end.batches, end.stop_reason) == ("INFO", 3, 2, "caught-up")
    assert end.run == BackfillRun.objects.get().pk
    assert end.seconds == round(result.seconds, 3)
    assert 0 <= sum(batch.seconds for batch in batches) < end.seconds + 0.01
    assert end.getMessage() == "backfill_reprs: caught-up: 3 stored, 0 failed"


def test_a_run_that_found_the_lock_held_took_no_time(caplog):
    with DatabaseLock("default"):
        run()
    (end,) = caplog.records
    assert (end.stop_reason, end.seconds) == ("locked", 0)


def test_rows_that_fail_are_counted(caplog, monkeypatch):
    monkeypatch.setattr(Author, "__str__", lambda author: 1 / 0)
    Author.objects.create(name="a")
    run()
    assert [(record.rows, record.failures) for record in caplog.records] == [(0, 1), (0, 1)]


def test_a_run_with_nothing_to_do_has_no_id_since_it_is_counted_on_the_one_before(caplog):
    run()
    run()
    end = caplog.records[-1]
    assert (end.run, end.batches, end.stop_reason) == (None, 0, "caught-up")


def test_a_run_that_finds_the_lock_held_says_so(caplog):
    with DatabaseLock("default"):
        run()
    (end,) = caplog.records
    assert (end.levelname, end.stop_reason, end.rows) == ("INFO", "locked", 0)


def test_the_fields_are_those_that_the_page_names(caplog):
    Author.objects.create(name="a")
    run()
    shown = {level: set(re.findall(r"`(\w+)`", names)) for _, level, names in ROWS[:2]}
    assert {record.levelname: set(fields(record)) for record in caplog.records} == shown


@pytest.mark.proof
def test_the_page_names_every_place_that_logs_with_its_level_and_fields():
    found = set()
    for file in (ROOT / "auditrepr").rglob("*.py"):
        source = file.read_text()
        for call in ast.walk(ast.parse(source)):
            if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("logger."):
                (name,) = re.findall(
                    r'^logger = logging.getLogger\("(.+)"\)$', source, re.MULTILINE
                )
                found.add((name, ast.unparse(call.func)[7:].upper()))
                assert "extra" in {keyword.arg for keyword in call.keywords}, file.name
    assert found == {(name, level) for name, level, _ in ROWS}


def test_the_page_explains_every_field_whose_name_does_not_say_it():
    explained = set(
        re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`\w+`[^|]*) \|", PAGE, re.M)))
    )
    used = {name for _, _, names in ROWS for name in re.findall(r"`(\w+)`", names)}
    plain = {"command", "database", "batch", "batches", "seconds"}
    assert used - plain == explained & used
