"""The erasures: when, by whom and how much, and never what."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..lineage import recent_renames
from ..models import Erasure
from ..readers.changes import model_label
from ..readers.permissions import asked_log
from ..utils.text import visible
from .base import ReadOnlyAdmin
from .filters import DatabaseFilter


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    """The list of erasures; of one that is unfinished, how to continue it."""

    COUNTS = ("events", "contexts", "representations", "failures", "others")
    list_display = ["started_at", "state", "subject", "kind", "by", *COUNTS]
    fields = (
        "state",
        "command",
        "subject",
        "kind",
        "columns",
        "by",
        "started_at",
        "finished_at",
        *COUNTS,
    )
    list_filter = (DatabaseFilter,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Erasure]:
        return Erasure.objects.using(asked_log(request)).defer("secret")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        ended = obj is not None and obj.finished_at is not None
        unwanted = self.fields.index("command" if ended else "finished_at")
        found = super().get_fields(request, obj)
        return found[:unwanted] + found[unwanted + 1 :]

    @admin.display(description=gettext_lazy("state"))
    def state(self, erasure: Erasure) -> str:
        return _("unfinished") if erasure.finished_at is None else _("done")

    @admin.display(description=gettext_lazy("model"), empty_value="-")
    def kind(self, erasure: Erasure) -> str | None:
        name, using = erasure.table_name, str(erasure._state.db)
        if not name:
            return None
        return visible(model_label(recent_renames(using).shown_name(name, erasure.started_at)))

    @admin.display(description=gettext_lazy("to continue"))
    def command(self, erasure: Erasure) -> SafeString:
        """Return the command that continues it, with what the record knows of its options."""
        help_text = _(
            "Run it again, with the same options; PK or USER stands for whom it was about, which is"
            " not recorded."
        )
        said = visible(erasure.command(str(erasure._state.db)))
        return format_html('<code>{}</code><div class="help">{}</div>', said, help_text)
