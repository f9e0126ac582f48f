"""The history of one object, from its first event to its last, whether or not it still exists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..lineage import recent_renames
from ..models import AuditLog, AuditLogQuerySet
from ..models.log import home
from ..readers.changes import model_label
from ..readers.export import Export, visible_now
from ..readers.export_formats import Format
from ..readers.export_selection import of_object
from ..readers.permissions import may_read_log, readable_events, with_reprs
from ..utils.model_meta import concrete
from ..utils.table_names import log_name, model_for_table
from ..utils.text import visible
from ..vendors import get_vendor
from . import export, notices
from .event_lines import describe, query_of, representation, time_of, what_changed
from .links import object_now, timeline_link

PAGE = 100


class AuditHistoryMixin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A mixin for a ModelAdmin whose History button shows the audit log.

    Users who may view the object see its history. A deleted object's history requires the
    permission to view the audit log, because it is no longer known who was allowed to view the
    object.
    """

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, unquote(object_id))
        if found is None:
            return self._history_of_deleted(request, object_id, extra_context)
        if not self.has_view_or_change_permission(request, found):
            raise PermissionDenied
        return self._timeline(request, found.pk, found._state.db, extra_context)

    def _history_of_deleted(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None
    ) -> HttpResponse:
        model: type[Model] = self.model
        try:
            key = model._meta.pk.to_python(unquote(object_id))
            using = self.get_queryset(request).db
            hidden = model._base_manager.using(using).filter(pk=key).exists()
        except (ValueError, TypeError, OverflowError, ValidationError):
            hidden = True  # no object can have such a key
        if hidden:
            return super().history_view(request, object_id, extra_context)
        if not (self.has_view_or_change_permission(request) and may_read_log(request.user)):
            raise PermissionDenied
        return self._timeline(request, key, using, extra_context)

    def _timeline(
        self,
        request: HttpRequest,
        key: Any,
        alias: str | None,
        extra_context: dict[str, Any] | None,
    ) -> HttpResponse:
        model = concrete(self.model)
        using = home(model, alias)
        (text,) = get_vendor(using).key_texts(model._meta.pk, [key])
        table_name = log_name(model._meta.db_table)
        return response(request, self.admin_site, using, table_name, text, extra_context)


def response(
    request: HttpRequest,
    site: admin.AdminSite,
    using: str,
    table_name: str,
    object_id: str,
    extra_context: dict[str, Any] | None = None,
) -> HttpResponse:
    """Return the page of an object's history; the caller has checked the permission."""
    if form := export.asked_format(request):
        return _exported(request, using, table_name, object_id, form)
    after = request.GET.get("after", "")
    log = with_reprs(AuditLog.objects.using(using))
    found = _events(log, table_name, object_id, int(after) if after.isdecimal() else 0)
    events, more = found[:PAGE], len(found) > PAGE
    describe(events, log.db)
    context = {
        **site.each_context(request),
        "title": _("History of %(model)s %(key)s")
        % {"model": model_label(table_name), "key": visible(object_id)},
        "subtitle": _called(events),
        "notices": notices.on_gaps(log.db, _tables(table_name)),
        "events": [_line(event, object_id, site, using) for event in events],
        "exports": _exports(request) if may_read_log(request.user) else [],
        "may_read_log": site.is_registered(AuditLog) and may_read_log(request.user),
        "object_now": object_now(request, site, table_name, object_id, using),
        "in_log": query_of(using),
        "later": f"?{_with_after(request, events[-1].pk)}" if more else None,
        "earlier": f"?{_with_after(request, None)}" if after else None,
        **(extra_context or {}),
    }
    request.current_app = site.name
    return TemplateResponse(request, "auditrepr/timeline.html", context)


def _exported(
    request: HttpRequest, using: str, table_name: str, object_id: str, form: Format
) -> HttpResponse:
    """Return the history as a file, to those who may read its events in the log, too."""
    if not may_read_log(request.user):
        raise PermissionDenied
    events = of_object(readable_events(request.user, using), _tables(table_name), object_id)
    after = request.GET.get("after", "")
    bounds = visible_now(using, int(after) if after.isdecimal() else 0)
    return export.response(request, Export(events, bounds), form, "object-history")


def _exports(request: HttpRequest) -> list[tuple[Any, str]]:
    """Return the labels and links of the exports of the whole history."""
    given = request.GET.copy()
    given.pop("after", None)
    found = []
    for name, label in export.LABELS.items():
        given[export.EXPORT] = name
        found.append((label, f"?{given.urlencode()}"))
    return found


def _events(log: AuditLogQuerySet, table_name: str, object_id: str, after: int) -> list[Any]:
    """Return one event more than a page holds; each part is read from an index in its order."""
    found: dict[int, AuditLog] = {}
    renames = recent_renames(log.db)
    names = {name for table in _tables(table_name) for name in renames.lineage(table).names}
    for name in names:
        events = log.filter(name.events(), pk__gt=after)
        for key in ("object_id", "previous_object_id"):
            part = events.filter(**{key: object_id}).order_by(key, "pk")[: PAGE + 1]
            found |= {event.pk: event for event in part}
    return sorted(found.values(), key=lambda event: event.pk)[: PAGE + 1]


def _tables(table_name: str) -> list[str]:
    """Return the table, and those that hold the inherited parts of its rows."""
    model = model_for_table(table_name)
    parents = model._meta.all_parents if model else ()
    return [table_name, *(log_name(parent._meta.db_table) for parent in parents)]


def _called(events: Sequence[Any]) -> str:
    texts = [event.shown.text for event in events if event.shown.text]
    return visible(texts[-1]) if texts else ""


def _line(event: Any, object_id: str, site: admin.AdminSite, using: str) -> dict[str, Any]:
    moved = event.previous_object_id is not None
    other = event.previous_object_id if event.object_id == object_id else event.object_id
    return {
        "pk": event.pk,
        "action": event.action,
        "what": capfirst(event.get_action_display()),
        "when": time_of(event),
        "who": event.who,
        "representation": representation(event.shown),
        "changes": what_changed(event.changes_in_words),
        "other_key": visible(other) if moved else "",
        "other_link": timeline_link(site, using, event.table_now, other) if moved else None,
    }


def _with_after(request: HttpRequest, pk: int | None) -> str:
    given = request.GET.copy()
    given.pop("after", None)
    if pk is not None:
        given["after"] = str(pk)
    return given.urlencode()
