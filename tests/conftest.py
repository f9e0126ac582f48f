"""Selects the tests for each database, and reports what the run could not try."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Iterator
from pathlib import Path

import django
import hypothesis
import pytest
from django.apps import apps
from django.db import connection
from django.test import override_settings

from tests.apart import statements_apart
from tests.missing import PREFIX
from tests.parts import is_elsewhere
from tests.sizes import FIRST_ID, PARTITIONED

ELSEWHERE = pytest.StashKey[int]()
DATABASE_FIXTURES = {"db", "transactional_db", "live_server"}


# CI tries the same examples each time: the result depends on the change, not on chance.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> Iterator[None]:
    """The databases, which are restored after each transactional test."""
    # Not before Django is set up: a plugin is read earlier than a conftest.
    from tests.restoring import restored_after_each_test

    if FIRST_ID != 1:
        with django_db_blocker.unblock():
            begin_at(FIRST_ID)
    if PARTITIONED:
        from tests.partitioning import partition_small

        with django_db_blocker.unblock():
            partition_small()
    with restored_after_each_test():
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what runs on the other database, or in the other part."""
    elsewhere = [item for item in items if is_elsewhere(item.path) or _runs_elsewhere(item)]
    config.stash[ELSEWHERE] = len(elsewhere)
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse models that a test module adds to an application.

    Each test of this run would have their tables and triggers, and no process that it starts
    would know them.
    """
    added = [
        f"{model.__module__}.{model.__name__}"
        for model in apps.get_models()
        if model.__module__.rpartition(".")[2].startswith("test_")
    ]
    if added:
        raise pytest.UsageError(f"Declare in a module of tests/app: {', '.join(added)}.")


def _runs_elsewhere(item: pytest.Item) -> bool:
    """Tests about the other database, and on PostgreSQL those that open none.

    On SQLite the latter always run, so none is lost. Those that start databases of their own by
    what ``TEST_DATABASE`` selects are marked ``each_database``.
    """
    marks = {mark.name for mark in item.iter_markers()}
    if marks & ({"sqlite", "postgresql"} - {connection.vendor}):
        return True
    opens = "django_db" in marks or not DATABASE_FIXTURES.isdisjoint(item.fixturenames)
    return connection.vendor == "postgresql" and not (
        opens or marks & {"postgresql", "each_database"}
    )


def begin_at(first_id: int) -> None:
    """Let the log give itself IDs from this one on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER SEQUENCE auditrepr_auditlog_id_seq"
            f" MINVALUE {first_id} START {first_id} RESTART {first_id}"
        )
        # Capture has begun already: before all that is recorded now.
        cursor.execute("UPDATE auditrepr_coverage SET since_event = %s", [first_id - 1])


@pytest.fixture(autouse=True)
def _one_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that names no other database works on one, as most projects do."""
    marker = request.node.get_closest_marker("django_db")
    if marker and "other" in (marker.kwargs.get("databases") or ()):
        yield
        return
    with override_settings(DATABASE_ROUTERS=["tests.routers.OneLog"]):
        yield


@pytest.fixture(autouse=True)
def _partitions_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run makes more partitions, or asks for them: to restore a database with others takes long.

    The tests of partitions themselves begin with a log that has none.
    """
    if PARTITIONED:
        monkeypatch.setattr("auditrepr.job.partitions.state.ENOUGH", 0)
        monkeypatch.setattr("auditrepr.job.backfill.make_ahead", lambda using: None)


@pytest.fixture(autouse=True)
def _statements_are_apart(request: pytest.FixtureRequest) -> Iterator[None]:
    """No two statements of a test are in one millisecond, which SQLite would not distinguish.

    How often that happens by itself depends on the machine. The random histories are about it too.
    """
    if connection.vendor != "sqlite" or "truth" in request.path.parts:
        yield
        return
    with statements_apart():
        yield


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """It is no failure if all the chosen tests are about the other database."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash.get(ELSEWHERE, 0):
        session.exitstatus = pytest.ExitCode.OK


def pytest_report_header() -> str:
    return f"database: {connection.display_name}, Django {django.__version__}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what this run could not try, here and, for ``make test``, in ``TEST_NOT_TRIED``."""
    skipped = (report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    reasons = (reason.removeprefix("Skipped: ") for reason in skipped)
    missing = sorted({r.removeprefix(PREFIX) for r in reasons if r.startswith(PREFIX)})
    this = f"Python {platform.python_version()} with Django {django.__version__}"
    lines = [f"{connection.display_name}: {what}" for what in missing]
    lines.append(f"any other pair than {this}: make matrix runs them")
    terminalreporter.section("not tried")
    for line in lines:
        terminalreporter.line(line)
    if file := os.environ.get("TEST_NOT_TRIED"):
        with Path(file).open("a") as summary:
            summary.writelines(f"{line}\n" for line in lines)
