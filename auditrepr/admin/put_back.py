"""The page that puts one object back: what would change, and the button that does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import Error
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from ..asof.former import Asked
from ..attribution import context
from ..attribution.context import tells
from ..exceptions import NotRestored
from ..models import AuditLog
from ..readers.changes import FieldChange, model_label
from ..readers.permissions import may_read_log, readable_events
from ..readers.values import said_apart
from ..restoration import Difference, Restoration
from ..restoration.api import carried_out
from ..restoration.plan import Fields, current
from ..utils.table_names import model_for_table
from ..utils.text import event_id, one_line, visible
from ..utils.time_limit import OutOfTime, PageTimeLimit
from .asked_object import asked_object
from .breadcrumbs import way_to_log
from .editing import Editor
from .event_lines import clock, query_of
from .field_choice import CHOICE, PREVIEW, chosen, in_the_way, is_offered, misunderstood
from .links import address, object_now, timeline_link
from .moments import asked_time
from .values import values_of


class Wanted(NamedTuple):
    """What a request asks to be put back."""

    asked: Asked
    table_name: str
    object_id: str
    using: str


def response(request: HttpRequest, site: AdminSite, using: str) -> HttpResponse:
    """Return the preview; after a POST put the object back, or say why that is refused.

    The caller has checked that the user may read the log of this table.
    """
    wanted = _wanted(request, using)
    editor = Editor(request, site, wanted.asked.model)
    if not editor.may_any():
        raise PermissionDenied
    fields = chosen(request, wanted.asked.model)
    try:
        planned = _planned(wanted)
        doing = planned if fields is None else _planned(wanted, fields)
        now = current(planned.model, planned.pk, using)
    except (OutOfTime, Error) as error:
        return _page(request, site, wanted, None, [_too_long(error)])
    if not editor.may(planned, now):
        raise PermissionDenied
    reasons = [*misunderstood(request, fields, doing), *in_the_way(editor, doing, now)]
    choice = is_offered(editor, planned, now, partial(_planned, wanted))
    preview = partial(_page, request, site, wanted, planned, choice=choice, fields=fields)
    preview = partial(preview, called=_called(wanted, now))
    if request.method != "POST" or PREVIEW in request.POST or reasons or not doing.possible:
        return preview(reasons)
    try:
        done = _carry_out(request, wanted, fields)
    except NotRestored as error:
        return preview([str(error.details["reasons"])])
    _tell(request, editor, wanted, done)
    there = object_now(request, site, wanted.table_name, wanted.object_id, using)
    return HttpResponseRedirect(
        there or str(timeline_link(site, using, wanted.table_name, wanted.object_id))
    )


def links(
    request: HttpRequest, site: AdminSite, event: AuditLog, table_name: str, using: str
) -> list[tuple[str, str]]:
    """Return the labels and the addresses of what this event's page offers to put back."""
    model = model_for_table(table_name)
    if model is None or event.object_id is None or not Editor(request, site, model).may_any():
        return []
    offered: dict[Any, dict[str, str]]
    if event.action == AuditLog.Action.DELETE:
        offered = {_("Put back the deleted object"): {}}
    elif event.action == AuditLog.Action.UPDATE and event.previous_object_id is None:
        offered = {
            _("Put back as it was before this event"): {"before": "1"},
            _("Put back as it was after this event"): {},
        }
    else:
        offered = {_("Put back as it was after this event"): {}}
    shared = {"table_name": table_name, "object_id": event.object_id, "event": event.pk}
    found = {
        label: address(site, using, "auditrepr_put_back", **shared, **more)
        for label, more in offered.items()
    }
    return [(label, link) for label, link in found.items() if link]


def _wanted(request: HttpRequest, using: str) -> Wanted:
    model, key, table_name, text = asked_object(request, using)
    before = request.GET.get("before") == "1"
    return Wanted(Asked(model, key, _when(request, using), before), table_name, text, using)


def _when(request: HttpRequest, using: str) -> Any:
    given = request.GET.get("event", "")
    if not given:
        if (when := asked_time(request.GET.get("at", ""))) is None:
            raise Http404(_("No such time."))
        return when
    pk = event_id(given)
    events = readable_events(request.user, using)
    event = None if pk is None else events.filter(pk=pk).first()
    if event is None:
        raise Http404(_("No such event."))
    return event


def _planned(wanted: Wanted, fields: Fields = None) -> Restoration:
    limit = PageTimeLimit.from_settings()
    return carried_out(wanted.asked, wanted.using, fields=fields, dry_run=True, limit=limit)


def _carry_out(request: HttpRequest, wanted: Wanted, fields: Fields) -> Restoration:
    named: AbstractContextManager[None] = nullcontext()
    if tells("user"):  # also without the middleware
        named = context(user=request.user)
    with named:
        state = request.POST.get("state", "")
        return carried_out(wanted.asked, wanted.using, fields=fields, state=state)


def _tell(request: HttpRequest, editor: Editor, wanted: Wanted, done: Restoration) -> None:
    told = _("Put back: %(object)s.") % {"object": _name(wanted)}
    messages.success(request, told, fail_silently=True)
    if done.altered:
        names = {"fields": visible(", ".join(done.altered))}
        text = _("The model's save() set other values for: %(fields)s.") % names
        messages.warning(request, text, fail_silently=True)
    if editor.admin is not None and done.instance is not None:
        note = f"Put back {done.origin}."
        log = editor.admin.log_addition if done.recreates else editor.admin.log_change
        log(request, done.instance, note)


def _name(wanted: Wanted) -> str:
    return f"{model_label(wanted.table_name)} {visible(wanted.object_id)}"


def _called(wanted: Wanted, now: Model | None) -> str:
    """Return the current name of the object, or what it was called when it was deleted."""
    if now is not None:
        return _text_of(now)
    event = wanted.asked.when
    stored = getattr(event, "instance_repr", None)
    if stored is None or event.object_id != wanted.object_id:
        return ""
    return visible(stored.instance_repr)


def _page(
    request: HttpRequest,
    site: AdminSite,
    wanted: Wanted,
    planned: Restoration | None,
    reasons: list[str],
    *,
    called: str = "",
    choice: bool = False,
    fields: Fields = None,
) -> HttpResponse:
    changes = planned.changes if planned else ()
    recreates = planned is not None and planned.recreates
    context = {
        **site.each_context(request),
        **way_to_log(site, wanted.using, may_read_log=may_read_log(request.user)),
        "title": _("Put back %(object)s") % {"object": _name(wanted)},
        "subtitle": called,
        "source": _source(wanted.asked),
        "event": wanted.asked.when if isinstance(wanted.asked.when, AuditLog) else None,
        "in_log": query_of(wanted.using),
        "recreates": recreates,
        "choice": CHOICE if choice else "",
        "preview": PREVIEW,
        "reasons": [visible(reason) for reason in reasons],
        "changes": [_line(change, wanted.using, fields) for change in changes],
        "not_restored": visible(", ".join(planned.not_restored)) if planned else "",
        "state": planned.state if planned else "",
        "may": bool(recreates or changes) and not reasons,
        "timeline_link": timeline_link(site, wanted.using, wanted.table_name, wanted.object_id),
    }
    request.current_app = site.name
    return TemplateResponse(request, "auditrepr/put_back.html", context)


def _source(asked: Asked) -> str:
    if not isinstance(asked.when, AuditLog):
        return _("as of %(time)s") % {"time": clock(asked.when)}
    facts = {"event": asked.when.pk, "time": clock(asked.when.occurred_at)}
    if asked.before or asked.when.action == AuditLog.Action.DELETE:
        return _("as it was before event %(event)s (%(time)s)") % facts
    return _("as it was after event %(event)s (%(time)s)") % facts


def _line(change: Difference, using: str, fields: Fields) -> dict[str, Any]:
    before, after = said_apart(change.field, change.current, change.former)
    if change.field.is_relation:
        before = _named(change.field, change.current, before, using)
        after = _named(change.field, change.former, after, using)
    found = FieldChange(str(change.field.verbose_name), before, after, changed=True)
    chosen = fields is None or change.field.name in fields
    return {**values_of(found), "name": change.field.name, "chosen": chosen}


def _named(field: Any, value: Any, text: str, using: str) -> str:
    """Return a foreign key's value with the current name of what it leads to."""
    return text if value is None else " ".join([*_names(field, value, using), f"({text})"])


def _names(field: Any, value: Any, using: str) -> Iterator[str]:
    [target] = field.foreign_related_fields
    rows = field.related_model._base_manager.using(using)
    found: Model | None = rows.filter(**{target.attname: value}).first()
    if found is not None:
        yield _text_of(found)


def _text_of(instance: Model) -> str:
    try:
        return visible(str(instance))
    except Exception as error:  # its __str__ may raise anything
        return visible(one_line(error))


def _too_long(error: BaseException) -> str:
    if isinstance(error, OutOfTime):
        return _("Reading the object as it was takes too long.")
    return one_line(error)
