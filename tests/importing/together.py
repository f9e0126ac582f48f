"""Two logs of the same story: what both have recorded is compared."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from auditrepr import capture
from auditrepr.capture import coverage
from auditrepr.models import AuditLog, Coverage, InstanceRepr
from tests.capturing import next_moment
from tests.examples import examples, steps, without_figures
from tests.pages import LOG, page

Event = tuple[Any, ...]
FIELDS = ("object_id", "action", "row_data", "changed_from")


def begin() -> None:
    """Let the log be empty, and all tables be covered."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    capture.install("default")
    AuditLog.objects.all().delete()


def recorded(*fields: str) -> dict[str, list[Event]]:
    """Return what the log has of each table, in its order."""
    found = defaultdict(list)
    for table, *values in AuditLog.objects.order_by("pk").values_list(
        "table_name", *(fields or FIELDS)
    ):
        found[table.partition("_")[2]].append(tuple(values))
    return found


def switch() -> dict[str, list[Event]]:
    """Return what auditrepr has recorded by table, and let it begin now."""
    found = recorded()
    AuditLog.objects.all().delete()
    next_moment()
    names = Coverage.objects.values_list("table_name", flat=True)
    coverage.start("default", dict.fromkeys(names, Coverage.Reason.INSTALLED))
    next_moment()
    return found


def follow(page_name: str, label: str, capsys: Any) -> None:
    """Run the commands of a page; they must print what it shows.

    :param label: of the application, which is a shop there.
    """
    for block in examples(page_name, "console"):
        for command, output in steps(block):
            call_command(*shlex.split(command.removeprefix("python manage.py ")))
            printed = re.sub(
                rf"\b{label}\b(?=[_.])|\b{label}(?=_)", "shop", capsys.readouterr().out
            )
            if output:
                assert without_figures(printed) == without_figures(output), command


def lead_to_the_history(page_name: str, writer: Any, capsys: Any, client: Client) -> None:
    """Rename a writer, then follow the page: the history in the admin must show both names.

    :param writer: the model, of the application that is a shop on the page.
    """
    ann = writer.objects.create(name="Ann")
    next_moment()
    ann.name = "Bea"
    ann.save()
    switch()
    follow(page_name, writer._meta.app_label, capsys)
    client.force_login(User.objects.create_superuser("reader"))
    said = page(client, f"{LOG}object/?table_name={writer._meta.db_table}&object_id={ann.pk}")
    assert said.rindex("Ann") < said.rindex("Bea")


def represented() -> dict[str, list[Event]]:
    """Return what is stored for each table's events, in their order."""
    call_command("backfill_reprs", verbosity=0)
    found = defaultdict(list)
    rows = InstanceRepr.objects.order_by("pk")
    for table, *stored in rows.values_list("audit_log__table_name", "instance_repr", "fidelity"):
        found[table.partition("_")[2]].append(tuple(stored))
    return found
