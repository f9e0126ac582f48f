"""Tests that ``migrate`` upgrades a database of an earlier version without loss."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.upgrading.project import Library, restored

pytestmark = pytest.mark.each_database

#: Written while the new code is installed and the old triggers are still there.
BETWEEN = [
    "INSERT INTO library_author (name) VALUES ('Cid')",
    "UPDATE library_author SET motto = 'so be it' WHERE name = 'Cid'",
]
#: Not kept as it was: the triggers are others.
#: 0 has become the beginning of the log (test_steps.py).
ALLOWED = {"auditrepr_coverage": {"triggers", "pruned_id"}, "auditrepr_checkpoint": {"swept_id"}}

MIGRATE = """
call_command("migrate", verbosity=0)
"""
REST = """
call_command("rebuild_reprs", "--resume", verbosity=0)
call_command("backfill_reprs", verbosity=0)
"""


class Upgrade(NamedTuple):
    """A database on its way."""

    library: Library
    before: dict[str, list[dict[str, Any]]]  # what is in each table
    after: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def upgrade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrade]:
    """The database right after ``migrate``; the first test is the only one that finds it so."""
    folder: Path = tmp_path_factory.mktemp("upgrading")
    with restored(folder) as library:
        for statement in BETWEEN:
            library.sql(statement)
        before = library.content()
        library.run(MIGRATE)
        yield Upgrade(library, before, library.content())


@pytest.fixture(scope="module")
def finished(upgrade: Upgrade) -> Upgrade:
    """The same, after the job has done all there was to do."""
    again = "default: 1 event of library.Author fails still: ValueError: no name (event 9)\n"
    upgrade.library.run(REST, errors=again)
    return upgrade


@pytest.mark.proof
def test_every_row_is_there_as_it_was(upgrade: Upgrade) -> None:
    assert len(upgrade.before["auditrepr_auditlog"]) == 14 + len(BETWEEN)
    for table, rows in upgrade.before.items():
        changed = ALLOWED.get(table, set())
        kept = [
            {name: row[name] for name in then if name not in changed}
            for then, row in zip(rows, upgrade.after[table], strict=True)
        ]
        assert kept == [
            {name: value for name, value in then.items() if name not in changed} for then in rows
        ], table


@pytest.mark.proof
def test_no_coverage_ends_and_known_gaps_are_still_known(upgrade: Upgrade) -> None:
    rows = upgrade.library.rows("auditrepr_coverage")
    assert [(row["table_name"], row["since_event"]) for row in rows] == [
        ("library_author", 0), ("library_book", 0), ("library_book_tags", 0), ("library_tag", 10),
    ]  # fmt: skip
    whole = [row["reason"] == "installed" for row in rows]
    assert whole == [True, True, True, False]


def test_the_triggers_are_todays_and_record(upgrade: Upgrade) -> None:
    said = upgrade.library.run("""
from auditrepr.job.monitoring import findings
from auditrepr import capture
import auditrepr
broken = [state.name for state in capture.inspect("default") if state.status in capture.BROKEN]
first = AuditLog.objects.latest("pk").pk
with auditrepr.context(user="bob", reason="test"):
    dee = Author.objects.create(name="Dee")
    book = Book.objects.create(title="Third", author=dee, price=1)
    book.tags.add(Tag.objects.create(label="new"))
    Book.objects.filter(pk=book.pk).delete()
rows = AuditLog.objects.filter(pk__gt=first).order_by("pk")
say([list(map(str, findings.of("default"))), broken,
     list(rows.values_list("table_name", "action", "actor"))])
""")
    assert said == [
        [],
        [],
        [
            ["library_author", "I", "bob"],
            ["library_book", "I", "bob"],
            ["library_tag", "I", "bob"],
            ["library_book_tags", "I", "bob"],
            ["library_book_tags", "D", "bob"],
            ["library_book", "D", "bob"],
        ],
    ]


def test_append_only_still_refuses(upgrade: Upgrade) -> None:
    for statement in (
        "UPDATE auditrepr_auditlog SET action = 'D'",
        "DELETE FROM auditrepr_auditlog",
    ):
        with pytest.raises(Exception, match="append-only"):
            upgrade.library.sql(statement)


@pytest.mark.proof
def test_the_job_goes_on_and_no_text_changes(finished: Upgrade) -> None:
    stored = {
        row["audit_log_id"]: (row["instance_repr"], row["fidelity"])
        for row in finished.library.rows("auditrepr_instancerepr")
    }
    pairs = [
        row["id"] for row in finished.before["auditrepr_auditlog"] if "tags" in row["table_name"]
    ]
    for row in finished.before["auditrepr_instancerepr"]:
        if row["audit_log_id"] not in pairs:  # which an open rebuild has given their words
            assert stored[row["audit_log_id"]] == (row["instance_repr"], row["fidelity"])
    texts = {number: text for number, (text, _) in stored.items()}
    assert [texts[number] for number in pairs] == [
        "First by Ann (poems, prose): tags + poems",
        "First by Ann (poems, prose): tags + prose",
        "First by Anna (poems, prose): tags - prose",
    ]
    assert [texts[number] for number in (12, 13, 14)] == ["prose", "Second by Anna (poems)", "Bea"]
    log = finished.library.rows("auditrepr_auditlog")
    new = [row for row in log if row["id"] > 14]
    assert [stored[row["id"]] for row in new[: len(BETWEEN)]] == [("Cid", "E"), ("Cid", "E")]
    assert len(stored) == len(log) - 1, "one fails still"
    assert not finished.library.rows("auditrepr_rebuildcursor")


def test_search_finds_what_is_old_and_what_is_new(finished: Upgrade) -> None:
    said = finished.library.run("""
from auditrepr.capture import search_index
from auditrepr.readers import search
from auditrepr.vendors.types import Window
by = search_index.index("default")
def found(text): return sorted(search.find("default", by, text, Window(), True).ids)
kind = "icontains" if by.anywhere else "istartswith"
def holds(event, text):
    pairs = [(old, event.row_data.get(name)) for name, old in event.changed_from.items()]
    return any(text.lower() in str(value).lower() for pair in pairs for value in pair)
def there(text):
    said = InstanceRepr.objects.filter(**{f"instance_repr__{kind}": text})
    updates = AuditLog.objects.filter(changed_from__isnull=False)
    return sorted({*(one.pk for one in said), *(e.pk for e in updates if holds(e, text))})
texts = ["First", "Second", "Anna", "so be it"]
say([by is not None, [found(text) == there(text) != [] for text in texts], found("Zoe")])
""")
    assert said == [True, [True] * 4, []]


def test_what_failed_is_known_and_can_be_retried(finished: Upgrade) -> None:
    (failure,) = finished.library.rows("auditrepr_reprfailure")
    assert (failure["audit_log_id"], failure["message"]) == (9, "no name")
    said = finished.library.run("""
Author.__str__ = lambda author: author.name
call_command("backfill_reprs", "--retry-failed", verbosity=0)
say(InstanceRepr.objects.get(audit_log=9).instance_repr)
""")
    assert said == "?"
    assert finished.library.rows("auditrepr_reprfailure") == []


@pytest.mark.proof
def test_the_runs_of_before_are_shown(upgrade: Upgrade) -> None:
    first = upgrade.library.rows("auditrepr_backfillrun")[0]
    assert (first["rows"], first["failures"], first["stop_reason"]) == (9, 1, "caught-up")
