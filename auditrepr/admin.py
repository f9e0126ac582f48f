"""The log, the quarantine and the job's runs in Django's admin: to be read, never to be changed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator, capfirst
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .keyset import NEWER_THAN, OLDER_THAN, KeysetChangeList
from .models import AuditLog, BackfillRun, ReprFailure
from .reading import Shown, readable_tables, shown
from .tracking import tracked_tables
from .wording import changes, fields, model_label, visible

LINE_BREAK = mark_safe("<br>")
SHOWN_CHANGES = 5  # in a line of the list
SHOWN_LENGTH = 120  # characters of a representation in a line of the list


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
        if obj is not None:
            context |= self.page_context(obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def page_context(self, obj: Any) -> dict[str, Any]:
        """What the template of an object's page gets besides what Django gives it."""
        # "original" ends the breadcrumbs.
        return {"subtitle": visible(str(obj)), "original": visible(str(obj))}

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what an index or the list's order serves; PostgreSQL cannot even take a NUL."""
        return lookup in self.allowed_lookups and "\0" not in value


class ModelFilter(admin.SimpleListFilter):
    """By table: those audited now, known without reading the log."""

    title = gettext_lazy("model")
    parameter_name = "table_name"

    def lookups(
        self,
        request: HttpRequest,
        model_admin: admin.ModelAdmin,  # type: ignore[type-arg]
    ) -> list[tuple[str, str]]:
        names = {table.name for table in tracked_tables(model_admin.get_queryset(request).db)}
        readable = readable_tables(request.user)
        if readable is not None:
            names &= readable
        if chosen := self.value():
            names.add(chosen)  # perhaps a table that no model has any more
        return sorted(((name, model_label(name)) for name in names), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        return queryset.filter(table_name=self.value()) if self.value() else queryset


class LogChangeList(KeysetChangeList):
    """A page of events, each with what stands for its object."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        for event, what in zip(
            self.result_list, shown(self.result_list, self.queryset.db), strict=True
        ):
            event.shown = what


@admin.register(AuditLog)
class AuditLogAdmin(ReadOnlyAdmin):
    """Events, newest first."""

    list_display = ["when", "what", "model_name", "object_key", "representation", "what_changed"]
    list_display_links = ["when"]
    list_filter = ["action", ModelFilter]
    search_fields = ["object_id"]
    search_help_text = gettext_lazy("The object's id in full, or its beginning and a *.")
    change_form_template = "auditrepr/event.html"
    fields = ()
    allowed_lookups = frozenset(
        {
            "action__exact",
            "table_name",
            "object_id",
            "transaction_id",
            OLDER_THAN,
            NEWER_THAN,
        }
    )

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[LogChangeList]:
        return LogChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditLog]:
        """What this user may see; a page about anything else does not exist."""
        events = super().get_queryset(request).select_related("instance_repr", "repr_failure")
        tables = readable_tables(request.user)
        return events if tables is None else events.filter(table_name__in=tables)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if "table_name" not in request.GET:
            # The index by object begins with the table.
            names = [table.name for table in tracked_tables(queryset.db)]
            queryset = queryset.filter(table_name__in=names)
        kind, text = ("__startswith", term[:-1]) if term.endswith("*") else ("", term)
        either = Q(**{f"object_id{kind}": text}) | Q(**{f"previous_object_id{kind}": text})
        return queryset.filter(either), False

    @admin.display(description=gettext_lazy("time"))
    def when(self, event: AuditLog) -> str:
        return _time(event)

    @admin.display(description=gettext_lazy("action"))
    def what(self, event: AuditLog) -> str:
        return event.get_action_display()

    @admin.display(description=gettext_lazy("model"))
    def model_name(self, event: AuditLog) -> str:
        return model_label(event.table_name)

    @admin.display(description=gettext_lazy("object"), empty_value="")
    def object_key(self, event: AuditLog) -> str | None:
        return event.object_id and visible(Truncator(event.object_id).chars(40))

    @admin.display(description=gettext_lazy("representation"))
    def representation(self, event: Any) -> SafeString:
        what: Shown = event.shown
        text = what.reason if what.failed else what.text
        return format_html(
            '<bdi>{}</bdi> <span class="quiet" title="{}">{}</span>',
            visible(Truncator(text).chars(SHOWN_LENGTH)),
            visible(what.reason),
            _remark(what),
        )

    @admin.display(description=gettext_lazy("what changed"))
    def what_changed(self, event: AuditLog) -> SafeString:
        found = changes(event)
        words = [(str(change),) for change in found[:SHOWN_CHANGES]]
        if (more := len(found) - SHOWN_CHANGES) > 0:
            words.append((ngettext("and %d more", "and %d more", more) % more,))
        return format_html_join(LINE_BREAK, "<bdi>{}</bdi>", words)

    def page_context(self, obj: AuditLog) -> dict[str, Any]:
        return _event_context(obj)


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
        """Failures of the events that this user may see: a message can quote their data."""
        failures = super().get_queryset(request)
        tables = readable_tables(request.user)
        return failures if tables is None else failures.filter(audit_log__table_name__in=tables)

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
    """What the job did."""

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


def _time(event: AuditLog) -> str:
    when = event.occurred_at
    return f"{localtime(when) if is_aware(when) else when:%Y-%m-%d %H:%M:%S}"


def _remark(what: Shown) -> str:
    remarks = [
        (what.failed, _("no representation")),
        (what.mixed, _("mixed")),
        (not what.stored, _("not stored yet")),
    ]
    words = ", ".join(remark for holds, remark in remarks if holds)
    return f"({words})" if words else ""


def _event_context(event: AuditLog) -> dict[str, Any]:
    """What the page of one event says."""
    [what] = shown([event], using=event._state.db or "default")
    every = fields(event)
    title = f"{capfirst(event.get_action_display())}: {model_label(event.table_name)}"
    return {
        "title": title,
        "subtitle": visible(what.text or event.object_id or ""),
        "original": f"#{event.pk}",
        "facts": _facts(event, what),
        "changed": [field for field in every if field.changed],
        "unchanged": [field for field in every if not field.changed],
        "object_link": _list_link(table_name=event.table_name, object_id=event.object_id),
        "transaction_link": event.transaction_id
        and _list_link(transaction_id=event.transaction_id),
    }


def _facts(event: AuditLog, what: Shown) -> list[tuple[str, str]]:
    facts = [
        (_("event"), str(event.pk)),
        (_("time"), _time(event)),
        (_("action"), str(event.get_action_display())),
        (_("model"), model_label(event.table_name)),
        (_("table"), visible(event.table_name)),
        (_("object"), visible(event.object_id or "")),
        (_("object before"), visible(event.previous_object_id or "")),
        (_("representation"), visible(what.text)),
        (_("fidelity"), _("mixed") if what.mixed else "" if what.failed else _("exact")),
        (_("no representation") if what.failed else _("why mixed"), visible(what.reason)),
        (_("stored"), "" if what.stored else _("not yet: built for this page")),
        (_("transaction"), str(event.transaction_id or "")),
    ]
    return [(label, value) for label, value in facts if value]


def _list_link(**lookups: Any) -> str:
    given = {name: value for name, value in lookups.items() if value is not None}
    return f"{reverse('admin:auditrepr_auditlog_changelist')}?{urlencode(given)}"
