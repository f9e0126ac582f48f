"""Determines which events a user may read, and what is shown for each event's object."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.db import connections
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from ..capture.inspection import may_hold_log
from ..conf import get_settings
from ..lineage import recent_renames
from ..models import AuditLog, AuditLogQuerySet, ReprFailure, ReprFailureQuerySet
from ..utils.table_names import log_name
from ..utils.text import visible

#: The parameter with the alias of the database whose log a page is about.
DATABASE = "database"


def asked_log(request: HttpRequest) -> str:
    """Return the database whose log a page shows: the default one, unless its URL names another.

    :raises Http404: the URL names a database without a log.
    """
    usual = AuditLog.objects.db
    alias = request.GET.get(DATABASE, "") or usual
    if alias == usual or (alias in connections and may_hold_log(alias)):
        return alias
    raise Http404(_("No audit log in the database “%(name)s”.") % {"name": visible(alias)})


def address_of(using: str) -> dict[str, str]:
    """Return the URL parameters for a page about this log."""
    return {} if using == AuditLog.objects.db else {DATABASE: using}


def readable_events(user: Any, using: str | None = None) -> AuditLogQuerySet:
    """Return the events that this user may see, with their representations."""
    events = with_reprs(AuditLog.objects.using(using))
    tables = readable_tables(user)
    return events if tables is None else events.filter(recent_renames(events.db).events(tables))


def readable_failures(user: Any, using: str) -> ReprFailureQuerySet:
    """Return the failures of the events that this user may see: a message can quote their data."""
    failures = ReprFailure.objects.using(using)
    tables = readable_tables(user)
    if tables is None:
        return failures
    return failures.filter(recent_renames(failures.db).events(tables, "audit_log__"))


def readable_tables(user: Any) -> set[str] | None:
    """Return the tables whose events this user may see, by current names; None means all tables.

    Seeing an event requires the permission to view, or change, its model; an automatic many-to-many
    table belongs to the model that has the field. If the setting ``MODEL_PERMISSIONS`` is off, the
    permission to view the log is enough.
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
    """Return the events with their representations and failures.

    They come from separate queries: a join could read all representations.
    """
    return events.prefetch_related("instance_repr", "repr_failure")


def may_read_log(user: Any) -> bool:
    """Return whether this user may open the pages of the log."""
    return any(user.has_perm(f"auditrepr.{action}_auditlog") for action in ("view", "change"))


def _may_view(user: Any, model: type[Model]) -> bool:
    owner: Any = model._meta.auto_created  # the model whose many-to-many table it is
    options = (owner or model)._meta
    return any(
        user.has_perm(f"{options.app_label}.{get_permission_codename(action, options)}")
        for action in ("view", "change")
    )
