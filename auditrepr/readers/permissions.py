"""What a person may read of the log, and what stands for each event's object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.contrib.auth import get_permission_codename
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from .conf import get_settings
from .models import AuditLog, Fidelity, ReprFailure
from .querysets import AuditLogQuerySet
from .renames import recent_renames
from .representation import Event, Outcome, build
from .tracking import log_name, model_for_table


@dataclass(frozen=True)
class Shown:
    """What a reader sees of an event's object: its representation, or why there is none."""

    text: str = ""
    mixed: bool = False
    failed: bool = False
    stored: bool = True
    reason: str = ""  # why it is mixed, or what failed


def shown(events: Sequence[AuditLog], using: str) -> list[Shown]:
    """What stands for these events' objects, in their order; what is pending is built, not stored.

    :param events: selected together with their representations and failures.
    """
    pending = [Event.of(event) for event in events if _is_pending(event)]
    built = {outcome.id: outcome for outcome in build(pending, using)} if pending else {}
    return [_built(built[event.pk]) if event.pk in built else _stored(event) for event in events]


def readable_events(user: Any) -> AuditLogQuerySet:
    """The events that this user may see, with what stands for their objects."""
    events = with_reprs(AuditLog.objects.all())
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


def object_now(
    request: HttpRequest, site: AdminSite, table_name: str, object_id: str | None
) -> str | None:
    """Where the admin shows the object today, if it is there and this user may see it."""
    model = model_for_table(table_name)
    its_admin = site._registry.get(model) if model else None
    if model is None or its_admin is None or object_id is None:
        return None
    try:
        found = its_admin.get_object(request, object_id)
    except Exception:  # today's keys are of another type, or the code of others fails
        return None
    if found is None or not its_admin.has_view_or_change_permission(request, found):
        return None
    name = f"{site.name}:{model._meta.app_label}_{model._meta.model_name}_change"
    return reverse(name, args=[quote(found.pk)])


def _may_view(user: Any, model: type[Model]) -> bool:
    owner: Any = model._meta.auto_created  # the model whose many-to-many table it is
    options = (owner or model)._meta
    return any(
        user.has_perm(f"{options.app_label}.{get_permission_codename(action, options)}")
        for action in ("view", "change")
    )


def _is_pending(event: AuditLog) -> bool:
    return event.action != AuditLog.Action.TRUNCATE and not (
        hasattr(event, "instance_repr") or hasattr(event, "repr_failure")
    )


def _built(outcome: Outcome) -> Shown:
    if failure := outcome.failure:
        reason = f"{failure.error_class}: {failure.message}"
        return Shown(failed=True, stored=False, reason=reason)
    mixed = outcome.fidelity == Fidelity.MIXED
    return Shown(outcome.text, mixed=mixed, stored=False, reason=outcome.reason)


def _stored(event: AuditLog) -> Shown:
    if event.action == AuditLog.Action.TRUNCATE:
        return Shown(_("every row"))
    if hasattr(event, "instance_repr"):
        found = event.instance_repr
        mixed = found.fidelity == Fidelity.MIXED
        return Shown(found.instance_repr, mixed=mixed, reason=found.reason)
    failure = event.repr_failure
    return Shown(failed=True, reason=f"{failure.error_class}: {failure.message}")
