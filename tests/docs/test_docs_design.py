"""Tests that docs/design.md draws the layers of the import contract, and names existing files."""

from __future__ import annotations

import configparser
import re

import pytest

from tests.examples import examples
from tests.project import ROOT

PACKAGE = ROOT / "auditrepr"
PAGE = (ROOT / "docs" / "design.md").read_text()
(PICTURE,) = examples("docs/design.md", "")

pytestmark = pytest.mark.sqlite


def layers() -> list[set[str]]:
    """The layers of the contract, the highest first."""
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter")
    lines = contract["importlinter:contract:flow"]["layers"].split("\n")
    return [set(re.findall(r"auditrepr\.(\w+)", line)) for line in lines if line.strip()]


def test_its_picture_has_the_layers_of_the_contract_in_their_order():
    drawn = [
        set(re.findall(r"(\w+)/?", re.split(r" {3,}", line)[0])) for line in PICTURE.splitlines()
    ]
    assert [names for names in drawn if names] == layers()


def test_the_contract_knows_every_module_and_folder():
    found = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    known = set().union(*layers())
    assert found - known == {"__init__", "migrations"}


def test_at_most_a_dozen_modules_stand_directly_in_the_package():
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_it_names_no_file_that_is_not_there():
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", PAGE))
    assert len(named) > 20
    files = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    names = {path.rpartition("/")[2] for path in files}
    assert sorted(name for name in named if name not in files | names) == []
