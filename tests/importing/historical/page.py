"""Follows docs/import-simple-history.md, from the dry run to the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.capturing import next_moment
from tests.importing.historical.models import Writer
from tests.importing.together import begin, follow, switch
from tests.pages import LOG, page

pytestmark = pytest.mark.django_db(transaction=True)


def test_its_commands_lead_from_the_dry_run_to_the_history(
    capsys: pytest.CaptureFixture[str], client: Client
) -> None:
    begin()
    writer = Writer.objects.create(name="Ann")
    next_moment()
    writer.name = "Bea"
    writer.save()
    switch()
    follow("docs/import-simple-history.md", "historical", capsys)
    client.force_login(User.objects.create_superuser("reader"))
    said = page(client, f"{LOG}object/?table_name=historical_writer&object_id={writer.pk}")
    assert said.rindex("Ann") < said.rindex("Bea")
