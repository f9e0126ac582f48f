"""Says which events a reader may not see, and which permission shows them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_permission_codename
from django.utils.translation import ngettext

from ..lineage import recent_renames
from ..models import AuditLog
from ..readers.permissions import readable_tables
from ..tracking import tracked_tables
from ..utils.table_names import model_for_table

#: Maximum number of permissions that a page names.
MOST = 20


def note(user: Any, using: str) -> list[str]:
    """Return that events of some models are hidden from this user; nothing if none are."""
    readable = readable_tables(user)
    if readable is None:
        return []
    hidden = {table.name for table in tracked_tables(using)} - readable
    needed = sorted({permission for table in hidden if (permission := _permission(table))})
    if not needed:
        return []
    named = ", ".join(needed[:MOST]) + (" …" if len(needed) > MOST else "")
    text = ngettext(
        "Events of %(number)d model are hidden from you. The permission to view the model shows"
        " them: %(permissions)s",
        "Events of %(number)d models are hidden from you. The permissions to view the models show"
        " them: %(permissions)s",
        len(needed),
    )
    return [text % {"number": len(needed), "permissions": named}]


def needed_for(user: Any, using: str, object_id: str) -> str:
    """Return the permission that would show this event; empty if there is none, or no event."""
    if not object_id.lstrip("-").isdecimal() or readable_tables(user) is None:
        return ""
    event = AuditLog.objects.using(using).filter(pk=object_id).first()
    if event is None:
        return ""
    return _permission(recent_renames(using).table(event.table_name, event.occurred_at))


def _permission(table: str) -> str:
    """Return the permission that shows this table's events."""
    model = model_for_table(table)
    if model is None:
        return ""
    owner: Any = model._meta.auto_created or model
    return f"{owner._meta.app_label}.{get_permission_codename('view', owner._meta)}"
