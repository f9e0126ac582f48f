"""Tests what ``rebuild_reprs`` prints, shows and refuses."""

from __future__ import annotations

import json
import re

import pytest
from django.core.management import CommandError, call_command

from auditrepr.job import logs
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog, InstanceRepr, RebuildCursor
from tests.app.models import Author, Tag

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _stored(transactional_db, monkeypatch):
    AuditLog.objects.all().delete()
    Author.objects.bulk_create(Author(name=f"author {n}") for n in range(3))
    Tag.objects.create(label="tag")
    call_command("backfill_reprs", verbosity=0)
    monkeypatch.setattr(Author, "__str__", lambda author: author.name.title())


@pytest.fixture
def rebuild(capsys):
    def run(*arguments: str) -> list[str]:
        """What it says, without the database's name."""
        call_command("rebuild_reprs", *arguments)
        return capsys.readouterr().out.replace(f"{logs.named('default')}: ", "").splitlines()

    return run


def first_text() -> str:
    return InstanceRepr.objects.earliest("pk").instance_repr


def test_it_says_what_it_changed(rebuild):
    (done,) = rebuild()
    expected = r"Rebuilt 4 representations, 3 changed \(1 batch, \d+\.\d s\)\. Nothing left to do\."
    assert re.fullmatch(expected, done)
    assert first_text() == "Author 0"


@pytest.mark.proof
def test_a_run_cut_short_says_how_to_go_on(rebuild):
    stopped, how = rebuild("--max-seconds=0")
    assert stopped.endswith(" Stopped: time limit reached.")
    assert how == "To continue: manage.py rebuild_reprs --resume"
    assert RebuildCursor.objects.exists()
    assert rebuild("--resume")[0].startswith("Rebuilt 4 representations, 3 changed")
    assert rebuild("--resume")[0].startswith("Rebuilt 0 representations")


def test_a_new_run_says_that_it_gives_up_another(rebuild):
    rebuild("--max-seconds=0")
    discarded = "Discarded an interrupted rebuild. To continue one instead, use --resume."
    assert rebuild()[0] == discarded


def test_a_dry_run_shows_old_and_new_side_by_side(rebuild):
    head, *lines, last = rebuild("--dry-run", "--limit=2")
    assert head.split()[-1] == "representation"
    assert [line.split("  ", 5)[-1].strip() for line in lines] == [
        "author 0  →  Author 0",
        "author 1  →  Author 1",
    ]
    assert last == "3 of 4 representations in the first batch would change. Nothing was written."
    assert first_text() == "author 0"


def test_a_dry_run_as_json_is_one_document(rebuild):
    document = json.loads("\n".join(rebuild("--dry-run", "--format=json", "--model=app.Author")))
    assert (document["looked_at"], document["would_change"]) == (3, 3)
    row = document["events"][0]
    assert (row["stored"], row["representation"]) == ("author 0", "Author 0")
    assert (row["stored_fidelity"], row["fidelity"]) == ("exact", "exact")


def test_json_is_one_document(rebuild):
    document = json.loads("\n".join(rebuild("--format=json")))
    assert (document["again"], document["stored"], document["stop_reason"]) == (4, 3, "caught-up")


def test_what_cannot_be_built_is_named(rebuild, monkeypatch):
    def fail(author) -> str:
        raise ValueError("no name")

    monkeypatch.setattr(Author, "__str__", fail)
    _, failed, first = rebuild()
    assert failed == "3 could not be rebuilt and keep their text."
    assert re.fullmatch(r"First failure: event -?\d+: ValueError: no name", first)


def test_a_dry_run_says_that_what_cannot_be_rebuilt_keeps_its_text(rebuild, monkeypatch):
    def fail(author) -> str:
        raise ValueError("no name")

    monkeypatch.setattr(Author, "__str__", fail)
    *_, last = lines = rebuild("--dry-run")
    kept = ", 3 cannot be rebuilt and would keep their text. Nothing was written."
    assert last == f"0 of 4 representations in the first batch would change{kept}"
    assert sum("(cannot be built: ValueError: no name; keeps its text: " in x for x in lines) == 3


@pytest.mark.proof
def test_selections_reach_the_engine(rebuild):
    assert rebuild("--model=app.Tag")[0].startswith("Rebuilt 1 representation, 0 changed")
    assert rebuild("--mixed")[0].startswith("Rebuilt 0 representations")
    assert rebuild("--since=2020-01-01")[0].startswith("Rebuilt 4 representations")


def test_another_run_that_holds_the_lock_is_reported(rebuild):
    with DatabaseLock("default"):
        assert rebuild()[0].startswith("Another run holds the lock (process ")
        with pytest.raises(SystemExit) as raised:
            rebuild("--fail-if-locked")
    assert raised.value.code == 75


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model=app.Nobody"], "'app.Nobody' is not an audited model"),
        (["--since=yesterday"], "is not a date"),
        (["--resume", "--mixed"], "--resume keeps the original selection"),
        (["--resume", "--dry-run"], "not allowed with"),
        (["--batch-size=0"], "--batch-size"),
    ],
)
def test_a_mistake_is_one_clear_line(options, said, capsys):
    with pytest.raises(CommandError, match=said):
        call_command("rebuild_reprs", *options)
    assert "To continue" not in capsys.readouterr().out
