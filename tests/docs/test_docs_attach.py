"""Runs the page about reading another log in place, from the first command to the way back."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from auditrepr.models import AuditLog
from tests.app.models import Author
from tests.attaching.attached import detach
from tests.capturing import sql
from tests.examples import examples, steps, without_figures
from tests.pages import LOG, page, reader
from tests.table_logs import SUPA_AUDIT

__all__ = ["reader"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

PAGE = "docs/attach.md"
FIRST, SECOND, BACK = examples(PAGE, "console")
(INDEX,) = examples(PAGE, "sql")


@pytest.fixture
def recorded() -> Iterator[None]:
    """supa_audit has recorded how Ann became Bea, and auditrepr nothing."""
    SUPA_AUDIT.create()
    SUPA_AUDIT.record(["app_author"])
    Author.objects.create(name="Ann")
    Author.objects.update(name="Bea")
    AuditLog.objects.all().delete()
    yield
    detach()
    SUPA_AUDIT.drop()


@pytest.mark.proof
@pytest.mark.usefixtures("recorded")
def test_its_commands_lead_to_the_history_and_back(
    reader: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    ((first, _),) = steps(FIRST)
    with pytest.raises(CommandError) as caught:
        run(first)
    statements = re.findall(r"CREATE INDEX [^;]+;", str(caught.value))
    assert statements[0] == INDEX.strip()
    sql(*(one.replace(" CONCURRENTLY", "") for one in statements))
    for command, output in [*steps(SECOND), *steps(BACK)]:
        if "detach" in command:
            author = Author.objects.get()
            said = page(reader, f"{LOG}object/?table_name=app_author&object_id={author.pk}")
            assert said.rindex("Ann") < said.rindex("Bea")
        capsys.readouterr()
        run(command)
        # The tests audit more tables than the page's project.
        printed = re.sub(r"Removed auditrepr's own .*\n", "", capsys.readouterr().out)
        printed = re.sub(r"record \d+ tables", "record 1 table", printed)
        if output:
            assert without_figures(printed) == without_figures(output), command
    assert not AuditLog.objects.exists()


def run(command: str) -> None:
    call_command(*shlex.split(command.removeprefix("python manage.py ")))
