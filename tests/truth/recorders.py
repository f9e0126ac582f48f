"""Other logs that record the same histories as ours, until ours begins."""

from __future__ import annotations

from abc import ABC, abstractmethod

from django.core.management import call_command
from django.test import override_settings

from auditrepr.models import AuditLog
from tests import old_log
from tests.capturing import next_moment, sql
from tests.table_logs import AUDIT_LOG, FORMER_ACTIONS, LOGGED_ACTIONS, SUPA_AUDIT, TableLog
from tests.truth.world import MODELS, PAIRS


class Recorder(ABC):
    """Another log."""

    source: str

    @abstractmethod
    def create(self) -> None:
        """Let it record from now on."""

    @abstractmethod
    def drop(self) -> None:
        """Let nothing of it be left."""

    @abstractmethod
    def empty(self) -> None:
        """Forget what was recorded."""

    @abstractmethod
    def switch(self) -> None:
        """Let what was recorded so far be in this log alone, and auditrepr's begin now."""

    def bring(self, batch_size: int) -> None:
        """Import it."""
        call_command("import_audit_log", self.source, batch_size=batch_size, verbosity=0)


class OldLog(Recorder):
    """A log of the project's own; it gets what ours has recorded, at the switch."""

    source = "ours"

    def create(self) -> None:
        old_log.create()

    drop = staticmethod(old_log.drop)
    empty = create
    switch = staticmethod(old_log.switch)

    def bring(self, batch_size: int) -> None:
        with override_settings(AUDITREPR=old_log.SOURCES):
            super().bring(batch_size)


class Triggers(Recorder):
    """A log in one table, which goes on after the switch."""

    def __init__(self, log: TableLog) -> None:
        self.log = log
        self.source = log.source

    def create(self) -> None:
        sql("CREATE EXTENSION IF NOT EXISTS hstore")
        self.log.create()
        models = [parent for model in MODELS for parent in model._meta.get_parent_list()]
        self.log.record(sorted({m._meta.db_table for m in [*MODELS, *PAIRS, *models]}))

    def drop(self) -> None:
        self.log.drop()

    def empty(self) -> None:
        sql(f"TRUNCATE audit.{self.log.table}")

    def switch(self) -> None:
        AuditLog.objects.all().delete()
        next_moment()
        old_log.begin()
        next_moment()


RECORDERS: dict[str, Recorder] = {
    "ours": OldLog(),
    "supa_audit": Triggers(SUPA_AUDIT),
    "logged_actions": Triggers(LOGGED_ACTIONS),
    "logged_actions, first": Triggers(FORMER_ACTIONS),
    "pg-audit-json": Triggers(AUDIT_LOG),
}
