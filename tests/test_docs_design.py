"""docs/design.md says where what stands: of every module, and of none that is not there."""

from __future__ import annotations

import re

import pytest

from tests.examples import examples
from tests.project import ROOT

PACKAGE = ROOT / "auditrepr"
PAGE = (ROOT / "docs" / "design.md").read_text()
(TABLE,) = re.findall(r"^\| module \|.+?\n\n", PAGE, re.MULTILINE | re.DOTALL)
NAMED = {name.rpartition("/")[2].removesuffix(".py") for name in re.findall(r"`([\w/.]+)`", TABLE)}
MODULES = {
    file.stem
    for file in PACKAGE.rglob("*.py")
    if file.stem != "__init__" and file.parent.name not in ("commands", "migrations")
}

(FLOW,) = examples("docs/design.md", "")

pytestmark = pytest.mark.sqlite


def test_its_table_names_every_module():
    assert sorted(MODULES - NAMED) == []


def test_its_table_names_no_module_that_is_not_there():
    assert set(re.findall(r"`(?:[\w/]+/)?(\w+)\.py`", TABLE)) <= MODULES


def test_its_flow_names_modules_commands_and_models_that_are_there():
    commands = {file.stem for file in (PACKAGE / "management" / "commands").glob("*.py")}
    (steps,) = re.findall(r"\(pending\).+", FLOW)
    assert set(re.findall(r"\w+", steps)) <= MODULES
    assert set(re.findall(r"\w+_reprs", FLOW)) <= commands
    assert set(re.findall(r"[A-Z][a-z]+[A-Z]\w+", FLOW)) == {"AuditLog", "InstanceRepr"}
