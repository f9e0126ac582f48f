"""Who and why: what the context of an event says, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from .models import AuditLog
from .wording import visible


def actors(events: Sequence[AuditLog]) -> list[str]:
    """Who caused each event, by today's names of users; empty where nobody is known."""
    keys = [_user_key(event.context) for event in events]
    names = _names({key for key in keys if key is not None})
    return ["" if key is None else names.get(key) or _("user %s") % visible(key) for key in keys]


def facts(context: Any) -> list[tuple[str, str]]:
    """What else the context says: label and value, the reason first."""
    if not isinstance(context, Mapping):
        return []
    others = {name: value for name, value in context.items() if name not in ("user", "reason")}
    reason = context.get("reason")
    why = [] if reason is None else [(_("why"), visible(str(reason)))]
    return why + [(visible(str(name)), visible(str(value))) for name, value in others.items()]


def _user_key(context: Any) -> str | None:
    key = context.get("user") if isinstance(context, Mapping) else None
    return None if key is None else str(key)


def _names(keys: set[str]) -> dict[str, str]:
    if not keys:
        return {}
    users = get_user_model()
    fit = []
    for key in keys:
        try:
            fit.append(users._meta.pk.to_python(key))
        except (ValueError, TypeError, ValidationError):
            continue
    found = users._base_manager.in_bulk(fit)
    return {str(key): visible(user.get_username()) for key, user in found.items()}
