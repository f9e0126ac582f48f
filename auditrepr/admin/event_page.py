"""Builds the page of one event."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..asof.related_objects import related_objects
from ..models import AuditLog
from ..readers.actors import facts as people_facts
from ..readers.changes import fields, model_label
from ..readers.labels import choices_asked_once
from ..readers.permissions import readable_tables
from ..readers.shown import Shown
from ..readers.values import words
from ..utils.text import visible
from ..utils.time_limit import PageTimeLimit
from ..vendors.types import Event
from . import notices, put_back
from .event_lines import clock, describe, query_of, representation, time_of, what_changed
from .links import address, list_link, object_now, timeline_link
from .siblings import SIBLINGS, shared_facts, siblings_of
from .values import cut, values_of


@choices_asked_once()
def context(request: HttpRequest, site: AdminSite, event: AuditLog) -> dict[str, Any]:
    """Return what the template needs in addition to Django's context."""
    using = event._state.db or "default"
    together, siblings = siblings_of(request.user, event, using)
    described: list[Any] = [event, *siblings[:SIBLINGS]]
    limit = PageTimeLimit.from_settings()
    describe(described, using, limit)
    what: Shown = described[0].shown
    [said] = words([event], using, limit)
    every = fields(event, said)
    table = described[0].table_now
    kind = model_label(table)
    return {
        "title": f"{capfirst(event.get_action_display())}: {kind}",
        "subtitle": visible(what.text or event.object_id or ""),
        "original": f"#{event.pk}",
        "notices": notices.on_gaps(using, [table]),
        "facts": _linked(_facts(described[0], what, described[0].who), site, event, using),
        "trouble": _trouble(event),
        "final": what.final,
        "changed": [values_of(field) for field in every if field.changed],
        "unchanged": [values_of(field) for field in every if not field.changed],
        "siblings": [_sibling(one) for one in described[1:]],
        "more_siblings": len(siblings) > SIBLINGS,
        "siblings_title": together.others,
        "siblings_link": siblings and list_link(site, using, **together.lookups),
        "ends": _ends(request, site, event, using),
        "raw": _raw(event),
        **_links(request, site, event, table, using),
    }


def _links(
    request: HttpRequest, site: AdminSite, event: AuditLog, table: str, using: str
) -> dict[str, Any]:
    """Return where the page leads, by the names that the template knows."""
    return {
        "actor_link": event.actor and list_link(site, using, actor=event.actor),
        "timeline_link": event.object_id and timeline_link(site, using, table, event.object_id),
        "as_of_link": _as_of_link(site, event, table, using),
        "object_now": object_now(request, site, table, event.object_id, using),
        "put_back": put_back.links(request, site, event, table, using),
        "raw_link": f"../raw/{query_of(using)}",
        "in_log": query_of(using),
    }


def _linked(
    facts: list[tuple[str, str]], site: AdminSite, event: AuditLog, using: str
) -> list[tuple[str, str, str | None]]:
    """Return the facts with links to the events that have them in common."""
    links = {
        label: list_link(site, using, **lookups) for label, lookups in shared_facts(event).items()
    }
    return [(label, value, links.get(label)) for label, value in facts]


def _as_of_link(site: AdminSite, event: AuditLog, table: str, using: str) -> str | None:
    if event.object_id is None:
        return None
    named = {"table_name": table, "object_id": event.object_id, "event": event.pk}
    return address(site, using, "auditrepr_as_of", **named)


def _ends(
    request: HttpRequest, site: AdminSite, event: AuditLog, using: str
) -> list[tuple[str, str | None]]:
    """Return the objects that the event is about besides its own, with links to their histories."""
    tables = readable_tables(request.user)
    found = {
        (one.link.target, one.object_id): None
        for one in related_objects([Event.of(event)], using)
        if tables is None or one.link.target in tables
    }
    return [
        (f"{model_label(table)} {visible(key)}", timeline_link(site, using, table, key))
        for table, key in found
    ]


def _sibling(event: Any) -> dict[str, Any]:
    return {
        "pk": event.pk,
        "what": f"{event.get_action_display()}: {model_label(event.table_now)}",
        "representation": representation(event.shown),
        "changes": what_changed(event.changes_in_words),
    }


def _facts(event: Any, what: Shown, who: str) -> list[tuple[str, str]]:
    facts = [
        (_("event"), str(event.pk)),
        (_("time"), time_of(event)),
        (_("changed by"), who),
        *people_facts(event.context),
        (_("action"), str(event.get_action_display())),
        (_("model"), model_label(event.table_now)),
        (_("table"), visible(event.table_name)),
        (_("object ID"), visible(event.object_id or "")),
        (_("previous object ID"), visible(event.previous_object_id or "")),
        (_("representation"), visible(what.final or what.text)),
        (_("fidelity"), _fidelity(what)),
        (_("error") if what.failed or what.final else _("why mixed"), visible(what.reason)),
        (_("stored"), _stored(what)),
        (_("transaction"), str(event.transaction_id or "")),
    ]
    return [(label, value) for label, value in facts if value]


def _stored(what: Shown) -> str:
    if what.stored:
        return ""
    return _("not yet: built for this page") if what.built else _("not stored yet")


def _fidelity(what: Shown) -> str:
    if what.failed or what.final or not what.built:
        return ""
    if what.mixed:
        return _("mixed: partly current, guessed or missing data")
    return _("exact: built only from data as of this event")


def _trouble(event: AuditLog) -> list[tuple[str, str]]:
    """Return the facts about the failure, if the event has one."""
    if not hasattr(event, "repr_failure"):
        return []
    failure = event.repr_failure
    return [
        (_("error"), visible(f"{failure.error_class}: {failure.message}")),
        (_("attempts"), str(failure.attempts)),
        (_("first failed at"), clock(failure.first_failed_at)),
        (_("last failed at"), clock(failure.last_failed_at)),
        (_("next attempt"), clock(due) if (due := failure.next_attempt_at) else _never()),
    ]


def _never() -> str:
    return _(
        "never: str() raised as of the event, too. After you improve __str__(), run rebuild_reprs"
        " or backfill_reprs --retry-failed."
    )


def _raw(event: AuditLog) -> list[tuple[str, str]]:
    parts = {
        "row_data": event.row_data,
        "changed_from": event.changed_from,
        "context": event.context,
    }
    return [
        (name, "\n".join(map(visible, cut(_json(part)).splitlines())))
        for name, part in parts.items()
        if part is not None
    ]


def download(event: AuditLog) -> HttpResponse:
    """Return the raw data of the event as a JSON file, whatever its size."""
    names = ("row_data", "changed_from", "context")
    document = {"id": event.pk} | {name: getattr(event, name) for name in names}
    response = HttpResponse(_json(document), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="event-{event.pk}.json"'
    return response


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
