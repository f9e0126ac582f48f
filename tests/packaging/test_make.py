"""Tests the Makefile: the Python that it uses, what it runs, and its exit codes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.missing import could_not_try
from tests.parts import PARTS
from tests.project import ROOT

FAILS_ON_SQLITE = """#!/bin/sh
echo "$TEST_DATABASE$TEST_PART: $*"
echo "$TEST_DATABASE: some extension" >>"$TEST_NOT_TRIED"
[ "$TEST_DATABASE" != sqlite ]
"""

#: In the order in which their parts run.
DATABASES = ("postgresql", "postgresql", "sqlite", "sqlite", "postgresql", "sqlite")

TELLS_EXAMPLES = """#!/bin/sh
echo "$TEST_DATABASE tries $TRUTH_EXAMPLES: $*"
[ "$TEST_DATABASE" != sqlite ]
"""

#: make hands on its flags, and the variables that it was given.
INHERITED = r"MAKE|MFLAGS|TEST_|(EXAMPLES|TRUTH_EXAMPLES|PYTHON|VENV|ARGS)$"

pytestmark = pytest.mark.sqlite


@pytest.fixture(autouse=True)
def _needs_make():
    if not shutil.which("make"):
        could_not_try("the Makefile", "make is not installed")


def make(*arguments: object, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    # Without what a make that runs these tests would pass on to its children.
    environment = {n: v for n, v in os.environ.items() if not re.match(INHERITED, n)}
    return subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory", *map(str, arguments)],
        env={**environment, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


def test_without_a_target_it_lists_every_one():
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test"} < set(targets)
    assert re.findall(r"make ([a-z]+)", make().stdout) == targets


def test_a_python_that_is_too_old_is_named_and_refused(tmp_path):
    old = program(
        tmp_path / "python", "#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.18\nexit 1"
    )
    done = make(f"VENV={tmp_path / 'venv'}", f"PYTHON={old}", tmp_path / "venv/bin/python")
    assert done.returncode != 0
    assert "needs Python 3.11 or later" in done.stderr
    assert "found only: Python 3.9.18." in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.proof
def test_it_passes_over_a_shim_that_stands_for_a_python_that_is_not_there(tmp_path):
    program(tmp_path / "bin/python3.13", "#!/bin/sh\necho not installed >&2; exit 127\n")
    program(tmp_path / "bin/python3.12", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    venv = tmp_path / "venv"
    done = make(f"VENV={venv}", venv / "bin/python", path=f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert done.stdout == f"python3.12 -m venv {venv}\n", done.stderr
    assert subprocess.check_output([venv / "bin/python", "-c", "print(1)"]) == b"1\n"


@pytest.mark.parametrize(
    ("target", "chosen"), [("test", ""), ("prove", " -m proof or sized")], ids=["test", "prove"]
)
@pytest.mark.parametrize("how", [(), ("-j2", "--output-sync=target")], ids=["", "at once"])
def test_the_tests_run_on_both_databases_whatever_the_first_one_says_and_fail_if_it_failed(
    tmp_path, how, target, chosen
):
    program(tmp_path / "bin/python", FAILS_ON_SQLITE)
    (tmp_path / "test").touch()
    done = make(*how, f"VENV={tmp_path}", target, "ARGS=-x")
    assert done.returncode != 0
    for part in PARTS:
        said = {name: f"== Tests on {name} part {part}\n" for name in ("sqlite", "postgresql")}
        said = {
            name: f"{title}{name}{part}: -m pytest{chosen} -x\n" for name, title in said.items()
        }
        assert said["postgresql"] in done.stdout
        assert f"{said['sqlite']}Tests failed on sqlite part {part}.\n" in done.stdout
    assert done.stdout.endswith(
        "== Not tried\npostgresql: some extension\nsqlite: some extension\n"
    )


def test_coverage_is_that_of_both_databases_together_and_of_no_suite_that_failed(tmp_path):
    (tmp_path / "test").touch()
    program(tmp_path / "bin/python", FAILS_ON_SQLITE)
    done = make(f"VENV={tmp_path}", "coverage", "ARGS=-x")
    assert done.returncode != 0
    assert (
        "sqlite2: -m coverage run -m pytest -m proof or not proof -x\nTests failed" in done.stdout
    )
    assert "report" not in done.stdout
    program(tmp_path / "bin/python", '#!/bin/sh\necho "$TEST_DATABASE: $*"')
    done = make(f"VENV={tmp_path}", "coverage")
    told = [line for line in done.stdout.splitlines() if " -m coverage" in line]
    assert done.returncode == 0
    assert told == [
        ": -m coverage erase",
        *(f"{name}: -m coverage run -m pytest -m proof or not proof" for name in DATABASES),
        ": -m coverage combine --quiet",
        ": -m coverage report",
    ]


def machines() -> list[Path]:
    """The test modules that try as many random histories as they are told."""
    texts = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    stateful = re.compile(r"^from hypothesis.stateful import", re.MULTILINE)
    return [path for path, text in texts.items() if stateful.search(text)]


def test_as_many_random_histories_as_asked_for_run_on_both_databases_and_fail_if_one_failed(
    tmp_path,
):
    program(tmp_path / "bin/python", TELLS_EXAMPLES)
    (tmp_path / "test").touch()
    done = make(f"VENV={tmp_path}", "truth", "EXAMPLES=7")
    assert done.returncode != 0
    told = [line.partition(": ") for line in sorted(done.stdout.splitlines())]
    assert [who for who, *_ in told] == ["postgresql tries 7", "sqlite tries 7"]
    for *_, command in told:
        files = command.removeprefix("-m pytest -s ").split()
        below = [path for file in files for path in [ROOT / file, *(ROOT / file).glob("test_*.py")]]
        assert set(machines()) <= set(below)
    program(tmp_path / "bin/python", "#!/bin/sh\ntrue\n")
    assert make(f"VENV={tmp_path}", "truth").returncode == 0
