"""Links from one page of the log to another, and to today's objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from ..models import AuditLog
from ..models.log_queryset import ACTOR_LENGTH
from ..readers.permissions import address_of
from ..utils.table_names import model_for_table


def list_link(site: AdminSite, using: str, **lookups: Any) -> str | None:
    """Return the link to the list of events with these filters; None if this site has no log."""
    return _link(site, "auditrepr_auditlog_changelist", lookups | address_of(using))


def event_link(site: AdminSite, using: str, pk: int) -> str | None:
    """Return the link to the page of one event; None if this site has no log."""
    return _link(site, "auditrepr_auditlog_change", address_of(using), pk)


def timeline_link(site: AdminSite, using: str, table_name: str, object_id: str) -> str | None:
    """Return the link to the history of one object; None if this site has no log."""
    return address(site, using, "auditrepr_timeline", table_name=table_name, object_id=object_id)


def address(site: AdminSite, using: str, name: str, **given: Any) -> str | None:
    """Return the address of the log's page of this name; None if this site has no log."""
    return _link(site, name, given | address_of(using))


def did_link(site: AdminSite, using: str, table_name: str, object_id: str) -> str | None:
    """Return the link to what this user did; None if the object is not a user."""
    model = model_for_table(table_name)
    if model is None or not issubclass(model, get_user_model()):
        return None
    try:
        key = model._meta.pk.to_python(object_id)
    except ValidationError:  # keys are of another type now
        return None
    return deeds_link(site, using, key)


def deeds_link(site: AdminSite, using: str, key: Any) -> str | None:
    """Return the link to what the user with this primary key did; None if this site has no log."""
    return list_link(site, using, actor=str(key)[:ACTOR_LENGTH])


def _link(site: AdminSite, name: str, lookups: Mapping[str, Any], *key: Any) -> str | None:
    if not site.is_registered(AuditLog):
        return None
    given = {name: value for name, value in lookups.items() if value is not None}
    page = reverse(f"admin:{name}", args=key, current_app=site.name)
    return f"{page}?{urlencode(given)}" if given or not key else page


def object_now(
    request: HttpRequest, site: AdminSite, table_name: str, object_id: str | None, using: str
) -> str | None:
    """Return the admin page of the current object, if it exists and this user may see it."""
    model = model_for_table(table_name)
    its_admin = site._registry.get(model) if model else None
    if model is None or its_admin is None or object_id is None:
        return None
    try:
        found = its_admin.get_object(request, object_id)
    except Exception:  # current keys are of another type, or third-party code fails
        return None
    if found is not None and address_of(using) and found._state.db != using:
        return None  # another database's object, with the same key
    if found is None or not its_admin.has_view_or_change_permission(request, found):
        return None
    name = f"{site.name}:{model._meta.app_label}_{model._meta.model_name}_change"
    return reverse(name, args=[quote(found.pk)])
