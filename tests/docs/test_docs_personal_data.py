"""Erases a person as the page shows it."""

from __future__ import annotations

import io
import shlex

import pytest
from django.core.management import call_command

import auditrepr
from auditrepr.models import AuditLog
from tests.app.models import Author, Book
from tests.erasing import backfill, dump
from tests.examples import examples, steps, without_figures

pytestmark = pytest.mark.django_db(transaction=True)

CONSOLE = examples("docs/personal-data.md", "console")


@pytest.mark.proof
def test_its_commands_print_what_it_shows_and_nothing_is_left():
    AuditLog.objects.all().delete()
    author = Author.objects.create(name="Ada Quill")
    key = author.pk
    with auditrepr.context(user="17", reason="a letter of Ada Quill"):
        Book.objects.create(title="Letters to Ada Quill")
    author.delete()
    backfill()
    shown = [step for block in CONSOLE for step in steps(block)]
    assert shown
    for command, output in shown:
        arguments = shlex.split(command.replace("app.Author:2", f"app.Author:{key}"))[2:]
        printed = io.StringIO()
        call_command(*arguments, stdout=printed)
        assert without_figures(printed.getvalue()) == without_figures(output)
    assert "quill" not in dump()
