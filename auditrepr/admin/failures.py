"""The events whose representation could not be built."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy

from ..lineage import recent_renames
from ..models import ReprFailure, ReprFailureQuerySet
from ..readers.permissions import (
    asked_log,
    may_read_log,
    readable_failures,
    readable_tables,
)
from ..utils.text import visible
from . import hidden
from .base import ReadOnlyAdmin
from .event_lines import SHOWN_LENGTH, time_of_id
from .filters import DatabaseFilter, FinalFilter, failures_in
from .keyset import KeysetChangeList
from .links import event_link, timeline_link


class FailureChangeList(KeysetChangeList):
    """A page of failures; among those of other models, a reader's own may be rare."""

    def get_results(self, request: HttpRequest) -> None:
        self.hides_tables = readable_tables(request.user) is not None
        self.notes += hidden.note(request.user, self.queryset.db)
        super().get_results(request)
        self.searched_time = time_of_id(self.queryset.db, self.searched_to)

    def last_looked_at(self, forward: bool) -> int | None:
        if not self.hides_tables:
            return None
        every = ReprFailure.objects.using(self.queryset.db)
        return self.last_of(failures_in(every, self.params.get("state")), forward)


@admin.register(ReprFailure)
class ReprFailureAdmin(ReadOnlyAdmin):
    """The list of failed representations."""

    list_display = ["event", "error", "attempts", "last_failed_at", "next_attempt_at"]
    list_filter = (DatabaseFilter, FinalFilter)
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
    change_form_template = "auditrepr/failure.html"

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[FailureChangeList]:
        return FailureChangeList

    def get_queryset(self, request: HttpRequest) -> ReprFailureQuerySet:
        return readable_failures(request.user, asked_log(request))

    def page_context(self, request: HttpRequest, obj: ReprFailure) -> dict[str, Any]:
        context = super().page_context(request, obj)
        if may_read_log(request.user):
            site, using, event = self.admin_site, asked_log(request), obj.audit_log
            table = recent_renames(using).shown_name(event.table_name, event.occurred_at)
            key = event.object_id
            context["event_link"] = event_link(site, using, event.pk)
            context["history_link"] = key and timeline_link(site, using, table, key)
        return context

    @admin.display(description=gettext_lazy("event"))
    def event(self, failure: ReprFailure) -> str:
        return visible(f"#{failure.pk}: {failure.audit_log}")

    @admin.display(description=gettext_lazy("error"))
    def error(self, failure: ReprFailure) -> str:
        return visible(f"{failure.error_class}: {Truncator(failure.message).chars(SHOWN_LENGTH)}")

    @admin.display(description=gettext_lazy("traceback"))
    def where(self, failure: ReprFailure) -> SafeString:
        lines = ((visible(line),) for line in failure.traceback.splitlines())
        return format_html_join("\n", "<div><code>{}</code></div>", lines)
