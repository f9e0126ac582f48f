"""Says in words who made a change and why, from the event's context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from ..models import AuditLog
from ..utils.text import visible

#: The context values that name the author of a change, the best first.
WHO = ("user_name", "user", "command", "task")


def actor(event: AuditLog) -> str:
    """Return who or what caused the event, by the name of that time; empty if unknown."""
    return visible(author(event))


def author(event: AuditLog) -> str:
    """Return the same as it is recorded, not made safe to show."""
    context = event.context if isinstance(event.context, Mapping) else {}
    known = (str(context[name]) for name in WHO if context.get(name) is not None)
    return next(known, None) or event.writer or ""


def reason(event: AuditLog) -> str:
    """Return why the change was made, if its context says so."""
    context = event.context if isinstance(event.context, Mapping) else {}
    why = context.get("reason")
    return "" if why is None else visible(str(why))


def facts(context: Any) -> list[tuple[str, str]]:
    """Return the rest of the context as labels and values, the reason first."""
    if not isinstance(context, Mapping):
        return []
    labels = {
        "reason": _("reason"),
        "user": _("user"),
        "command": _("command"),
        "task": _("task"),
        "path": _("path"),
        "remote_address": _("remote address"),
        "request_id": _("request ID"),
    }
    names = [name for name in labels if name in context]
    names += [name for name in context if name not in labels and name != "user_name"]
    return [(labels.get(name) or visible(name), visible(str(context[name]))) for name in names]
