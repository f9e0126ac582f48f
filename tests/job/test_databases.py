"""Tests several databases with a log: the job, the status, the admin and the queries."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from itertools import groupby

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client, override_settings
from django.urls import path
from django.utils import timezone

from auditrepr import capture
from auditrepr.admin import AuditHistoryMixin
from auditrepr.job import logs
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.runs import turns
from auditrepr.models import AuditLog, BackfillRun, Coverage, InstanceRepr, Lease, ReprFailure
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.unmigrated import unmigrated as no_migrations
from tests.unreachable import unreachable as nowhere

BOTH = ("default", "other")
pytestmark = [
    pytest.mark.django_db(transaction=True, databases=BOTH),
    pytest.mark.urls(__name__),
]

site = admin.AdminSite()
site._registry.update(admin.site._registry)
site.register(Author, AuditHistoryMixin)
urlpatterns = [path("admin/", site.urls)]


@pytest.fixture(autouse=True)
def _empty_logs(transactional_db):
    for alias in BOTH:
        AuditLog.objects.using(alias).all().delete()


@pytest.fixture
def authors():
    """One in each database, told apart by their names."""
    return [Author.objects.using(alias).create(name=alias) for alias in BOTH]


@pytest.fixture
def unreachable(tmp_path):
    """The database "default" is nowhere to be found."""
    sqlite = connections["default"].vendor == "sqlite"
    with nowhere("default", NAME=str(tmp_path / "no" / "such") if sqlite else "nowhere"):
        yield


@pytest.fixture
def unmigrated():
    """A migration is pending in the database "default"."""
    with no_migrations():
        yield


def stored(alias: str) -> list[str]:
    return list(InstanceRepr.objects.using(alias).values_list("instance_repr", flat=True))


def fail(author) -> str:
    raise ValueError("no name")


def test_without_a_name_the_job_works_on_every_database_with_lines_for_each(authors, capsys):
    call_command("backfill_reprs")
    assert [stored(alias) for alias in BOTH] == [["default"], ["other"]]
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{logs.named('default')}: Stored 1 representation, ")
    assert second.startswith(f"{logs.named('other')}: Stored 1 representation, ")
    assert [BackfillRun.objects.using(alias).get().rows for alias in BOTH] == [1, 1]


@pytest.mark.parametrize("named", [["other"], ["other", "default"], ["other", "other"]])
def test_databases_are_named_one_or_several_each_once(named, authors, capsys):
    call_command("backfill_reprs", *(f"--database={alias}" for alias in named))
    assert len(capsys.readouterr().out.splitlines()) == len(set(named))
    assert [stored(alias) != [] for alias in BOTH] == [alias in named for alias in BOTH]


def test_a_lock_that_is_held_keeps_no_other_database_waiting(authors):
    with DatabaseLock("default"), pytest.raises(SystemExit) as ended:
        call_command("backfill_reprs", "--fail-if-locked", verbosity=0)
    assert ended.value.code == 75
    assert [stored(alias) for alias in BOTH] == [[], ["other"]]


def test_one_that_cannot_be_reached_keeps_no_other_from_its_turn(authors, unreachable, capsys):
    with pytest.raises(CommandError, match='Could not connect to database "default"') as ended:
        call_command("backfill_reprs", "--format=json")
    assert ended.value.returncode == 1
    assert stored("other") == ["other"]
    first, second = json.loads(capsys.readouterr().out)
    assert (first["database"], first["stop_reason"]) == ("default", "error")
    assert (second["database"], second["stored"]) == ("other", 1)


def test_the_exit_code_is_the_worst(authors, unreachable, monkeypatch):
    """3 for failures in one database; 1 where another one cannot be reached besides."""
    monkeypatch.setattr(Author, "__str__", fail)
    with pytest.raises(SystemExit) as ended:
        call_command("backfill_reprs", "--strict", "--database=other", verbosity=0)
    assert ended.value.code == 3
    with pytest.raises(CommandError, match="Could not connect"):
        call_command("backfill_reprs", "--strict", verbosity=0)


@pytest.mark.proof
def test_while_several_have_work_they_take_turns(monkeypatch):
    monkeypatch.setattr(turns, "TURN", 1.0)
    for alias in BOTH:
        Author.objects.using(alias).bulk_create(Author(name=alias) for _ in range(25))
    built: list[str] = []

    def slowly(author) -> str:
        time.sleep(0.1)
        built.append(author.name)
        return author.name

    monkeypatch.setattr(Author, "__str__", slowly)
    call_command("backfill_reprs", "--batch-size=1", verbosity=0)
    assert [len(stored(alias)) for alias in BOTH] == [25, 25]
    assert len([name for name, _ in groupby(built)]) >= 4, "neither waited for all of the other"


@pytest.mark.proof
def test_retrying_goes_on_where_the_turn_before_ended(monkeypatch):
    monkeypatch.setattr(turns, "TURN", 1.0)
    Author.objects.bulk_create(Author(name=f"{n}") for n in range(25))
    tried: list[str] = []

    def fails(author) -> str:
        time.sleep(0.1)
        tried.append(author.name)
        raise ValueError

    monkeypatch.setattr(Author, "__str__", fails)
    call_command("backfill_reprs", verbosity=0)
    tried.clear()
    call_command("backfill_reprs", "--retry-failed", "--batch-size=1", verbosity=0)
    assert sorted(tried, key=int) == [str(n) for n in range(25)]
    assert set(ReprFailure.objects.values_list("attempts", flat=True)) == {2}


def test_max_batches_is_for_each_database(authors):
    for alias in BOTH:
        Author.objects.using(alias).bulk_create(Author(name=alias) for _ in range(3))
    call_command("backfill_reprs", "--batch-size=1", "--max-batches=2", verbosity=0)
    assert [len(stored(alias)) for alias in BOTH] == [2, 2]


class Clock:
    """Time passes as the turns say that it does."""

    def __init__(self, monkeypatch) -> None:
        self.now = 0.0
        self.taken: list[tuple[str, float | None]] = []
        monkeypatch.setattr(turns.time, "monotonic", lambda: self.now)

    def run(self, work: dict[str, float], max_seconds: float | None) -> dict[str, float]:
        """What is left of so many seconds of work."""

        def turn(alias: str, seconds: float | None) -> bool:
            self.taken.append((alias, seconds))
            done = work[alias] if seconds is None else min(seconds, work[alias])
            work[alias] -= done
            self.now += done
            return work[alias] > 0

        turns.take_turns(list(work), turn, max_seconds)
        return work


def test_a_turn_takes_two_minutes_at_most_and_no_database_is_left_out(monkeypatch):
    clock = Clock(monkeypatch)
    assert clock.run({"a": 500.0, "b": 10.0, "c": 130.0}, None) == {"a": 0, "b": 0, "c": 0}
    assert {seconds for _, seconds in clock.taken} == {120.0}
    assert [alias for alias, _ in clock.taken[:6]] == ["a", "b", "c", "a", "b", "c"]


def test_one_database_alone_is_not_cut_into_turns(monkeypatch):
    clock = Clock(monkeypatch)
    assert clock.run({"a": 500.0}, None) == {"a": 0}
    assert clock.taken == [("a", None)]


def test_max_seconds_is_for_the_whole_run_and_is_shared(monkeypatch):
    clock = Clock(monkeypatch)
    assert clock.run({"a": 500.0, "b": 500.0}, 100.0) == {"a": 450.0, "b": 450.0}
    assert clock.now == 100.0
    assert Clock(monkeypatch).run({"a": 5.0, "b": 5.0}, 0.0) == {"a": 5.0, "b": 5.0}


def test_what_one_does_not_need_of_the_time_another_gets(monkeypatch):
    clock = Clock(monkeypatch)
    left = clock.run({"a": 500.0, "b": 0.0}, 100.0)
    assert left["a"] == pytest.approx(400.0, abs=2)


def test_a_second_alias_of_a_database_is_no_second_log():
    there = connections["other"]
    connections["other"] = connections["default"].copy(alias="other")
    try:
        assert logs.aliases() == ["default"]
    finally:
        connections["other"].close()
        connections["other"] = there
    assert logs.aliases() == ["default", "other"]


@pytest.mark.proof
def test_a_database_without_a_log_is_left_out_and_named_it_is_an_error():
    call_command("migrate", "auditrepr", "zero", verbosity=0, database="other")
    try:
        assert logs.aliases() == ["default"]
        call_command("backfill_reprs", verbosity=0)
        with pytest.raises(CommandError, match=r'"other" has unapplied migrations of auditrepr\.'):
            call_command("backfill_reprs", "--database=other", verbosity=0)
    finally:
        call_command("migrate", verbosity=0, database="other")


COMMANDS = [
    ["backfill_reprs", "--database=default"],
    ["backfill_status", "--database=default"],
    ["rebuild_reprs"],
    ["seal_audit_log"],
    ["verify_audit_log"],
    ["export_audit_log", "--format=jsonl"],
    ["prune_audit_log", "--before=2020-01-01"],
    ["audit_triggers", "check", "--database=default"],
]


class LogInOther:
    def allow_migrate(self, db, app_label, **hints):
        return db == "other" if app_label == "auditrepr" else None


class LogNowhere:
    def allow_migrate(self, db, app_label, **hints):
        return False if app_label == "auditrepr" else None


@pytest.mark.proof
def test_where_a_router_keeps_the_log_out_the_error_names_the_databases_that_have_one(settings):
    call_command("migrate", "auditrepr", "zero", verbosity=0, database="default")
    try:
        settings.DATABASE_ROUTERS = [LogInOther()]
        for command in COMMANDS:
            with pytest.raises(CommandError, match=r"router .* out of .*: --database other\."):
                call_command(*command, verbosity=0)
        settings.DATABASE_ROUTERS = [LogNowhere()]
        with pytest.raises(CommandError, match="Let it return None or True for auditrepr"):
            call_command("backfill_reprs", verbosity=0)
    finally:
        settings.DATABASE_ROUTERS = []
        call_command("migrate", verbosity=0, database="default")


@pytest.mark.proof
def test_the_status_shows_every_database(authors, capsys):
    call_command("backfill_status")
    text = capsys.readouterr().out
    assert [f"{'database':<12}{logs.named(alias)}" in text for alias in BOTH] == [True, True]
    call_command("backfill_status", "--format=json")
    documents = json.loads(capsys.readouterr().out)
    assert [document["database"] for document in documents] == list(BOTH)
    call_command("backfill_status", "--format=prometheus")
    lines = capsys.readouterr().out.splitlines()
    assert 'auditrepr_pending_rows{database="other"} 1' in lines
    heads = [line for line in lines if line.startswith("#")]
    assert len(heads) == len(set(heads)), "a metric has one head"


def test_a_lag_in_any_database_is_an_error_that_names_it(authors):
    call_command("backfill_reprs", "--database=default", verbosity=0)
    with pytest.raises(CommandError, match=r"^other: The oldest pending event has waited"):
        call_command("backfill_status", "--max-lag=0s")


def test_what_is_wrong_in_each_database_is_a_line_that_names_it(authors, monkeypatch):
    """Even if it is the same everywhere: a single line would hide one of them."""
    monkeypatch.setattr(Author, "__str__", fail)
    call_command("backfill_reprs", verbosity=0)
    with pytest.raises(CommandError) as ended:
        call_command("backfill_status")
    lines = str(ended.value).splitlines()
    failed = "1 event failed within 1 h. The admin lists them."
    assert [f"{alias}: {failed}" in lines for alias in BOTH] == [True, True]


def test_a_database_that_waits_for_migrate_keeps_no_other_from_its_turn(
    authors, unmigrated, capsys
):
    call_command("backfill_reprs", "--format=json")
    first, second = json.loads(capsys.readouterr().out)
    assert (first["database"], first["stop_reason"]) == ("default", "migrations")
    assert (second["database"], second["stored"]) == ("other", 1)
    assert [stored(alias) for alias in BOTH] == [[], ["other"]]


@pytest.mark.proof
def test_what_is_not_recorded_is_reported_for_the_database_where_it_is(authors, capsys):
    vendor = get_vendor("other")
    vendor.execute(vendor.remove_sql("app_author"))
    try:
        call_command("backfill_reprs", verbosity=0)
    finally:
        capture.install("other")
        Coverage.objects.using("other").update(reason=Coverage.Reason.INSTALLED)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('Database "other": app_author: triggers are missing')
    assert line.endswith("Run: manage.py audit_triggers install --database other")


def test_a_database_that_cannot_be_reached_hides_no_other_from_the_status(unreachable, capsys):
    with pytest.raises(CommandError, match='Could not connect to database "default"'):
        call_command("backfill_status", "--format=json")
    unread, read = json.loads(capsys.readouterr().out)
    assert (unread["database"], read["database"]) == ("default", "other")
    assert 'Could not connect to database "default"' in unread["error"]
    assert unread["lag_seconds"] is unread["migrations_pending"] is read["error"] is None
    assert (read["lag_seconds"], read["migrations_pending"]) == (0, [])


def test_prometheus_is_told_which_database_it_knows_nothing_of(unreachable, capsys):
    with pytest.raises(CommandError):
        call_command("backfill_status", "--format=prometheus")
    samples = capsys.readouterr().out.splitlines()
    assert [s for s in samples if 'database="default"' in s] == [
        'auditrepr_up{database="default"} 0'
    ]
    assert 'auditrepr_up{database="other"} 1' in samples
    assert 'auditrepr_migrations_pending{database="other"} 0' in samples


def test_locks_are_released_where_they_are_held(capsys):
    with DatabaseLock("other"):
        call_command("backfill_status", "--release-lock", "--no-input")
        assert not Lease.objects.using("other").exclude(token=None).exists()
    nobody, free = capsys.readouterr().out.splitlines()
    assert nobody == f"{logs.named('default')}: The database lock is not held."
    assert free.startswith(f"{logs.named('other')}: Lock released.")


class AuthorsElsewhere:
    """They are in the other database."""

    def db_for_read(self, model, **hints):
        return "other" if model is Author else None

    db_for_write = db_for_read


@pytest.fixture
def elsewhere() -> Iterator[Author]:
    with override_settings(DATABASE_ROUTERS=["tests.job.test_databases.AuthorsElsewhere"]):
        Author.objects.using("default").create(name="namesake")
        author = Author.objects.create(name="Astrid")
        author.name = "Berta"
        author.save()
        yield author


def test_the_events_of_an_object_are_looked_for_where_it_is(elsewhere):
    found = AuditLog.objects.for_object(elsewhere).order_by("pk")
    assert [event.row_data["name"] for event in found] == ["Astrid", "Berta"]
    asked = AuditLog.objects.using("default").for_object(elsewhere)
    assert {event.row_data["name"] for event in asked} <= {"namesake"}, "as it was asked for"
    assert AuditLog.objects.for_object(Author(pk=elsewhere.pk)).count() == 2, "by the router"


@pytest.fixture
def client():
    found = Client()
    found.force_login(User.objects.create_superuser("root"))
    return found


@pytest.mark.proof
def test_the_history_of_an_object_and_its_links_lead_to_its_own_log(elsewhere, client):
    call_command("backfill_reprs", verbosity=0)
    page = client.get(f"/admin/app/author/{elsewhere.pk}/history/")
    assert b"Astrid" in page.content
    assert b"Berta" in page.content
    assert b"namesake" not in page.content
    event = AuditLog.objects.for_object(elsewhere).earliest("pk")
    address = f"/admin/auditrepr/auditlog/{event.pk}/change/?database=other"
    assert address.encode() in page.content
    shown = client.get(address).content.decode()
    assert "Astrid" in shown
    assert "database=other" in shown, "and its links stay there"
    timeline = "/admin/auditrepr/auditlog/object/"
    given = {"table_name": "app_author", "object_id": elsewhere.pk, "database": "other"}
    assert b"Astrid" in client.get(timeline, given).content


def test_the_list_of_events_is_that_of_the_chosen_database(elsewhere, client):
    page = client.get("/admin/auditrepr/auditlog/")
    assert b"?database=other" in page.content, "the filter offers it"
    assert b"Astrid" not in page.content
    chosen = client.get("/admin/auditrepr/auditlog/", {"database": "other"})
    assert b"Astrid" in chosen.content
    event = AuditLog.objects.for_object(elsewhere).earliest("pk")
    links = re.findall(rf'/{event.pk}/change/\?([^"]+)"', chosen.content.decode())
    assert links
    assert all("database=other" in link.split("&amp;") for link in links)
    nowhere = client.get("/admin/auditrepr/auditlog/", {"database": "nowhere"})
    assert nowhere.status_code == 404


@pytest.mark.proof
def test_the_pages_of_runs_and_failures_are_those_of_the_chosen_database(
    elsewhere, client, monkeypatch
):
    monkeypatch.setattr(Author, "__str__", fail)
    call_command("backfill_reprs", "--database=other", verbosity=0)
    number = BackfillRun.objects.using("other").get().pk
    BackfillRun.objects.using("other").update(id=number + 7000)  # in no other list
    runs, failures = "/admin/auditrepr/backfillrun/", "/admin/auditrepr/reprfailure/"
    usual = client.get(runs).content.decode()
    assert f"{runs}{number + 7000}/" not in usual
    assert "ValueError" not in usual
    assert logs.named("default") in unescape(usual), "it says which is shown"
    assert "?database=other" in usual, "and offers the other one"

    chosen = client.get(runs, {"database": "other"}).content.decode()
    assert links(chosen, number + 7000) == {"database=other"}
    assert logs.named("other") in unescape(chosen)
    assert f"{failures}?database=other" in chosen
    assert client.get(f"{runs}{number + 7000}/change/?database=other").status_code == 200

    listed = client.get(failures, {"database": "other"}).content.decode()
    assert "ValueError" in listed
    assert "ValueError" not in client.get(failures).content.decode()
    failed = ReprFailure.objects.using("other").latest("pk")
    assert links(listed, failed.pk) == {"database=other"}
    page = client.get(f"{failures}{failed.pk}/change/?database=other")
    assert "no name" in page.content.decode()

    given = {"table_name": "app_author", "error_class": "ValueError"}
    later = timezone.now() + timedelta(days=1)
    ReprFailure.objects.using("other").update(next_attempt_at=later)
    done = client.post(f"{runs}retry/?database=other", given)
    assert done.url == f"{runs}?database=other"
    assert not ReprFailure.objects.using("other").filter(next_attempt_at__gte=later).exists()


def links(page: str, number: int) -> set[str]:
    """Where the links to the page of this row lead, besides to the row."""
    found = re.findall(rf'/{number}/change/\?([^"]+)"', page)
    return {part for link in found for part in unescape(link).split("&") if part[0] != "_"}


@pytest.mark.proof
def test_a_page_begins_with_what_is_wrong_in_the_chosen_database(elsewhere, client):
    vendor = get_vendor("other")
    vendor.execute(vendor.remove_sql("app_author"))
    said = "app_author: triggers are missing"
    try:
        for page in ("auditlog", "backfillrun"):
            address = f"/admin/auditrepr/{page}/"
            assert said not in client.get(address).content.decode()
            assert said in client.get(address, {"database": "other"}).content.decode()
    finally:
        capture.install("other")


def test_a_file_lock_by_the_setting_is_one_for_each_database(tmp_path):
    from auditrepr.job.locks.file import FileLock

    with (
        override_settings(AUDITREPR={"LOCK_FILE": str(tmp_path / "lock")}),
        FileLock("default") as one,
        FileLock("other") as two,
    ):
        assert (bool(one), bool(two)) == (True, True)
