"""Where auditrepr acts without being called: at ``migrate``, and on new connections."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate

from . import append_only, capture, flush, origins, renames, schema, search, telling, threads
from .exceptions import UnsupportedDatabase
from .models import AuditLog
from .vendors.sqlite.capture import fire_triggers_on_replace


def connect(app_config: AppConfig) -> None:
    """Let ``migrate`` keep the triggers in step; once a ``migrate``, not once for each app."""
    pre_migrate.connect(before_migrate, sender=app_config)
    post_migrate.connect(after_migrate, sender=app_config)
    post_migrate.connect(renames.look_again, sender=app_config)
    connection_created.connect(fire_triggers_on_replace)
    connection_created.connect(telling.connect)
    connection_created.connect(threads.connect)
    origins.connect()
    schema.connect()
    flush.connect()


def before_migrate(*, using: str, plan: Iterable[Any] = (), **_: Any) -> None:
    """Triggers whose log is about to go would make every write fail."""
    label = AuditLog._meta.app_label
    if any(back and step.app_label == label and step.name == "0001_initial" for step, back in plan):
        capture.remove(using)


def after_migrate(*, using: str, verbosity: int = 0, stdout: Any = None, **_: Any) -> None:
    """Whatever changed the tables, the triggers fit them now."""
    try:
        changed = capture.install(using)
        if append_only.missing(using):
            append_only.install(using)
        index = search.install(using)
    except UnsupportedDatabase:
        return  # a system check has said so
    told = []
    if changed:
        names = ", ".join(state.name for state in changed)
        told.append(f"  Audit triggers brought up to date: {names}\n")
    if index:
        told.append(f"  Search in representations: {search.MADE[index.anywhere]}\n")
    if told and verbosity >= 1:
        (stdout or sys.stdout).writelines(told)
