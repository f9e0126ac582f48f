"""Other logs that record the same histories as ours, until ours begins."""

from __future__ import annotations

from abc import ABC, abstractmethod

from django.test import override_settings

from auditrepr.job import importing
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog
from tests import old_log
from tests.capturing import next_moment, sql
from tests.table_logs import AUDIT_LOG, FORMER_ACTIONS, LOGGED_ACTIONS, SUPA_AUDIT, TableLog
from tests.truth.world import MODELS, PAIRS


class Recorder(ABC):
    """Another log, or several."""

    sources: tuple[str, ...]

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
        """Import it, interrupted after each batch."""
        request = importing.Request("default", self.sources)
        lock = DatabaseLock("default")
        while importing.run(request, lock=lock, batch_size=batch_size, stop=lambda: True).left:
            pass


class OldLog(Recorder):
    """A log of the project's own; it gets what ours has recorded, at the switch."""

    sources = ("ours",)

    def create(self) -> None:
        old_log.create()

    drop = staticmethod(old_log.drop)
    empty = create
    switch = staticmethod(old_log.switch)

    def bring(self, batch_size: int) -> None:
        with override_settings(AUDITREPR=old_log.SOURCES):
            super().bring(batch_size)


class Triggers(Recorder):
    """Logs in one table, which go on after the switch; each records every so many tables."""

    def __init__(self, *logs: TableLog) -> None:
        self.logs = {f"audit_{n}": log for n, log in enumerate(logs)}
        self.sources = tuple(log.source for log in logs)

    def create(self) -> None:
        sql("CREATE EXTENSION IF NOT EXISTS hstore")
        models = [parent for model in MODELS for parent in model._meta.get_parent_list()]
        tables = sorted({m._meta.db_table for m in [*MODELS, *PAIRS, *models]})
        for n, (schema, log) in enumerate(self.logs.items()):
            log.create(schema)
            log.record(tables[n :: len(self.logs)], schema=schema)

    def drop(self) -> None:
        for schema, log in self.logs.items():
            log.drop(schema)

    def empty(self) -> None:
        sql(*(f"TRUNCATE {schema}.{log.table}" for schema, log in self.logs.items()))

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
    "two logs": Triggers(SUPA_AUDIT, LOGGED_ACTIONS),
}
