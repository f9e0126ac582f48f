"""Tests the package's layout: few modules at the top, and every package in the import contract.

``make lint`` checks the contract itself (``.importlinter``).
"""

from __future__ import annotations

import re
from configparser import ConfigParser

import pytest

from tests.project import ROOT

PACKAGE = ROOT / "auditrepr"
CONTRACT = ConfigParser()
CONTRACT.read(ROOT / ".importlinter")

#: What imports packages, and is imported by none.
TOP = "auditrepr"
REGISTRY = "auditrepr.vendors"

pytestmark = pytest.mark.sqlite


def children(package: str) -> set[str]:
    """The modules and packages that stand directly in this package."""
    folder = ROOT.joinpath(*package.split("."))
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    packages = {file.parent.name for file in folder.glob("*/__init__.py")} - {"migrations"}
    return {f"{package}.{name}" for name in modules | packages}


def listed(contract: str, option: str) -> set[str]:
    """The modules that an option of a contract names."""
    text = CONTRACT[f"importlinter:contract:{contract}"][option]
    return set(text.replace("|", " ").split())


def test_at_most_a_dozen_modules_stand_directly_in_the_package():
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_every_package_and_module_has_its_layer():
    assert listed("flow", "layers") == children(TOP)


def test_every_module_but_the_registry_may_name_no_database():
    databases = listed("backends", "forbidden_modules")
    everything = (children(TOP) | children(REGISTRY)) - {REGISTRY}
    assert listed("backends", "source_modules") == everything - databases


def test_every_database_is_independent_of_the_others():
    assert listed("vendors", "modules") == listed("backends", "forbidden_modules")


def test_one_import_is_the_exception_of_all_contracts():
    ignored = {
        name: contract["ignore_imports"].strip().splitlines()
        for name, contract in CONTRACT.items()
        if "ignore_imports" in contract
    }
    declared = ["auditrepr.models.log -> auditrepr.reprs"]
    assert ignored == dict.fromkeys(
        map("importlinter:contract:{}".format, ("flow", "cycles")), declared
    )


def test_no_test_module_imports_from_another():
    imported = re.compile(r"^\s*(?:from|import) tests(?:\.\w+)*\.test_\w+", re.MULTILINE)
    assert imported.search("from tests.job.test_locks import write\n")
    texts = {path: path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    assert [path.name for path, text in texts.items() if imported.search(text)] == []
