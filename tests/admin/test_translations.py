"""Tests that the catalogs in auditrepr/locale are complete and compiled, and used by pages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from tests.app.models import Author
from tests.missing import could_not_try
from tests.project import ROOT

GERMAN = ROOT / "auditrepr" / "locale" / "de" / "LC_MESSAGES" / "django.po"


def texts(entry: polib.POEntry) -> list[str]:
    return [entry.msgstr, *entry.msgstr_plural.values()][bool(entry.msgid_plural) :]


@pytest.mark.proof
@pytest.mark.sqlite
def test_every_text_of_the_code_and_the_templates_has_its_translation(tmp_path):
    if not shutil.which("xgettext"):
        could_not_try("whether translations are complete", "GNU gettext is not installed")
    package = Path(shutil.copytree(ROOT / "auditrepr", tmp_path / "auditrepr"))
    command = [sys.executable, "-m", "django", "makemessages", "-l", "de", "-v0"]
    subprocess.run(command, cwd=package, env={"PATH": os.environ["PATH"]}, check=True)
    found = polib.pofile(str(package / GERMAN.relative_to(ROOT / "auditrepr")))
    assert len(found) > 100
    assert [entry.msgid for entry in found if not entry.translated()] == []
    assert [entry.msgid for entry in found.obsolete_entries()] == []


@pytest.mark.sqlite
def test_what_is_compiled_is_what_is_written():
    written = {(e.msgid, *texts(e)) for e in polib.pofile(str(GERMAN))}
    compiled = {(e.msgid, *texts(e)) for e in polib.mofile(str(GERMAN.with_suffix(".mo")))}
    assert compiled == written


@pytest.mark.sqlite
def test_a_translation_has_the_placeholders_of_its_text():
    for entry in polib.pofile(str(GERMAN)):
        if "python-format" in entry.flags:
            wanted = set(re.findall(r"%(?:\(\w+\))?[ds]", entry.msgid))
            for text in texts(entry):
                assert set(re.findall(r"%(?:\(\w+\))?[ds]", text)) == wanted, entry.msgid


@pytest.mark.django_db(transaction=True)
def test_the_log_is_german_for_who_reads_german(django_user_model):
    Author.objects.create(name="Ann")
    reader = Client(headers={"accept-language": "de"})
    reader.force_login(django_user_model.objects.create_superuser("reader"))
    with translation.override("de"):
        page = reader.get(reverse("admin:auditrepr_auditlog_changelist")).content.decode()
    assert "hinzugefügt" in page
    assert re.search(r"geändert von", page, re.IGNORECASE)
    assert "changed by" not in page.lower()
