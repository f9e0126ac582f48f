"""docs/reference.md names every model with its fields, and all that is public."""

from __future__ import annotations

import re

import pytest
from django.apps import apps

import auditrepr
from tests.project import ROOT

PAGE = (ROOT / "docs" / "reference.md").read_text()
SECTIONS = dict(re.findall(r"^### (\w+)\n(.+?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
MODELS = {model.__name__: model for model in apps.get_app_config("auditrepr").get_models()}

pytestmark = pytest.mark.sqlite


def test_every_model_has_its_section():
    assert set(SECTIONS) == set(MODELS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_its_table_names_every_field(name):
    fields = {field.name for field in MODELS[name]._meta.concrete_fields}
    assert set(re.findall(r"^\| `(\w+)` \|", SECTIONS[name], re.MULTILINE)) == fields


def test_it_names_all_that_is_public():
    named = set(re.findall(r"^\| `auditrepr\.(\w+)` \|", PAGE, re.MULTILINE))
    assert named == set(auditrepr.__all__) - {"models"}
