"""The runs of the job, and the page on how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.duration import duration_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..job.locks.process import Process
from ..job.monitoring import summary
from ..job.rounds import shares
from ..job.runs import killed
from ..models import BackfillRun
from ..readers.permissions import asked_log
from ..utils.text import clean
from . import job_page
from .base import ReadOnlyAdmin
from .event_lines import query_of
from .filters import DatabaseFilter
from .keyset import KeysetChangeList

SECOND = timedelta(seconds=1)


class RunChangeList(KeysetChangeList):
    """A page of runs, of which those that were killed are known."""

    def get_results(self, request: HttpRequest) -> None:
        using = self.queryset.db
        held = summary.holders(using)  # before the runs are read
        super().get_results(request)
        mark_killed(using, self.result_list, held)


def mark_killed(using: str, runs: Iterable[Any], held: Sequence[Process]) -> None:
    """Set on each run whether it was killed.

    :param held: who held the lock or a share right before the runs were read.
    """
    lost = killed.among(using, runs, held)
    for run in runs:
        run.was_killed = run.pk in lost


@admin.register(BackfillRun)
class BackfillRunAdmin(ReadOnlyAdmin):
    """The backfill status: progress, failures by kind, and the list of runs."""

    change_list_template = "auditrepr/job.html"
    list_display = [
        "started_at",
        "command",
        "took",
        "rows",
        "failures",
        "stopped",
        "idle_runs",
        "skipped_runs",
        "host",
    ]
    fields = [
        "command",
        "started_at",
        "ended_at",
        "seen_at",
        "host",
        "pid",
        "rows",
        "failures",
        "batches",
        "stopped",
        "error",
        "building",
        "idle_runs",
        "skipped_runs",
    ]
    list_filter = [DatabaseFilter]

    @admin.display(description=gettext_lazy("duration"), empty_value="")
    def took(self, run: BackfillRun) -> str | None:
        if run.ended_at is None:
            return None
        return duration_string((run.ended_at - run.started_at) // SECOND * SECOND)

    @admin.display(description=gettext_lazy("stop reason"))
    def stopped(self, run: BackfillRun) -> str:
        """Return why the run stopped, also if it could not record that itself."""
        if getattr(run, "was_killed", False):
            return _(killed.TOLD)
        return str(run.get_stop_reason_display()) or _("running")

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        held = summary.holders(asked_log(request))
        run = super().get_object(request, object_id, from_field)
        mark_killed(asked_log(request), [run] if run else [], held)
        return run

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[KeysetChangeList]:
        return RunChangeList

    def own_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.retry_view)
        cancel = self.admin_site.admin_view(self.cancel_view)
        return [
            path("retry/", view, name="auditrepr_retry"),
            path("cancel/", cancel, name="auditrepr_cancel"),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[BackfillRun]:
        return BackfillRun.objects.using(asked_log(request))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {**job_page.context(request, self.admin_site), **(extra_context or {})}
        return super().changelist_view(request, context)

    def retry_view(self, request: HttpRequest) -> HttpResponse:
        """Make the failures of one model and error due, so that the next run retries them."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not job_page.may_retry(request.user):
            raise PermissionDenied
        given = (request.POST.get(name, "") for name in ("table_name", "error_class"))
        table_name, error_class = map(clean, given)
        using = asked_log(request)
        count = job_page.retry(request.user, using, table_name, error_class)
        told = ngettext(
            "%d representation will be retried in the next run.",
            "%d representations will be retried in the next run.",
            count,
        )
        return self._back(request, using, told % count)

    def cancel_view(self, request: HttpRequest) -> HttpResponse:
        """Cancel the round, so that its workers stop."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not job_page.may_cancel(request.user):
            raise PermissionDenied
        using = asked_log(request)
        count = shares.void(using)
        canceled = ngettext(
            "Canceled the round (%d share was left).",
            "Canceled the round (%d shares were left).",
            count,
        )
        return self._back(request, using, canceled % count if count else _("There is no round."))

    def _back(self, request: HttpRequest, using: str, told: str) -> HttpResponse:
        self.message_user(request, told, fail_silently=True)
        runs = "admin:auditrepr_backfillrun_changelist"
        page = reverse(runs, current_app=self.admin_site.name)
        return HttpResponseRedirect(f"{page}{query_of(using)}")
