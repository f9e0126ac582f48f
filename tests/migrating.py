"""Takes the app ``tests.drifting`` through its migrations while its tables are audited."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from auditrepr import capture
from auditrepr.capture import coverage
from auditrepr.lineage import renames
from auditrepr.models import AuditLog, Coverage
from auditrepr.reprs import Outcome, build
from auditrepr.vendors.types import Event
from tests import restoring
from tests.capturing import audit

APP = "drifting"
LAST = "0005_more_columns"
TABLES = ["shop", "label", "item", "item_labels", "ticket", "reading", "person", "visit", "late"]


def migrate(name: str | None) -> Any:
    """Apply the migrations up to this one; gives the models as they are then."""
    executor = MigrationExecutor(connection)
    _leave_out_other_models(executor)
    renames._RECENT.clear()  # a migration takes longer than that is good for
    return executor.migrate([(APP, name)], fake=False).apps


def _leave_out_other_models(executor: MigrationExecutor) -> None:
    """Render the app's own models alone: no other model is related to them."""
    executor.loader.unmigrated_apps = set()


class Then:
    """The app's models as of one of its migrations."""

    def __init__(self, name: str) -> None:
        self._apps = migrate(name)

    def __getattr__(self, name: str) -> Any:
        return self._apps.get_model(APP, name).objects


def from_the_beginning() -> Then:
    """The app as of its first migration, audited and nothing else is."""
    restoring.prepare("drifting", _begin)
    return Then("0001_initial")  # which is applied: these are its models


def _begin() -> None:
    # On SQLite a schema change takes the triggers of all audited tables away for once.
    capture.remove("default")
    migrate(None)
    migrate("0001_initial")
    names = [f"{APP}_{table}" for table in TABLES]
    for name in names:
        audit(name)
    AuditLog.objects.all().delete()
    coverage.start("default", dict.fromkeys(names, Coverage.Reason.INSTALLED))


def today() -> None:
    """The rest of the migrations, and the app's triggers as ``migrate`` leaves them."""
    migrate(LAST)
    states = capture.inspect("default")
    capture.install("default", [state.name for state in states if state.name.startswith(APP)])


def built(*tables: str) -> list[Outcome]:
    """What becomes of the events of these tables, in their order."""
    rows = AuditLog.objects.exclude(action="T").order_by("pk")
    rows = rows.filter(table_name__in=tables) if tables else rows
    return build([Event.of(row) for row in rows], "default")


def texts(*tables: str) -> list[str]:
    """The same, where everything is represented and exact."""
    outcomes = built(*tables)
    assert [o for o in outcomes if o.failure or o.reason] == []
    return [outcome.text for outcome in outcomes]
