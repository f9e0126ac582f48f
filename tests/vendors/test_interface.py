"""Tests that the conformance tests cover the interface, and that the vendors implement it."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

from auditrepr.vendors import _CLASSES
from auditrepr.vendors.base import (
    AsOfFacet,
    AttachFacet,
    CaptureFacet,
    ErasingFacet,
    ImportFacet,
    PartitionFacet,
    SealFacet,
    SearchFacet,
    StoreFacet,
    Vendor,
)
from auditrepr.vendors.base.facet import Facet

#: The facets by their module, which has the same name in each vendor, and here with ``test_``.
FACETS: dict[str, type[Facet]] = {
    "capture": CaptureFacet,
    "asof": AsOfFacet,
    "store": StoreFacet,
    "search": SearchFacet,
    "imports": ImportFacet,
    "seal": SealFacet,
    "erasing": ErasingFacet,
    "partitions": PartitionFacet,
    "attaching": AttachFacet,
}
HERE = Path(__file__).parent
BASE = Path(inspect.getfile(Vendor)).parent

pytestmark = pytest.mark.sqlite  # which asks no database


def methods(facet: type[Facet]) -> set[str]:
    """Return the names of the methods that a vendor may define."""
    return {name for name, value in vars(facet).items() if inspect.isfunction(value)}


def flags(facet: type[Facet]) -> set[str]:
    return set(inspect.get_annotations(facet))


def asked(file: Path) -> set[str]:
    """The attributes of ``vendor`` that the tests of a file use."""
    return {
        node.attr
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "vendor"
    }


def vendor_class(name: str) -> type[Vendor]:
    module, _, class_name = _CLASSES[name].partition(".")
    found: type[Vendor] = getattr(import_module(f"auditrepr.vendors.{module}"), class_name)
    return found


def test_every_facet_is_known_here():
    assert {file.stem for file in BASE.glob("*.py")} == {"__init__", "facet", *FACETS}
    assert set(Vendor.__mro__) >= set(FACETS.values())


@pytest.mark.parametrize("module", FACETS)
def test_every_method_and_every_flag_of_a_facet_has_a_test(module: str):
    facet = FACETS[module]
    assert sorted((methods(facet) | flags(facet)) - asked(HERE / f"test_{module}.py")) == []


@pytest.mark.parametrize("module", FACETS)
def test_every_abstract_method_says_what_it_returns(module: str):
    facet = FACETS[module]
    silent = [name for name in methods(facet) if not getattr(facet, name).__doc__]
    assert silent == []


@pytest.mark.parametrize("module", FACETS)
def test_every_flag_has_a_comment_with_its_meaning(module: str):
    lines = (BASE / f"{module}.py").read_text().splitlines()
    for flag in flags(FACETS[module]):
        (place,) = (n for n, line in enumerate(lines) if line.startswith(f"    {flag}: "))
        assert lines[place - 1].startswith("    # Whether ")


@pytest.mark.parametrize("name", _CLASSES)
def test_a_vendor_answers_all_of_it(name: str):
    vendor = vendor_class(name)
    assert not inspect.isabstract(vendor)
    for facet in FACETS.values():
        assert all(isinstance(getattr(vendor, flag), bool) for flag in flags(facet))


@pytest.mark.parametrize("module", FACETS)
@pytest.mark.parametrize("name", _CLASSES)
def test_a_vendor_answers_in_the_facets_module_with_its_parameters(name: str, module: str):
    facet = FACETS[module]
    home = import_module(f"{vendor_class(name).__module__}.{module}")
    (here,) = (
        one
        for one in vars(home).values()
        if inspect.isclass(one) and one.__module__ == home.__name__ and issubclass(one, facet)
    )
    for method in facet.__abstractmethods__:
        answer = getattr(vendor_class(name), method)
        assert answer is getattr(here, method), method
        wanted = inspect.signature(getattr(facet, method)).parameters
        assert list(inspect.signature(answer).parameters) == list(wanted), method


def test_the_suite_asks_for_no_vendors_name():
    files = [HERE / f"test_{module}.py" for module in FACETS]
    names = {*_CLASSES, *(c.partition(".")[2] for c in _CLASSES.values())}
    for file in files:
        text = file.read_text()
        assert not [name for name in names if name.lower() in text.lower()], file.name
