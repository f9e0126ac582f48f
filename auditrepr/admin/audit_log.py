"""The list of the log's events, and the page of one event."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext_lazy

from ..lineage import recent_renames
from ..models import AuditLog
from ..readers.changes import model_label
from ..readers.export_formats import Format
from ..readers.permissions import DATABASE, asked_log, readable_events, readable_tables
from ..tracking import tracked_tables
from ..utils.text import can_be_stored, visible
from . import event_page, export, notices, timeline
from .base import ReadOnlyAdmin
from .changelist import TEXT, ExportedList, LogChangeList
from .event_lines import by_key, representation, time_of, what_changed
from .filters import (
    ActorFilter,
    DatabaseFilter,
    ModelFilter,
    ObjectFilter,
    PeriodFilter,
    StateFilter,
    TransactionFilter,
)
from .keyset import NEWER_THAN, OLDER_THAN


@admin.register(AuditLog)
class AuditLogAdmin(ReadOnlyAdmin):
    """The list of events, newest first, and the page of each event."""

    list_display = [
        "when",
        "who",
        "what",
        "model_name",
        "object_key",
        "representation",
        "what_changed",
    ]
    list_display_links = ["when"]
    list_filter = [
        DatabaseFilter,
        ActorFilter,
        ObjectFilter,
        TransactionFilter,
        "action",
        ModelFilter,
        StateFilter,
        PeriodFilter,
    ]
    search_fields = ["object_id"]
    search_help_text = gettext_lazy("A complete object ID, or its beginning followed by *.")
    change_form_template = "auditrepr/event.html"
    fields = ()
    allowed_lookups = frozenset(
        {
            "action__exact",
            DATABASE,
            "table_name",
            "state",
            *PeriodFilter.parameters,
            "actor",
            "object_id",
            "transaction_id",
            TEXT,
            OLDER_THAN,
            NEWER_THAN,
        }
    )

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[LogChangeList]:
        return ExportedList if export.EXPORT in request.GET else LogChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if form := export.asked_format(request):
            return self._exported(request, form)
        title = capfirst(self.opts.verbose_name_plural)
        context = {"title": title, "notices": notices.on_recording(AuditLog.objects.db)}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def _exported(self, request: HttpRequest, form: Format) -> HttpResponse:
        """Return what the list shows with these filters, on all its pages, as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
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
        return format_html('<span class="nowrap">{}</span>', time_of(event))

    @admin.display(description=gettext_lazy("changed by"), empty_value="")
    def who(self, event: Any) -> str | None:
        return event.who or None

    @admin.display(description=gettext_lazy("action"))
    def what(self, event: AuditLog) -> str:
        return event.get_action_display()

    @admin.display(description=gettext_lazy("model"))
    def model_name(self, event: Any) -> str:
        return model_label(event.table_now)

    @admin.display(description=gettext_lazy("object ID"), empty_value="")
    def object_key(self, event: AuditLog) -> str | None:
        return event.object_id and visible(Truncator(event.object_id).chars(40))

    @admin.display(description=gettext_lazy("representation"))
    def representation(self, event: Any) -> SafeString:
        return representation(event.shown)

    @admin.display(description=gettext_lazy("changes"))
    def what_changed(self, event: Any) -> SafeString:
        return what_changed(event.changes_in_words)

    def get_urls(self) -> list[Any]:
        timeline_view = self.admin_site.admin_view(self.timeline_view)
        raw_view = self.admin_site.admin_view(self.raw_view)
        return [
            path("object/", timeline_view, name="auditrepr_timeline"),
            path("<int:pk>/raw/", raw_view, name="auditrepr_raw"),
            *super().get_urls(),
        ]

    def raw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Return the raw data of one event, to those who may see its page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return event_page.download(get_object_or_404(self.get_queryset(request), pk=pk))

    def timeline_view(self, request: HttpRequest) -> HttpResponse:
        """Return the history of the object that the URL names by table and object ID."""
        table_name, key = (request.GET.get(name, "") for name in ("table_name", "object_id"))
        tables = readable_tables(request.user)
        if not self.has_view_permission(request) or not can_be_stored(table_name + key):
            raise PermissionDenied
        if tables is not None and table_name not in tables:
            raise PermissionDenied
        return timeline.response(request, self.admin_site, asked_log(request), table_name, key)

    def page_context(self, request: HttpRequest, obj: AuditLog) -> dict[str, Any]:
        return event_page.context(request, self.admin_site, obj)
