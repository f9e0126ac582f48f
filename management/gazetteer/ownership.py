"""Checks that the demo may write to the database: only if it holds no other data."""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model

from auditrepr.models import AuditLog

from .models import Step


def not_ours() -> str | None:
    """Return what the database holds that is not the demo's; None if there is nothing."""
    there = set(connection.introspection.table_names())
    models = apps.get_models(include_auto_created=True)
    known = {model._meta.db_table for model in models}
    foreign = sorted(there - known - {MigrationRecorder.Migration._meta.db_table})
    if foreign:
        return f"the table {foreign[0]}"
    if Step._meta.db_table in there and Step.objects.exists():
        return None
    for model in models:
        if model._meta.db_table in there and _tells(model) and model._default_manager.exists():
            return f"rows in {model._meta.db_table}"
    return None


def _tells(model: type[Model]) -> bool:
    """Return whether a row of this model is data; what migrate and the job write is not."""
    if model._meta.app_label == AuditLog._meta.app_label:
        return model is AuditLog
    return model not in (ContentType, Permission)
