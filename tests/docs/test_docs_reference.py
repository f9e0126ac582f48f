"""Tests that docs/models-and-api.md names every model, field and public function."""

from __future__ import annotations

import ast
import re

import pytest
from django.apps import apps
from django.utils.module_loading import import_string

import auditrepr
from tests.examples import examples
from tests.project import ROOT

PAGE = (ROOT / "docs" / "models-and-api.md").read_text()
PACKAGE = ROOT / "auditrepr"
TABLE = "".join(re.findall(r"^\| (`auditrepr\..+?) \|", PAGE, re.MULTILINE))
NAMED = re.findall(r"`auditrepr\.([\w.]+)`", TABLE)
SIGNATURES = examples("docs/models-and-api.md", "python")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.+?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
MODELS = {model.__name__: model for model in apps.get_app_config("auditrepr").get_models()}

pytestmark = pytest.mark.sqlite


def test_every_model_has_its_section():
    assert set(SECTIONS) >= set(MODELS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_its_table_names_every_field(name):
    fields = {field.name for field in MODELS[name]._meta.concrete_fields}
    cells = re.findall(r"^\| (`.+?`) \|", SECTIONS[name], re.MULTILINE)
    assert {field for cell in cells for field in re.findall(r"`(\w+)`", cell)} == fields


def test_it_names_all_that_the_package_exports():
    assert {name for name in NAMED if "." not in name} == set(auditrepr.__all__)


@pytest.mark.parametrize("name", NAMED)
def test_what_it_names_as_public_is_there_and_says_what_it_is_for(name):
    assert import_string(f"auditrepr.{name}").__doc__


def test_its_signatures_are_those_of_the_code():
    files = (
        *("tracking/decorator", "attribution/context", "asof/api", "isolation/current"),
        *("models/log", "models/log_queryset", "restoration/api"),
    )
    shown = "\n".join(SIGNATURES)
    code = [_signatures((PACKAGE / f"{name}.py").read_text()) for name in files]
    assert sorted(_signatures(shown) - set().union(*code)) == []


def _signatures(source: str) -> set[str]:
    """The functions of a module, and the methods of its classes, without what they do."""
    found = set()
    for node in ast.parse(source).body:
        owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for function in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(function, ast.FunctionDef):
                returned = ast.unparse(function.returns) if function.returns else ""
                arguments = ast.unparse(function.args)
                found.add(f"{owner}{function.name}({arguments}) -> {returned}")
    return found
