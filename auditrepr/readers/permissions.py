"""What a person may read of the log, and what stands for each event's object."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.db import connections
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from ..capture.triggers import may_hold_log
from ..conf import get_settings
from ..lineage import recent_renames
from ..models import AuditLog, AuditLogQuerySet, ReprFailure
from ..utils.table_names import log_name

#: The parameter with the alias of the database whose log a page is about.
DATABASE = "database"


def asked_log(request: HttpRequest) -> str:
    """Return the database whose log a page is about: the usual one, unless its address says."""
    alias = request.GET.get(DATABASE, "")
    there = alias in connections and may_hold_log(alias)
    return alias if there else AuditLog.objects.db


def address_of(using: str) -> dict[str, str]:
    """Return what an address has to say so that a page is about this log."""
    return {} if using == AuditLog.objects.db else {DATABASE: using}


def readable_events(user: Any, using: str | None = None) -> AuditLogQuerySet:
    """The events that this user may see, with what stands for their objects."""
    events = with_reprs(AuditLog.objects.using(using))
    tables = readable_tables(user)
    return events if tables is None else events.filter(recent_renames(events.db).events(tables))


def readable_failures(user: Any) -> QuerySet[ReprFailure]:
    """The failures of the events that this user may see: a message can quote their data."""
    failures = ReprFailure.objects.all()
    tables = readable_tables(user)
    if tables is None:
        return failures
    return failures.filter(recent_renames(failures.db).events(tables, "audit_log__"))


def readable_tables(user: Any) -> set[str] | None:
    """The tables whose events this user may see, by today's names; none means every table.

    Seeing an event takes the permission to view, or change, the model whose row it is about; an
    automatic many-to-many table goes with the model that has the field. Where the setting
    ``MODEL_PERMISSIONS`` is off, the permission to view the log is enough.
    """
    if user.is_active and user.is_superuser:
        return None
    if not get_settings().MODEL_PERMISSIONS and may_read_log(user):
        return None
    return {
        log_name(model._meta.db_table)
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy and _may_view(user, model)
    }


def with_reprs(events: AuditLogQuerySet) -> AuditLogQuerySet:
    """The events together with what stands for their objects.

    By queries of their own: a join with all representations can be read as a whole.
    """
    return events.prefetch_related("instance_repr", "repr_failure")


def may_read_log(user: Any) -> bool:
    """May this user open the log's own pages?"""
    return any(user.has_perm(f"auditrepr.{action}_auditlog") for action in ("view", "change"))


def _may_view(user: Any, model: type[Model]) -> bool:
    owner: Any = model._meta.auto_created  # the model whose many-to-many table it is
    options = (owner or model)._meta
    return any(
        user.has_perm(f"{options.app_label}.{get_permission_codename(action, options)}")
        for action in ("view", "change")
    )
