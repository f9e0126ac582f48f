"""Runs the benchmarks at tiny sizes from end to end; people look at the figures."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import COUNTS, NAMES, WORKERS, arguments
from benchmarks.table import milliseconds, show, times
from tests.examples import examples

pytestmark = [pytest.mark.proof, pytest.mark.each_database]

ROOT = Path(__file__).parent.parent.parent
DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
(COMMANDS,) = examples("docs/benchmarks.md", "")
TITLES = {
    "idle": "### Idle run",
    "trickle": "### Trickle",
    "drain": "### Drain",
    "relations": "### Relations",
    "asked": "### Asked",
    "pairs": "### Pairs",
    "searched": "### Search index",
    "opened": "### Open transaction",
    "capture": "### Capture",
    "indexes": "### What each index of the log costs its writer",
    "export": "### Export",
    "imported": "### Imported",
    "seal": "### Seal",
    "tables": "### Audited tables",
    "shared": "### Shared",
    "bytes": "### Bytes",
    "years": "### Years",
}


def test_every_benchmark_runs_and_prints_its_table() -> None:
    # On a server of their own: they want it durable, and with an extension that counts.
    theirs = ("DJANGO_SETTINGS_MODULE", "TEST_POSTGRES_URL")
    kept = {name: value for name, value in os.environ.items() if name not in theirs}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--database", DATABASE, "--rows", "600",
         "--repeat", "1"],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    untried = {"opened", "bytes"} if DATABASE == "sqlite" else set()
    for name in set(NAMES) - untried:
        assert TITLES[name] in done.stdout, name
    for of in ("an idle run", "a batch of 1,000 rows, no relations"):
        assert numbers(of, "tables", done.stdout) == COUNTS
    assert numbers("no relations", "workers?", done.stdout) == WORKERS


def numbers(of: str, what: str, output: str) -> list[int]:
    """Those of the lines of a table: ``of, 3 what``."""
    return [int(found) for found in re.findall(rf"^\| {of}, (\d+) {what} ", output, re.MULTILINE)]


def test_the_commands_that_the_page_shows_are_understood() -> None:
    lines = [line.partition("#")[0].strip() for line in COMMANDS.splitlines()]
    made = [line for line in lines if line.startswith("make bench")]
    given = [line.partition("-m benchmarks")[2] for line in lines if line not in made]
    assert len(made) == 2
    assert given[0].strip() == "--help"
    given += [shlex.split(line)[-1].removeprefix("ARGS=") for line in made[1:]]
    for line in given[1:]:
        assert arguments(shlex.split(line)).names


@pytest.mark.parametrize("name", ["tables", "shared"])
def test_numbers_after_the_names_are_those_of_tables_or_workers(name: str) -> None:
    assert (given := arguments([name, "3", "1_000"])).names == [name]
    assert given.counts == [3, 1000]
    assert arguments([name]).counts == []  # those that each has by default


def test_an_unknown_benchmark_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["drian"])
    assert "there is no benchmark 'drian'" in capsys.readouterr().err


def test_a_database_can_be_kept_only_on_a_server_that_stays(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_POSTGRES_URL", raising=False)
    with pytest.raises(SystemExit):
        arguments(["idle", "--keep"])
    assert "name it in TEST_POSTGRES_URL" in capsys.readouterr().err


def test_tables_are_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    show("Title", ["", "rows/s"], [["auditrepr", 12345], ["none", None]])
    assert capsys.readouterr().out.splitlines() == [
        "",
        "### Title",
        "",
        "|           | rows/s |",
        "| --------- | -----: |",
        "| auditrepr | 12,345 |",
        "| none      |      – |",
    ]


def test_figures_are_short() -> None:
    assert (times(1.234), times(56.7)) == ("1.23×", "57×")
    assert (milliseconds(0.0123), milliseconds(12.3)) == ("12.3 ms", "12.30 s")
