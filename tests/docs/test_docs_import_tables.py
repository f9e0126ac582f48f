"""Runs the pages about importing logs that are one table, from the dry run to the admin."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.test import Client

from auditrepr.models import AuditLog
from tests.app.models import Author
from tests.capturing import next_moment, sql
from tests.examples import examples, steps, without_figures
from tests.old_log import begin
from tests.pages import LOG, page, reader
from tests.project import ROOT
from tests.table_logs import LOGGED_ACTIONS, SUPA_AUDIT, TableLog

__all__ = ["reader"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

PAGES = {"docs/import-supa-audit.md": SUPA_AUDIT, "docs/import-logged-actions.md": LOGGED_ACTIONS}
CONSOLE = {
    "docs/import-supa-audit.md": examples("docs/import-supa-audit.md", "console"),
    "docs/import-logged-actions.md": examples("docs/import-logged-actions.md", "console"),
}
STOP = {
    "docs/import-supa-audit.md": examples("docs/import-supa-audit.md", "sql"),
    "docs/import-logged-actions.md": examples("docs/import-logged-actions.md", "sql"),
}
# The functions and triggers of the real ones, as far as the pages name them.
DISABLE = """
CREATE FUNCTION audit.disable_tracking(regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP TRIGGER audit_trigger_row ON %s', $1);
    EXECUTE format('DROP TRIGGER audit_trigger_stm ON %s', $1);
END $$
"""


@pytest.fixture(params=PAGES)
def shown(request: pytest.FixtureRequest) -> Iterator[str]:
    """The page; its log has recorded how Ann became Bea."""
    log: TableLog = PAGES[request.param]
    sql("CREATE EXTENSION IF NOT EXISTS hstore")
    log.create()
    log.record(["app_author"])
    sql(
        DISABLE,
        "ALTER TRIGGER other_row ON app_author RENAME TO audit_trigger_row",
        "ALTER TRIGGER other_statement ON app_author RENAME TO audit_trigger_stm",
    )
    Author.objects.create(name="Ann")
    Author.objects.update(name="Bea")
    AuditLog.objects.all().delete()
    next_moment()
    begin()
    yield request.param
    log.drop()


@pytest.mark.proof
def test_its_commands_lead_from_the_dry_run_to_the_history(
    shown: str, reader: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    dry_run, rest = CONSOLE[shown]
    for command, output in [*steps(dry_run), *steps(rest)]:
        call_command(*shlex.split(command.removeprefix("python manage.py ")))
        printed = capsys.readouterr().out.replace("app_", "shop_").replace("app.", "shop.")
        if output:
            assert without_figures(printed) == without_figures(output), command
    author = Author.objects.get()
    said = page(reader, f"{LOG}object/?table_name=app_author&object_id={author.pk}")
    assert said.rindex("Ann") < said.rindex("Bea")
    assert PAGES[shown].source in page(reader, f"{LOG}{AuditLog.objects.earliest('pk').pk}/change/")


def test_its_sql_stops_the_other_log(shown: str) -> None:
    (stop,) = STOP[shown]
    sql(stop.replace("shop_author", "app_author"))
    ((before,),) = sql(f"SELECT count(*) FROM audit.{PAGES[shown].table}")
    Author.objects.update(name="Eve")
    assert sql(f"SELECT count(*) FROM audit.{PAGES[shown].table}") == [(before,)]


@pytest.mark.parametrize("name", PAGES)
def test_its_table_names_every_column_of_the_log(name: str) -> None:
    log = PAGES[name]
    sql("CREATE EXTENSION IF NOT EXISTS hstore")
    log.create()
    try:
        columns = sql(
            "SELECT attname FROM pg_attribute WHERE attnum > 0"
            f" AND attrelid = 'audit.{log.table}'::regclass"
        )
    finally:
        log.drop()
    named = set(re.findall(r"`(\w+)`", (ROOT / name).read_text()))
    # The number of a table is another one after each restore.
    assert {column for (column,) in columns} - named <= {"relid", "table_oid"}
