"""The page of one object as it was: as of one moment, or of two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from ..asof.former import Asked
from ..models import AuditLog
from ..readers.changes import model_label
from ..readers.past_objects import PastObject, compared, past_object
from ..readers.permissions import may_read_log, readable_events
from ..utils.text import event_id, visible
from ..utils.time_limit import OutOfTime, PageTimeLimit
from .asked_object import AskedObject, asked_object
from .breadcrumbs import way_to_log
from .editing import Editor
from .event_lines import clock, query_of, representation
from .links import address, object_now, timeline_link
from .moments import asked_time, form, typed
from .values import values_of


@dataclass(frozen=True)
class Moment:
    """One of the moments that a request asks for."""

    name: str  # of its parameter
    text: str  # as it was given
    when: AuditLog | datetime | None  # None: the text means none
    label: str
    ahead: str = ""  # the time in the future that was asked for instead


def response(request: HttpRequest, site: AdminSite, using: str) -> HttpResponse:
    """Return the page; the caller has checked that the user may read the log of this table."""
    asked = asked_object(request, using)
    model, _key, table_name, text = asked
    moments = _moments(request, using)
    found, problems = _read(asked, moments, using)
    context = {
        **site.each_context(request),
        **way_to_log(site, using, may_read_log=may_read_log(request.user)),
        "title": _("%(model)s %(key)s as it was")
        % {"model": model_label(table_name), "key": visible(text)},
        "problems": problems,
        **form(using, table_name, text),
        "at": _field(moments, "at"),
        "to": _field(moments, "to"),
        "in_log": query_of(using),
        "pasts": [_past(request, site, using, model, text, one, it) for one, it in found],
        **_fields(found),
        "compare_link": _with_now(request) if len(moments) == 1 and moments[0].text else None,
        "timeline_link": timeline_link(site, using, table_name, text),
        "object_now": object_now(request, site, table_name, text, using),
    }
    request.current_app = site.name
    return TemplateResponse(request, "auditrepr/as_of.html", context)


def _read(
    asked: AskedObject, moments: Sequence[Moment], using: str
) -> tuple[list[tuple[Moment, PastObject]], list[str]]:
    """Return the object as of each of the moments, and why some are missing."""
    limit = PageTimeLimit.from_settings()
    problems = [_no_time(one) for one in moments if one.when is None]
    problems += [_in_the_future(one) for one in moments if one.ahead]
    found: list[tuple[Moment, PastObject]] = []
    try:
        for one in moments:
            if one.when is not None:
                past = past_object(Asked(asked.model, asked.key, one.when), using, limit)
                found.append((one, past))
    except (OutOfTime, Error):
        problems.append(_("Reading the object as it was takes too long."))
    return found, problems


def _moments(request: HttpRequest, using: str) -> list[Moment]:
    """Return the moments that the request names; the end of the log if it names none."""
    given = [_moment(request, using, name) for name in ("at", "to") if request.GET.get(name)]
    if pk := request.GET.get("event", ""):
        given.insert(0, _event(request, using, pk))
    return given[:2] or [Moment("at", "", timezone.now(), _("now"))]


def _moment(request: HttpRequest, using: str, name: str) -> Moment:
    text = request.GET[name]
    when = asked_time(text)
    if when is not None and when > timezone.now():
        return Moment(name, "", timezone.now(), _("now"), ahead=clock(when))
    return Moment(name, text, when, clock(when) if when else "")


def _event(request: HttpRequest, using: str, pk: str) -> Moment:
    number = event_id(pk)
    events = readable_events(request.user, using)
    event = None if number is None else events.filter(pk=number).first()
    if event is None:
        raise Http404(_("No such event."))
    facts = {"event": event.pk, "time": clock(event.occurred_at)}
    if event.action == AuditLog.Action.DELETE:
        return Moment("event", pk, event, _("before event %(event)s, %(time)s") % facts)
    return Moment("event", pk, event, _("after event %(event)s, %(time)s") % facts)


def _with_now(request: HttpRequest) -> str:
    given = request.GET.copy()
    given["to"] = typed(timezone.now())
    return f"?{given.urlencode()}"


def _no_time(one: Moment) -> str:
    problem = _("“%(text)s” is not a time. Use the form 2026-01-31 12:00.")
    return problem % {"text": visible(one.text)}


def _in_the_future(one: Moment) -> str:
    text = _("%(time)s is in the future: what is shown is the object as it is now.")
    return text % {"time": one.ahead}


def _field(moments: list[Moment], name: str) -> str:
    """Return what the form's field for this moment holds at first."""
    whens = [one.when for one in moments if one.name == name and isinstance(one.when, datetime)]
    return typed(whens[0]) if whens else ""


def _past(
    request: HttpRequest,
    site: AdminSite,
    using: str,
    model: Any,
    object_id: str,
    one: Moment,
    found: PastObject,
) -> dict[str, Any]:
    named = {"event": one.text} if one.name == "event" else {"at": one.text}
    table_name = request.GET["table_name"]
    link = None
    if found.exists and one.text and Editor(request, site, model).may_any():
        link = address(
            site, using, "auditrepr_put_back", table_name=table_name, object_id=object_id, **named
        )
    return {
        "label": one.label,
        "exists": found.exists,
        "absence": found.absence,
        "event": found.event,
        "representation": representation(replace(found.what, stored=True)),
        "exact": found.exact,
        "reasons": [visible(reason) for reason in _reasons(found)],
        "put_back": link,
    }


def _reasons(found: PastObject) -> list[str]:
    return [*dict.fromkeys([*found.what.reason.splitlines(), *found.reasons])]


def _fields(found: list[tuple[Moment, PastObject]]) -> dict[str, Any]:
    """Return the fields of one object, or of both: those that differ, and the others."""
    if not found:
        return {}
    (one, first), *rest = found
    if not rest:
        return {
            "single": True,
            "before": one.label,
            "fields": [values_of(field) for field in compared(first, first)],
        }
    [(other, second)] = rest
    both = compared(first, second)
    return {
        "before": one.label,
        "after": other.label,
        "fields": [values_of(field) for field in both if field.changed],
        "same": [values_of(field) for field in both if not field.changed],
    }
