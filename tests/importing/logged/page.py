"""Follows docs/import-auditlog.md, from the dry run to the admin."""

from __future__ import annotations

import pytest
from auditlog.models import LogEntry
from django.test import Client

from tests.importing.logged.models import Writer
from tests.importing.together import begin, lead_to_the_history

pytestmark = pytest.mark.django_db(transaction=True)


def test_its_commands_lead_from_the_dry_run_to_the_history(
    capsys: pytest.CaptureFixture[str], client: Client
) -> None:
    begin()
    LogEntry.objects.all().delete()
    lead_to_the_history("docs/import-auditlog.md", Writer, capsys, client)
