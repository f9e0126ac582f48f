"""Tests what the page about pruning shows."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from django.core.management import call_command

from auditrepr.conf import Settings
from auditrepr.models import AuditLog
from tests.app.models import Author
from tests.examples import examples

(SETTING,) = examples("docs/pruning.md", "python")
(CRONTAB,) = examples("docs/pruning.md", "text")


@pytest.mark.sqlite
def test_its_setting_gives_each_model_an_age() -> None:
    given: dict[str, Any] = {}
    exec(SETTING, given)
    kept = Settings.parse(given["AUDITREPR"]).RETENTION
    assert list(map(str, kept.values())) == ["90 days", "2 years", "7 years"]


@pytest.mark.django_db(transaction=True)
def test_its_line_for_cron_deletes_what_is_due(settings: Any) -> None:
    settings.AUDITREPR = {"RETENTION": {"app.Author": "90 days"}}
    AuditLog.objects.all().delete()
    Author.objects.create(name="Ann")
    (line,) = CRONTAB.splitlines()
    _, _, arguments = line.partition(" manage.py ")
    call_command(*shlex.split(arguments), verbosity=0)
    assert AuditLog.objects.count() == 1
