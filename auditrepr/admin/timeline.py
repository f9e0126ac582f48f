"""The history of one object, from its first event to its last, whether or not it still exists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from ..asof.asked import key_from_text
from ..models import AuditLog
from ..readers import recording
from ..readers.changes import model_label
from ..readers.export import Export, visible_now
from ..readers.export_selection import of_object
from ..readers.object_events import (
    Asked,
    ObjectEvents,
    belonging,
    declared,
    object_events,
    tables_of,
)
from ..readers.permissions import may_read_log, readable_events, with_reprs
from ..readers.related import lacking
from ..utils.table_names import model_for_table
from ..utils.text import event_id, visible
from ..utils.time_limit import PageTimeLimit
from ..vendors.types import BEGINNING
from . import export, notices
from .breadcrumbs import way_to_log
from .event_lines import clock, describe, query_of, representation
from .links import address, did_link, object_now
from .moments import form
from .timeline_lines import is_own, lines_of

PAGE = 100
#: The parameter that shows what belongs to the object, or does not.
RELATED = "related"


def response(
    request: HttpRequest,
    site: admin.AdminSite,
    using: str,
    table_name: str,
    object_id: str,
    extra_context: dict[str, Any] | None = None,
) -> HttpResponse:
    """Return the page of an object's history; the caller has checked the permission."""
    asked = _asked(request, table_name, object_id)
    if export.EXPORT in request.GET:
        return _exported(request, using, asked)
    may_read = site.is_registered(AuditLog) and may_read_log(request.user)
    found = object_events(with_reprs(AuditLog.objects.using(using)), asked)
    describe(found.events, using, limit := PageTimeLimit.from_settings())
    own = [event for event in found.events if is_own(event, asked)]
    tables = tables_of(table_name)
    may_lack = lacking(using, tables, request.user, related=asked.belonging)
    context = {
        **site.each_context(request),
        "title": _title(asked),
        "subtitle": _called(own),
        **_links(request, site, using, asked, found),
        "exports": _exports(request) if may_read else [],
        "notices": [*notices.on_gaps(using, tables), *notices.on_related(using, may_lack)],
        "beginning": _beginning(using, asked, own, limit),
        "lines": lines_of(found, asked, site, using),
        "may_read_log": may_read,
        **way_to_log(site, using, may_read_log=may_read),
        "searched_in_part": ", ".join(map(model_label, found.searched_in_part)),
        **(extra_context or {}),
    }
    request.current_app = site.name
    return TemplateResponse(request, "auditrepr/timeline.html", context)


def _title(asked: Asked) -> str:
    parts = {"model": model_label(asked.table), "key": visible(asked.key)}
    return _("History of %(model)s %(key)s") % parts


def _links(
    request: HttpRequest, site: admin.AdminSite, using: str, asked: Asked, found: ObjectEvents
) -> dict[str, Any]:
    """Return where the page leads, by the names that the template knows."""
    return {
        "object_now": object_now(request, site, asked.table, asked.key, using),
        "did": did_link(site, using, asked.table, asked.key),
        "in_log": query_of(using),
        "as_of_link": _as_of_link(site, using, asked.table, asked.key),
        "belonging": _toggle(request, asked, using),
        "later": f"?{_with(request, after=found.events[-1].pk)}" if found.more else None,
        "earlier": f"?{_with(request)}" if asked.after != BEGINNING else None,
        **form(using, asked.table, asked.key),
    }


def _asked(request: HttpRequest, table_name: str, object_id: str) -> Asked:
    after = event_id(request.GET.get("after", ""))
    wanted = request.GET.get(RELATED)
    return Asked(
        table_name,
        object_id,
        after=BEGINNING if after is None else after,
        size=PAGE,
        belonging=bool(declared(table_name)) if wanted is None else wanted == "1",
        user=request.user,
    )


def _exported(request: HttpRequest, using: str, asked: Asked) -> HttpResponse:
    """Return the history as a file, to those who may read its events in the log, too."""
    if not may_read_log(request.user):
        raise PermissionDenied
    as_format = export.asked_format(request)
    events = of_object(
        readable_events(request.user, using),
        tables_of(asked.table),
        asked.key,
        related=asked.belonging,
    )
    bounds = visible_now(using, asked.after)
    return export.response(request, Export(events, bounds), as_format, "object-history")


def _exports(request: HttpRequest) -> list[tuple[Any, str]]:
    """Return the labels and links of the exports of the whole history."""
    given = request.GET.copy()
    given.pop("after", None)
    found = []
    for name, label in export.LABELS.items():
        given[export.EXPORT] = name
        found.append((label, f"?{given.urlencode()}"))
    return found


def _as_of_link(site: admin.AdminSite, using: str, table_name: str, object_id: str) -> str | None:
    """Return the page of the object as of a moment, if there can be such an object."""
    model = model_for_table(table_name)
    if model is None or key_from_text(model, object_id, using) is None:
        return None
    return address(site, using, "auditrepr_as_of")


def _toggle(request: HttpRequest, asked: Asked, using: str) -> dict[str, str] | None:
    """Return the link that shows, or hides, the events of what belongs to the object."""
    model = model_for_table(asked.table)
    if asked.belonging:
        text = _("Hide what belongs to it")
    elif model is not None and (declared(asked.table) or belonging(model, using)):
        text = _("Show what belongs to it")
    else:
        return None
    given = _with(request, **{RELATED: "0" if asked.belonging else "1"})
    return {"text": text, "link": f"?{given}"}


def _called(events: Sequence[Any]) -> str:
    texts = [event.shown.text for event in events if event.shown.text]
    return visible(texts[-1]) if texts else ""


def _beginning(
    using: str, asked: Asked, own: Sequence[Any], limit: PageTimeLimit
) -> dict[str, Any] | None:
    """Return what the object was before its first event, on the first page."""
    if asked.after != BEGINNING:
        return None
    found = recording.beginning(using, asked.table, asked.key, own, limit)
    if found is None:
        return None
    since = clock(found.since) if found.since else ""
    return {"since": since, "what": representation(found.what), "unchanged": not own}


def _with(request: HttpRequest, **parameters: Any) -> str:
    """Return the page's query with these parameters, from the first event on."""
    given = request.GET.copy()
    given.pop("after", None)
    for name, value in parameters.items():
        given[name] = str(value)
    return given.urlencode()
