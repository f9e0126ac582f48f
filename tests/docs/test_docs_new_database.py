"""Tests that docs/new-database.md names every part of the interface, and only existing ones."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from auditrepr import vendors
from tests.project import ROOT

PAGE = (ROOT / "docs" / "new-database.md").read_text()
NAMED = set(re.findall(r"`([^`]+)`", PAGE))
NUMBERS = {"eight": 8, "nine": 9, "ten": 10, "eleven": 11}
BASE = "auditrepr/vendors/base"

pytestmark = pytest.mark.sqlite


def test_every_file_and_folder_that_it_names_exists():
    paths = {name for name in NAMED if re.fullmatch(r"[\w./]+", name) and "/" in name}
    paths |= NAMED & {".importlinter", "setup.cfg", "Makefile", "README.md"}
    assert len(paths) >= 12
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_its_table_has_every_facet_with_its_class_and_its_tests():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| .+ \| `([\w/.]+)` \|$", PAGE, re.MULTILINE)
    modules = {file.stem for file in (ROOT / BASE).glob("*.py")} - {"__init__", "facet"}
    assert {module for module, _, _ in rows} == modules
    for module, facet, tests in rows:
        assert hasattr(import_module(f"auditrepr.vendors.base.{module}"), facet)
        assert tests == f"tests/vendors/test_{module}.py"


def test_its_text_and_checklist_have_as_many_facets_as_the_table():
    table = re.findall(r"^\| `(\w+)` \| `\w+Facet` ", PAGE, re.MULTILINE)
    (number,) = re.findall(r"which has (\w+) facets", PAGE)
    assert NUMBERS[number] == len(table)
    (modules,) = re.findall(r"with the modules (.+?)\. Keep", PAGE)
    assert sorted(re.findall(r"`(\w+)`", modules)) == sorted(table)


def test_the_names_that_the_checklist_gives_are_defined_where_it_says():
    places = re.findall(r"`(\w+)` in `([\w/]+\.py)`", PAGE)
    places += re.findall(r"`(\w+)` of `([\w/]+\.py)`", PAGE)
    assert {name for name, _ in places} >= {"Facet", "_CLASSES", "database_settings", "IMPATIENT"}
    undefined = [
        (name, path)
        for name, path in places
        if not re.search(rf"^(?:class |def )?{name}\b", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert undefined == []


def test_the_short_ways_to_ask_are_methods():
    (listed,) = re.findall(r"has the short ways to ask: (.+?)\.\n", PAGE)
    facet = import_module("auditrepr.vendors.base.facet").Facet
    ways = re.findall(r"`(\w+)`", listed)
    assert len(ways) == 5
    assert all(callable(getattr(facet, way)) for way in ways)


def test_it_names_every_database_that_is_supported():
    first, *_ = re.findall(r"auditrepr works on (.+?)\.", PAGE)
    assert set(first.split(" and ")) == {
        path.partition(".")[2] for path in vendors._CLASSES.values()
    }


def test_the_commands_that_it_gives_are_targets():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make (\w+)`", PAGE)) <= set(targets)


def test_other_pages_lead_to_it():
    for page in ("index.md", "design.md"):
        assert "(new-database.md)" in (ROOT / "docs" / page).read_text()
