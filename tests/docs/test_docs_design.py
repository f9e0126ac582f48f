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


def test_it_names_no_file_that_is_not_there():
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", PAGE))
    assert len(named) > 20
    files = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    names = {path.rpartition("/")[2] for path in files}
    assert sorted(name for name in named if name not in files | names) == []


def test_it_says_what_each_directory_of_tests_is_that_is_named_as_no_package():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - {"__pycache__"}
    parts = {path.stem for path in PACKAGE.iterdir()}
    paragraphs = PAGE[PAGE.index("The tests are in `tests/`") :].partition("\n## ")[0]
    assert sorted(folders - parts - set(re.findall(r"`(?:tests/)?(\w+)/`", paragraphs))) == []


def test_it_counts_the_imports_against_the_direction():
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter")
    ignored = contract["importlinter:contract:flow"]["ignore_imports"].strip().splitlines()
    assert ignored == ["auditrepr.models.log -> auditrepr.reprs"]
    assert "One import goes against the direction: `models/log.py` imports `reprs/`" in PAGE
