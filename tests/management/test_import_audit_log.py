"""Tests what ``import_audit_log`` asks, prints and refuses."""

from __future__ import annotations

import io
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from auditrepr.attribution import context
from auditrepr.job import logs
from auditrepr.job.importing import running
from auditrepr.models import AuditLog, Erasure, Import
from tests import old_log
from tests.app.models import Author, Book
from tests.capturing import next_moment, sql

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def other_log(settings: Any) -> Iterator[None]:
    """An old log with two events of an author and one of a book."""
    settings.AUDITREPR = old_log.SOURCES
    AuditLog.objects.all().delete()
    old_log.create()
    author = Author.objects.create(name="Ann")
    next_moment()
    Author.objects.update(name="Bea")
    next_moment()
    Book.objects.create(title="Go", author=author)
    old_log.switch()
    yield
    old_log.drop()


def run(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("import_audit_log", *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.mark.proof
def test_it_imports_and_says_what():
    assert run("ours", "--batch-size", "2") == (
        f"{logs.named('default')}: Imported 3 events.\n"
        "backfill_reprs stores their representations.\n"
    )
    assert AuditLog.objects.count() == 3
    assert run("ours", verbosity=0, until=AuditLog.objects.earliest("pk").occurred_at) == ""


@pytest.mark.proof
def test_it_says_how_many_events_it_leaves_out():
    sql(
        "INSERT INTO old_log (number, table_name, object_id, action, row_data, occurred_at)"
        " SELECT 100000, table_name, object_id, action, row_data, '2999-01-01 12:00:00'"
        " FROM old_log WHERE action = 'U'"
    )
    said = run("ours", "--dry-run")
    assert re.search(r"\n  Left out: 1 event from 20.* on; 1 is dated in the future\n", said)
    assert ": Imported 3 events.\n1 later event was left out.\n" in run("ours")


@pytest.mark.proof
def test_it_says_that_what_an_earlier_end_leaves_out_is_lost():
    (middle,) = sql("SELECT occurred_at FROM old_log ORDER BY number LIMIT 1 OFFSET 1")[0]
    asked = ["ours", "--until", str(middle) if "+" in str(middle) else f"{middle}+00:00"]
    assert "\nWhat auditrepr did not record cannot be imported after this import" in run(
        *asked, "--dry-run"
    )
    assert run(*asked).endswith(
        ": Imported 1 event.\n2 later events were left out.\nauditrepr did not record 2 of them,"
        " and they can no longer be imported: imported events come before all others.\n"
        "backfill_reprs stores their representations.\n"
    )


@pytest.mark.proof
def test_a_dry_run_of_what_was_imported_does_not_say_that_it_was_missed(capsys):
    run("ours")
    with pytest.raises(CommandError, match="was imported already"):
        call_command("import_audit_log", "ours", dry_run=True)
    said = capsys.readouterr().out
    assert "did not record" not in said
    assert "\n  Left out: 3 events from " in said


def test_who_imports_is_not_who_made_the_changes():
    sql("""UPDATE old_log SET context = '{"user": "7"}' WHERE action = 'U'""")
    with context(user="importer"):
        run("ours")
    updated = {"user": "7", "imported_from": "ours"}
    contexts = AuditLog.objects.order_by("pk").values_list("context", flat=True)
    assert list(contexts) == [{"imported_from": "ours"}, updated, {"imported_from": "ours"}]


def test_a_dry_run_shows_what_would_be_imported_and_how_it_would_read():
    sql("UPDATE old_log SET table_name = 'gone' WHERE table_name = 'app_book'")
    said = run("ours", "--dry-run")
    head, _, ours, author, gone, _, certain, _, shown, title, *rows = said.splitlines()
    assert head.startswith(f"{logs.named('default')}: Would import 3 events from before ")
    assert ours == "ours: it orders all of its events"
    assert author.startswith("  app_author  2 events from ")
    assert author.endswith(" 2 of them with all columns of today's table; of the latest 2: 2 exact")
    assert gone.startswith("  gone        1 event from ")
    assert gone.endswith(" 0 of them with all columns of today's table; of the latest 1: 1 mixed")
    assert certain.startswith("Values of an object's own row are exact")
    assert shown == "The latest events, as they would read:"
    assert title.split() == ["id", "time", "action", "model", "object", "representation"]
    assert [row.split()[-1] for row in rows[:2]] == ["Ann", "Bea"]
    assert "mixed: no installed model uses this table" in rows[2]
    assert not AuditLog.objects.exists()
    assert not Import.objects.exists()


def test_a_dry_run_names_every_refusal():
    sql("UPDATE old_log SET row_data = NULL WHERE action = 'U'")
    with pytest.raises(CommandError, match="would be refused") as raised:
        run("ours", "--dry-run", "--until", timezone.now().isoformat())
    first, *others = str(raised.value).splitlines()
    assert first == "This import would be refused:"
    assert [line[:15] for line in others] == ["- The log begin", '- Source "ours"']
    assert "1 have no JSON object as row_data" in others[1]


def test_an_interrupted_import_says_what_is_left_and_can_be_abandoned(monkeypatch):
    interrupt_after(monkeypatch, 1)
    out = io.StringIO()
    with pytest.raises(SystemExit) as raised:
        call_command("import_audit_log", "ours", "--batch-size", "1", stdout=out)
    assert raised.value.code == 128 + signal.SIGTERM
    assert out.getvalue().endswith("2 events are left. Repeat the command to continue.\n")
    with pytest.raises(CommandError, match="2 events are left"):
        run("theirs", "--dry-run")
    assert run("ours", "--dry-run") == (
        f"{logs.named('default')}: Would continue the import that is unfinished: 2 events are"
        " left.\n"
    )
    assert ": Ended the import; it has 1 event.\n" in run("ours", "--abandon")
    assert Import.objects.get().finished_at


def interrupt_after(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Send the process a signal after this many batches."""
    done = []
    batch = running._Importing._batch

    def signaled(self: Any, *arguments: int) -> int:
        done.append(1)
        if len(done) == batches:
            signal.raise_signal(signal.SIGTERM)
        return batch(self, *arguments)

    monkeypatch.setattr(running._Importing, "_batch", signaled)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["theirs"], "There is no source 'theirs'. Known sources: "),
        (["ours", "--until", "soon"], "'soon' is not a date"),
        (["ours", "--batch-size", "0"], "not a whole number"),
        (["ours", "--batch-size", "1000001"], "is too large"),
        (["ours", "--model", "app.Nothing"], "No installed model has the label 'app.Nothing'"),
        (["ours", "--dry-run", "--abandon"], "not allowed with"),
        (["ours", "--abandon"], "no unfinished import of ours"),
        (["ours", "--database", "nowhere"], "Unknown database"),
    ],
)
def test_what_it_refuses(arguments: list[str], said: str):
    with pytest.raises(CommandError, match=said):
        run(*arguments)
    assert not AuditLog.objects.exists()


def test_a_source_that_does_not_exist_is_wrong_usage():
    with pytest.raises(CommandError) as refused:
        run("theirs")
    assert refused.value.returncode == 2


def test_only_the_events_of_models():
    run("ours", "--model", "app.Book", "--model", "app.Tag")
    assert AuditLog.objects.get().table_name == "app_book"


@pytest.mark.postgresql
@pytest.mark.parametrize("rights", ["", "SELECT", "SELECT, INSERT, UPDATE, DELETE"])
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_role_without_rights_is_told_which_one_has_them(rights: str, more: list[str]):
    sql("DROP ROLE IF EXISTS importer", "CREATE ROLE importer")
    try:
        for table in connection.introspection.table_names() if rights else ():
            sql(f'GRANT {rights} ON "{table}" TO importer')
        sql("REVOKE INSERT ON auditrepr_auditlog FROM importer", "SET ROLE importer")
        with pytest.raises(CommandError, match=r"Run import_audit_log as the role that owns"):
            run("ours", *more)
    finally:
        sql("RESET ROLE", "DROP OWNED BY importer", "DROP ROLE importer")
    assert not AuditLog.objects.exists()


def test_a_source_that_is_named_twice_is_imported_once():
    run("ours", "ours")
    assert Import.objects.get().sources == ["ours"]


@pytest.mark.proof
def test_it_says_what_was_erased_before_and_how_to_erase_it_again():
    """Whatever the verbosity, and also if only a part of the import is done."""
    erased = "INSERT INTO auditrepr_erasure (subject, table_name, columns, by, started_at, events, contexts, representations, failures, others) VALUES (%s, %s, %s, 'me', %s, 0, 0, 0, 0, 0)"  # noqa: E501
    with connection.cursor() as cursor:
        for subject, table, columns, day in (
            ("object", "app_book", "", 1), ("object", "app_book", "", 3),
            ("object", "app_author", "about, name", 2), ("object", "gone", "", 1),
            ("actor", "", "", 4),
        ):  # fmt: skip
            cursor.execute(erased, [subject, table, columns, f"2026-02-0{day} 12:00:00+00:00"])
    said = "\n".join(run("ours", "--dry-run").splitlines()[-5:])
    erase, there = "manage.py erase_from_audit_log", "--database default"
    assert said == (
        "There were 5 erasures in this log, and imported events may name again what was erased."
        " After the import, erase it once more. No record says whom it was about, so put that"
        " in for PK or USER:\n"
        f"  once on 2026-02-04 12:00:00+00:00: {erase} --actor USER {there}\n"
        f"  2 times, the last on 2026-02-03 12:00:00+00:00: {erase} --object app.Book:PK {there}\n"
        f"  once on 2026-02-02 12:00:00+00:00: {erase} --object app.Author:PK --columns about"
        f" name {there}\n"
        f"  once on 2026-02-01 12:00:00+00:00: {erase} --object gone:PK {there}"
    )
    err = io.StringIO()
    assert run("ours", "--dry-run", verbosity=0) == ""
    run("ours", verbosity=0, stderr=err)
    assert err.getvalue() == f"{said}\n"


def test_an_import_that_is_abandoned_says_what_was_erased_too(monkeypatch):
    Erasure.objects.create(subject="actor", by="me")
    interrupt_after(monkeypatch, 1)
    err = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("import_audit_log", "ours", "--batch-size=1", verbosity=0, stderr=err)
    assert "There was an erasure in this log" in err.getvalue()
    assert "There was an erasure in this log" in run("ours", "--dry-run")
    err = io.StringIO()
    run("ours", "--abandon", verbosity=0, stderr=err)
    assert "There was an erasure in this log" in err.getvalue()
