"""Signal receivers for ``migrate``, and what runs on new connections."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.apps import AppConfig
from django.db import transaction
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate

from . import capture
from .asof import query_interceptor
from .attribution import instrumentation, propagation
from .capture import append_only, attachment, flush, schema_editor, search_index
from .exceptions import LogBusy, UnsupportedDatabase
from .isolation import backends
from .job.partitions.making import keep_ahead
from .lineage import renames
from .models import AuditLog
from .vendors import get_vendor


def connect(app_config: AppConfig) -> None:
    """Connect the receivers that keep the triggers up to date, once for each ``migrate``."""
    pre_migrate.connect(before_migrate, sender=app_config)
    post_migrate.connect(after_migrate, sender=app_config)
    post_migrate.connect(renames.forget_recent, sender=app_config)
    connection_created.connect(propagation.connect)
    connection_created.connect(query_interceptor.connect)
    instrumentation.connect()
    backends.connect()
    schema_editor.connect()
    flush.connect()


def before_migrate(*, using: str, plan: Iterable[Any] = (), **_: Any) -> None:
    """Remove the triggers before a migration drops the log's tables.

    Triggers without a log would make every write fail.
    """
    label = AuditLog._meta.app_label
    if any(back and step.app_label == label and step.name == "0001_initial" for step, back in plan):
        if attachment.attached(using):
            with transaction.atomic(using):
                get_vendor(using).detach()
        capture.remove(using)
        get_vendor(using).drop_partition_support()


def after_migrate(*, using: str, verbosity: int = 0, stdout: Any = None, **_: Any) -> None:
    """Update the triggers, the append-only triggers and the search index after ``migrate``."""
    try:
        attached = attachment.refresh(using)
        changed = capture.install(using)
        if append_only.missing(using):
            append_only.install(using)
        index = search_index.install(using)
    except UnsupportedDatabase:
        return  # a system check has said so
    told = []
    with suppress(LogBusy):  # the job tries again, and a finding says so in time
        if (parts := keep_ahead(using, wait=5)) and parts.made:
            told.append("  Made further partitions of the audit log\n")
    if changed:
        names = ", ".join(state.name for state in changed)
        told.append(f"  Updated audit triggers: {names}\n")
    if index:
        told.append(f"  Representation search:  {search_index.MADE[index.anywhere]}\n")
    if attached:
        told.append(
            f"  Updated the view of {attached.source}, which the audit log is attached to\n"
        )
        told += [f"    {line}\n" for line in _indexes(attached.indexes)]
    if told and verbosity >= 1:
        (stdout or sys.stdout).write("".join(told))  # the one method that every stream has


def _indexes(statements: list[str]) -> list[str]:
    """Return lines that say which indexes are needed."""
    if not statements:
        return []
    return ["Look-ups are slow until the owner of its table runs:", *(f"{s};" for s in statements)]
