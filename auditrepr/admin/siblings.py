"""Finds what was done together with an event: in its transaction, request, task or command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from ..models import AuditLog
from ..readers.permissions import readable_events
from .filters import AROUND, AroundFilter

#: Maximum number of other events on the page of an event.
SIBLINGS = 20


class Together(NamedTuple):
    """What some events have in common: the title of the others, and the filters that find them."""

    others: str
    lookups: dict[str, Any]


def siblings_of(user: Any, event: AuditLog, using: str) -> tuple[Together, list[AuditLog]]:
    """Return the other events of the same transaction, or else request or command.

    They are one event more than a page shows. SQLite has no name for a transaction.
    """
    together = _together(event)
    if not together.lookups:
        return together, []
    events = readable_events(user, using).exclude(pk=event.pk)
    if event.transaction_id is not None:
        found = events.filter(transaction_id=event.transaction_id).order_by("transaction_id", "pk")
    else:
        around = {"pk__gte": event.pk - AROUND, "pk__lte": event.pk + AROUND}
        same = {f"context__{name}": value for name, value in _named(event).items()}
        found = events.filter(**around, **same).order_by("pk")
    return together, list(found[: SIBLINGS + 1])


def shared_facts(event: AuditLog) -> dict[str, dict[str, Any]]:
    """Return the filters that find the events that share a fact, by the fact's label."""
    given = event.context if isinstance(event.context, Mapping) else {}
    around = {AroundFilter.parameter_name: event.pk}
    labels = {"request_id": _("request ID"), "command": _("command"), "task_id": "task_id"}
    found = {
        label: {name: given[name], **around}
        for name, label in labels.items()
        if isinstance(given.get(name), str)
    }
    if event.transaction_id is not None:
        found[_("transaction")] = {"transaction_id": event.transaction_id}
    if event.actor:
        found[_("changed by")] = {"actor": event.actor}
    return found


def who_did(event: AuditLog) -> dict[str, Any]:
    """Return the filters that find what the same person did, or else the same command or task."""
    if event.actor:
        return {"actor": event.actor}
    given = event.context if isinstance(event.context, Mapping) else {}
    for name in ("command", "task_id"):
        if isinstance(given.get(name), str):
            return {name: given[name], AroundFilter.parameter_name: event.pk}
    return {}


def _together(event: AuditLog) -> Together:
    if event.transaction_id is not None:
        lookups = {"transaction_id": event.transaction_id}
        return Together(_("Other events in this transaction"), lookups)
    titles = {
        "request_id": _("Other events of this request"),
        "task_id": _("Other events of this task"),
        "command": _("Other events of this command"),
    }
    for name, value in _named(event).items():
        return Together(titles[name], {name: value, AroundFilter.parameter_name: event.pk})
    return Together("", {})


def _named(event: AuditLog) -> dict[str, str]:
    """Return the narrowest thing that the context names: a request, a task or a command."""
    given = event.context if isinstance(event.context, Mapping) else {}
    for name in ("request_id", "task_id", "command"):
        if isinstance(given.get(name), str) and given[name]:
            return {name: given[name]}
    return {}
