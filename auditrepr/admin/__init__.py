"""The log, the quarantine and the job's runs in Django's admin: to be read, never to be changed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext_lazy, ngettext

from . import eventpage, jobpage, timeline
from .changelist import TEXT, LogChangeList
from .filters import (
    ActorFilter,
    ModelFilter,
    ObjectFilter,
    PeriodFilter,
    StateFilter,
    TransactionFilter,
)
from .keyset import NEWER_THAN, OLDER_THAN, KeysetChangeList
from .lines import SHOWN_LENGTH, by_key, representation, time_of, what_changed
from .models import AuditLog, BackfillRun, ReprFailure
from .reading import readable_events, readable_failures, readable_tables
from .renames import recent_renames
from .timeline import AuditHistoryMixin
from .tracking import tracked_tables
from .wording import model_label, visible

__all__ = ["AuditHistoryMixin", "AuditLogAdmin", "BackfillRunAdmin", "ReprFailureAdmin"]


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Lists and shows; whatever would write is refused, superusers included."""

    actions = None
    list_per_page = 50
    ordering = ["-pk"]
    sortable_by = ()
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    change_list_template = "auditrepr/keyset_list.html"
    allowed_lookups: frozenset[str] = frozenset()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context |= self.page_context(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the template of an object's page gets besides what Django gives it."""
        # "original" ends the breadcrumbs.
        return {"subtitle": visible(str(obj)), "original": visible(str(obj))}

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what an index or the list's order serves; PostgreSQL cannot even take a NUL."""
        return lookup in self.allowed_lookups and "\0" not in value


@admin.register(AuditLog)
class AuditLogAdmin(ReadOnlyAdmin):
    """Events, newest first."""

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
        ActorFilter,
        ObjectFilter,
        TransactionFilter,
        "action",
        ModelFilter,
        StateFilter,
        PeriodFilter,
    ]
    search_fields = ["object_id"]
    search_help_text = gettext_lazy("The object's id in full, or its beginning and a *.")
    change_form_template = "auditrepr/event.html"
    fields = ()
    allowed_lookups = frozenset(
        {
            "action__exact",
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
        return LogChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditLog]:
        """What this user may see; a page about anything else does not exist."""
        return readable_events(request.user)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if "object_id" in request.GET or search_term.strip():
            queryset = self._in_known_tables(request, queryset)
        return (by_key(queryset, term) if (term := search_term.strip()) else queryset), False

    @staticmethod
    def _in_known_tables(request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The index by object begins with the table."""
        if "table_name" in request.GET:
            return queryset
        tables = [table.name for table in tracked_tables(queryset.db)]
        return queryset.filter(recent_renames(queryset.db).events(tables))

    @admin.display(description=gettext_lazy("time"))
    def when(self, event: AuditLog) -> SafeString:
        return format_html('<span class="nowrap">{}</span>', time_of(event))

    @admin.display(description=gettext_lazy("who"), empty_value="")
    def who(self, event: Any) -> str | None:
        return event.who or None

    @admin.display(description=gettext_lazy("action"))
    def what(self, event: AuditLog) -> str:
        return event.get_action_display()

    @admin.display(description=gettext_lazy("model"))
    def model_name(self, event: Any) -> str:
        return model_label(event.table_now)

    @admin.display(description=gettext_lazy("object"), empty_value="")
    def object_key(self, event: AuditLog) -> str | None:
        return event.object_id and visible(Truncator(event.object_id).chars(40))

    @admin.display(description=gettext_lazy("representation"))
    def representation(self, event: Any) -> SafeString:
        return representation(event.shown)

    @admin.display(description=gettext_lazy("what changed"))
    def what_changed(self, event: Any) -> SafeString:
        return what_changed(event.changes_in_words)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.timeline_view)
        return [path("object/", view, name="auditrepr_timeline"), *super().get_urls()]

    def timeline_view(self, request: HttpRequest) -> HttpResponse:
        """The history of the object that the address names by its table and its key."""
        table_name, key = (request.GET.get(name, "") for name in ("table_name", "object_id"))
        tables = readable_tables(request.user)
        if not self.has_view_permission(request) or "\0" in table_name + key:
            raise PermissionDenied
        if tables is not None and table_name not in tables:
            raise PermissionDenied
        return timeline.response(request, self.admin_site, table_name, key)

    def page_context(self, request: HttpRequest, obj: AuditLog) -> dict[str, Any]:
        return eventpage.context(request, self.admin_site, obj)


@admin.register(ReprFailure)
class ReprFailureAdmin(ReadOnlyAdmin):
    """The quarantine."""

    list_display = ["event", "error", "attempts", "last_failed_at", "next_attempt_at"]
    list_select_related = ["audit_log"]
    fields = (
        "event",
        "error",
        "where",
        "attempts",
        "first_failed_at",
        "last_failed_at",
        "next_attempt_at",
    )
    allowed_lookups = frozenset({OLDER_THAN, NEWER_THAN})

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReprFailure]:
        return readable_failures(request.user)

    @admin.display(description=gettext_lazy("event"))
    def event(self, failure: ReprFailure) -> str:
        return visible(f"#{failure.pk}: {failure.audit_log}")

    @admin.display(description=gettext_lazy("error"))
    def error(self, failure: ReprFailure) -> str:
        return visible(f"{failure.error_class}: {Truncator(failure.message).chars(SHOWN_LENGTH)}")

    @admin.display(description=gettext_lazy("where"))
    def where(self, failure: ReprFailure) -> SafeString:
        lines = ((visible(line),) for line in failure.traceback.splitlines())
        return format_html_join("\n", "<div><code>{}</code></div>", lines)


@admin.register(BackfillRun)
class BackfillRunAdmin(ReadOnlyAdmin):
    """The job: how far it is, what failed, and what each run did."""

    change_list_template = "auditrepr/job.html"
    list_display = [
        "started_at",
        "ended_at",
        "rows",
        "failures",
        "stop_reason",
        "idle_runs",
        "skipped_runs",
        "host",
    ]
    allowed_lookups = frozenset({OLDER_THAN, NEWER_THAN})

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.retry_view)
        return [path("retry/", view, name="auditrepr_retry"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {**jobpage.context(request, self.admin_site), **(extra_context or {})}
        return super().changelist_view(request, context)

    def retry_view(self, request: HttpRequest) -> HttpResponse:
        """The next run tries the failures of one kind again."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not jobpage.may_retry(request.user):
            raise PermissionDenied
        given = (request.POST.get(name, "") for name in ("table_name", "error_class"))
        table_name, error_class = (text.replace("\0", "") for text in given)
        count = jobpage.retry(request.user, table_name, error_class)
        told = ngettext(
            "The next run tries %d representation again.",
            "The next run tries %d representations again.",
            count,
        )
        self.message_user(request, told % count, fail_silently=True)
        runs = "admin:auditrepr_backfillrun_changelist"
        return HttpResponseRedirect(reverse(runs, current_app=self.admin_site.name))
