"""The list of the log's events, and the page of one event."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from ..lineage import recent_renames
from ..models import AuditLog
from ..readers.permissions import asked_log, readable_events, readable_tables
from ..tracking import tracked_tables
from ..utils.text import can_be_stored, event_id
from . import as_of_page, event_page, export, hidden, notices, put_back, timeline
from .base import ReadOnlyAdmin
from .changelist import ExportedList, LogChangeList
from .event_lines import by_key, time_of, what_changed, which, who_and_why
from .filters import (
    ActionFilter,
    ActorFilter,
    AroundFilter,
    CommandFilter,
    DatabaseFilter,
    FieldFilter,
    ModelFilter,
    ObjectFilter,
    PeriodFilter,
    RequestFilter,
    StateFilter,
    TaskFilter,
    TransactionFilter,
)
from .links import list_link, timeline_link
from .siblings import who_did


@admin.register(AuditLog)
class AuditLogAdmin(ReadOnlyAdmin):
    """The list of events, newest first, and the page of each event."""

    list_display = ["when", "who", "what", "which", "what_changed"]
    list_display_links = ["when"]
    list_filter = [
        DatabaseFilter,
        ActorFilter,
        ObjectFilter,
        TransactionFilter,
        RequestFilter,
        CommandFilter,
        TaskFilter,
        AroundFilter,
        PeriodFilter,
        ActionFilter,
        ModelFilter,
        FieldFilter,
        StateFilter,
    ]
    search_fields = ["object_id"]
    search_help_text = gettext_lazy("A complete object ID, or its beginning followed by *.")
    change_form_template = "auditrepr/event.html"
    fields = ()

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[LogChangeList]:
        return ExportedList if export.EXPORT in request.GET else LogChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if export.EXPORT in request.GET:
            return self._exported(request)
        context = {"notices": notices.on_recording(asked_log(request))}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def _exported(self, request: HttpRequest) -> HttpResponse:
        """Return what the list shows with these filters, on all its pages, as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = export.asked_format(request)
        try:
            found: Any = self.get_changelist_instance(request)
        except IncorrectLookupParameters:  # as for a page
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        return export.response(request, found.export, form)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditLog]:
        """Return the events that this user may see; other events have no page."""
        return readable_events(request.user, asked_log(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if "object_id" in request.GET or search_term.strip():
            queryset = self._in_known_tables(request, queryset)
        return (by_key(queryset, term) if (term := search_term.strip()) else queryset), False

    @staticmethod
    def _in_known_tables(request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Restrict the events to known tables: the index by object begins with the table."""
        if "table_name" in request.GET:
            return queryset
        tables = [table.name for table in tracked_tables(queryset.db)]
        return queryset.filter(recent_renames(queryset.db).events(tables))

    @admin.display(description=gettext_lazy("time"))
    def when(self, event: AuditLog) -> SafeString:
        parts = ((part,) for part in time_of(event).split())
        return format_html_join(" ", '<span class="nowrap">{}</span>', parts)

    @admin.display(description=gettext_lazy("changed by"))
    def who(self, event: Any) -> SafeString:
        lookups = who_did(event)
        link = lookups and list_link(self.admin_site, event._state.db, **lookups)
        return who_and_why(event, link or None)

    @admin.display(description=gettext_lazy("action"))
    def what(self, event: Any) -> str:
        return str(event.action_in_words)

    @admin.display(description=gettext_lazy("object"))
    def which(self, event: Any) -> SafeString:
        site, using, table = self.admin_site, event._state.db, event.table_now
        history = event.object_id and timeline_link(site, using, table, event.object_id)
        return which(event, list_link(site, using, table_name=table), history or None)

    @admin.display(description=gettext_lazy("changes"), empty_value="")
    def what_changed(self, event: Any) -> SafeString:
        return what_changed(event.changes_in_words)

    def own_urls(self) -> list[Any]:
        timeline_view = self.admin_site.admin_view(self.timeline_view)
        raw_view = self.admin_site.admin_view(self.raw_view)
        put_back_view = self.admin_site.admin_view(self.put_back_view)
        as_of_view = self.admin_site.admin_view(self.as_of_view)
        return [
            path("object/", timeline_view, name="auditrepr_timeline"),
            path("object/as-of/", as_of_view, name="auditrepr_as_of"),
            path("object/put-back/", put_back_view, name="auditrepr_put_back"),
            path("<str:pk>/raw/", raw_view, name="auditrepr_raw"),
        ]

    def raw_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Return the raw data of one event, to those who may see its page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if (number := event_id(pk)) is None:
            raise Http404(gettext("No such event."))
        return event_page.download(get_object_or_404(self.get_queryset(request), pk=number))

    def timeline_view(self, request: HttpRequest) -> HttpResponse:
        """Return the history of the object that the URL names by table and object ID."""
        self._may_read_object(request)
        table_name, key = self._object_named_by(request)
        return timeline.response(request, self.admin_site, asked_log(request), table_name, key)

    def as_of_view(self, request: HttpRequest) -> HttpResponse:
        """Return the object as of one moment, or of two side by side."""
        self._may_read_object(request)
        return as_of_page.response(request, self.admin_site, asked_log(request))

    def put_back_view(self, request: HttpRequest) -> HttpResponse:
        """Return what putting the object back would change; a POST puts it back."""
        self._may_read_object(request)
        return put_back.response(request, self.admin_site, asked_log(request))

    @staticmethod
    def _object_named_by(request: HttpRequest) -> tuple[str, str]:
        return request.GET.get("table_name", ""), request.GET.get("object_id", "")

    def _may_read_object(self, request: HttpRequest) -> None:
        """Check that the user may read the events of the object that the URL names."""
        table_name, key = self._object_named_by(request)
        tables = readable_tables(request.user)
        if not self.has_view_permission(request) or not can_be_stored(table_name + key):
            raise PermissionDenied
        if tables is not None and table_name not in tables:
            raise PermissionDenied

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """Say which permission would show the event, if it is there and hidden."""
        permission = hidden.needed_for(request.user, asked_log(request), object_id)
        if not permission:
            return super()._get_obj_does_not_exist_redirect(request, opts, object_id)  # type: ignore[misc,no-any-return]
        facts = {"event": object_id, "permission": permission}
        told = gettext(
            "Event %(event)s is hidden from you. This permission shows it: %(permission)s"
        )
        self.message_user(request, told % facts, messages.WARNING, fail_silently=True)
        listed = list_link(self.admin_site, asked_log(request))
        return HttpResponseRedirect(listed or reverse("admin:index"))

    def page_context(self, request: HttpRequest, obj: AuditLog) -> dict[str, Any]:
        return event_page.context(request, self.admin_site, obj)
