"""Tests what ``erase_from_audit_log`` asks, prints and refuses."""

from __future__ import annotations

import io
import os
import signal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

import auditrepr
from auditrepr.job import logs
from auditrepr.models import AuditLog, Erasure, Import
from tests.app.fields import ByPair
from tests.app.models import Author, Book
from tests.erasing import backfill, dump

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty() -> None:
    AuditLog.objects.all().delete()


def run(*arguments: str, **options: Any) -> list[str]:
    out = io.StringIO()
    call_command("erase_from_audit_log", *arguments, stdout=out, **options)
    start = f"{logs.named('default')}: "
    return [line.removeprefix(start) for line in out.getvalue().splitlines()]


def refused(code: int, *arguments: str, **options: Any) -> str:
    with pytest.raises(CommandError) as found:
        run(*arguments, interactive=False, **options)
    assert found.value.returncode == code
    return str(found.value)


def deleted_author() -> str:
    author = Author.objects.create(name="Ada Quill")
    Author.objects.filter(pk=author.pk).update(name="Ad")
    book = Book.objects.create(title="By Ada Quill", author=author)
    backfill()
    key = author.pk
    book.author = None
    book.save()
    author.delete()
    return f"app.Author:{key}"


@pytest.mark.proof
def test_it_erases_and_says_how_much():
    named = deleted_author()
    said = run("--object", named, interactive=False)
    assert said[0] == (
        "Erased in 5 events, 0 contexts, 3 representations, 0 failures and 0 runs, findings,"
        " imports or erasures."
    )
    assert said[1].startswith("1 value may stand for something else")
    assert "quill" not in dump()


@pytest.mark.proof
def test_a_dry_run_lists_what_it_would_touch_and_changes_nothing():
    named = deleted_author()
    before = dump()
    said = run("--object", named, "--dry-run")
    assert dump() == before
    assert said == [
        "2 events may still lack representations.",
        "Would erase in 3 own events (app_author.name 3).",
        "Would replace these texts wherever they are found: 'Ada Quill'.",
        "Too short to replace elsewhere, unless with --text: 'Ad'.",
        "Would erase in events of other objects: app_book.title 2.",
        "Would replace texts in 0 contexts.",
        "Would build again 1 other representation with such a text, and of its own 2 those that"
        " rest on what is erased.",
        "Would erase the texts of 0 failures.",
        "Would erase in runs, findings, imports and erasures: none.",
    ]


def test_a_dry_run_says_first_what_would_bring_it_back():
    user = User.objects.create(username="ada.quill")
    with auditrepr.context(user=user):
        author = Author.objects.create(name="Ada Quill")
    said = run("--object", f"app.Author:{author.pk}", "--dry-run")
    assert said[0].startswith("The current row still holds text in name, and its next event")
    said = run("--object", f"app.Author:{author.pk}", "--dry-run", "--keep-current")
    assert said[0] == "The current row fills name: these values would stay."


@pytest.mark.proof
def test_the_current_row_is_changed_first():
    author = Author.objects.create(name="Ada Quill")
    named = f"app.Author:{author.pk}"
    assert "The current row of app_author" in refused(1, "--object", named)
    Author.objects.update(name="Reader 1")
    run("--object", named, "--keep-current", interactive=False)
    assert "quill" not in dump()
    assert "reader 1" in dump()


def test_a_composite_key_is_a_json_array():
    ByPair.objects.create(left=5, right="ada.quill", note="x")
    ByPair.objects.all().delete()
    run("--object", 'app.ByPair:[5, "ada.quill"]', interactive=False)
    assert "quill" not in dump()


@pytest.mark.proof
def test_it_asks_first():
    named = deleted_author()
    with pytest.raises(CommandError, match="there is no terminal"):
        run("--object", named)
    assert "quill" in dump()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of --object and --actor is required"),
        (["--object", "app.Author:1", "--actor", "1"], "not allowed with"),
        (["--object", "app.Nothing:1"], "No installed model has the label 'app.Nothing'"),
        (["--object", "app.Author"], "Add the primary key"),
        (["--object", "app.Author:x"], "is not a primary key of app.Author"),
        (["--object", "app.ByPair:5"], r"give \[left, right\]"),
        (["--actor", ""], "the value is empty"),
        (["--actor", "1", "--keep-current"], "--keep-current: requires --object"),
    ],
)
def test_wrong_usage_is_refused(arguments: list[str], said: str):
    with pytest.raises(CommandError, match=said):
        run(*arguments, interactive=False)
    assert not Erasure.objects.exists()


def test_what_the_log_does_not_have_is_an_error():
    assert "no event of app_author 123456" in refused(1, "--object", "app.Author:123456")
    assert "no event of this actor" in refused(1, "--actor", "nobody")
    named = deleted_author()
    assert "no column 'nmae'" in refused(1, "--object", named, "--columns", "nmae")
    with auditrepr.context(user="17", reason="asked"):
        Author.objects.create(name="x")
    said = refused(1, "--actor", "17", "--columns", "raeson")
    assert "no column 'raeson'. Known are: reason, user." in said


def test_an_unfinished_import_is_finished_first():
    named = deleted_author()
    Import.objects.create(
        sources=["pghistory"], parts=[], until="2020-01-01T00:00Z", first_id=-9, last_id=-1
    )
    assert "The import of pghistory is unfinished" in refused(1, "--object", named)


@pytest.mark.proof
def test_a_signal_ends_it_after_a_batch_and_it_can_be_continued():
    named = deleted_author()

    class Output(io.StringIO):
        """Sends the signal after the first batch."""

        sent = False

        def write(self, text: str) -> int:
            if not self.sent:
                self.sent = True
                os.kill(os.getpid(), signal.SIGTERM)
            return super().write(text)

    out = Output()
    with pytest.raises(SystemExit) as ended:
        call_command(
            "erase_from_audit_log", object=named, interactive=False, verbosity=2, stdout=out
        )
    assert ended.value.code == 128 + signal.SIGTERM
    assert "Run the command again to continue." in out.getvalue()
    assert Erasure.objects.get().finished_at is None
    shown = io.StringIO()
    call_command("backfill_status", stdout=shown)
    assert "erasing     unfinished since" in shown.getvalue()
    run("--object", named, interactive=False)
    assert Erasure.objects.get().finished_at is not None
    assert "quill" not in dump()
