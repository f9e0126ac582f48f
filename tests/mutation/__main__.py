"""Makes one small change of the code after another, and lists those that no test notices.

``python -m tests.mutation [module ...]`` works on the copy of the repository that it is started
in. It fails if a change survives that ``survivors.toml`` does not explain, and if one that is
explained there does not survive.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.commands import execute, init
from cosmic_ray.config import ConfigDict
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkItem, WorkResult

from tests.servers import postgres_url

HERE = Path(__file__).parent
PLAN = tomllib.loads((HERE / "plan.toml").read_text())
# A change may make a loop endless: the limit ends its test. No test takes this long without one.
PATIENCE = "-o faulthandler_timeout=40 -o faulthandler_exit_on_timeout=true"


@dataclass(frozen=True, order=True)
class Mutant:
    """A change, in the words of the code: an explanation outlives the lines above it."""

    module: str
    function: str
    was: str
    becomes: str

    def __str__(self) -> str:
        where = f"{self.module}.{self.function}" if self.function else self.module
        return f"{where}:\n  - {self.was}\n  + {self.becomes}"


def main(names: list[str]) -> int:
    unexplained: set[Mutant] = set()
    stale: set[Mutant] = set()
    for name in names or PLAN["modules"]:
        survivors = try_module(name)
        known = explained(name)
        unexplained |= survivors - known
        stale |= known - survivors
    for mutant in sorted(unexplained):
        print(f"No test notices, and survivors.toml does not explain: {mutant}")
    for mutant in sorted(stale):
        print(f"survivors.toml explains what a test notices, or what is gone: {mutant}")
    return bool(unexplained or stale)


def try_module(name: str) -> set[Mutant]:
    """The mutants that survive on SQLite and then on PostgreSQL."""
    path = Path("auditrepr", f"{name}.py")
    file = name.replace("/", "-")
    with use_db(f"{file}.sqlite") as first, use_db(f"{file}-postgresql.sqlite") as second:
        init([path], first, {})
        left = list(worth_trying(path, first))
        first.clear()
        first.add_work_items(left)
        left = [item for item, _ in survivors(name, "sqlite", first)]
        second.clear()
        second.add_work_items(left)
        return {as_mutant(name, *pair) for pair in survivors(name, "postgresql", second)}


def survivors(name: str, database: str, work: WorkDB) -> list[tuple[WorkItem, WorkResult]]:
    os.environ["TEST_DATABASE"] = database
    if database == "postgresql":
        postgres_url()  # one server for all, which the tests then find in the environment
    command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {PATIENCE} "
    config = ConfigDict(PLAN["cosmic-ray"])
    config["test-command"] = command + " ".join(PLAN["modules"][name])
    if run_tests(config.test_command, config.timeout)[0] is not TestOutcome.SURVIVED:
        sys.exit(f"On {database} this fails without any change: {config.test_command}")
    execute(work, config)
    tried = work.completed_work_items
    left = [(item, result) for item, result in tried if not result.is_killed]
    print(f"{name} on {database}: {len(tried)} tried, {len(left)} survive", flush=True)
    return left


def worth_trying(path: Path, work: WorkDB) -> Iterator[WorkItem]:
    """All but what the plan excludes, and but types and the star before keyword arguments."""
    without = re.compile("|".join(PLAN["exclude-operators"]))
    tree = ast.parse(path.read_text())
    types = list(annotations(tree))
    operations = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp)]
    for item in work.work_items:
        (change,) = item.mutations
        star = "BinaryOperator" in change.operator_name and not within(change, operations)
        if not (star or without.match(change.operator_name) or within(change, types)):
            yield item


def annotations(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if found := getattr(node, name, None):
                yield found


def within(change: MutationSpec, nodes: Sequence[ast.expr]) -> bool:
    return any(
        (node.lineno, node.col_offset)
        <= tuple(change.start_pos)
        < (node.end_lineno or 0, node.end_col_offset or 0)
        for node in nodes
    )


def as_mutant(module: str, item: WorkItem, result: WorkResult) -> Mutant:
    (change,) = item.mutations
    changed = (result.diff or "").splitlines()
    was, becomes = lines(changed, "-"), lines(changed, "+")
    return Mutant(module, change.definition_name or "", was, becomes)


def lines(diff: list[str], sign: str) -> str:
    """What follows this sign, as one line; the names of the files excepted."""
    found = (line for line in diff if line.startswith(sign) and not line.startswith(sign * 3))
    return " ".join(" ".join(line[1:] for line in found).split())


def explained(module: str) -> set[Mutant]:
    """The entry of one module in ``survivors.toml``."""
    entries = tomllib.loads((HERE / "survivors.toml").read_text()).get(module, [])
    return {
        Mutant(module, entry.get("in", ""), entry["was"], becomes)
        for entry in entries
        for becomes in entry["becomes"]
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
