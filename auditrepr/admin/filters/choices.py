"""The filters by one of several choices; any other value is ignored, and the page says so."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...lineage import recent_renames
from ...models import AuditLog, Checkpoint, Fidelity, ReprFailureQuerySet
from ...tracking import tracked_tables
from ...utils.model_meta import own_fields
from ...utils.table_names import model_for_table
from ...utils.text import visible
from ...vendors.types import BEGINNING
from .given import ModelFilter


class ChoiceFilter(admin.SimpleListFilter):
    """A filter by one of its choices; any other value is ignored, and the page says so."""

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.ignored: list[str] = []
        given = self.value()
        if given and given not in [str(value) for value, _label in self.lookup_choices]:
            self.used_parameters.pop(str(self.parameter_name))
            self.ignored.append(self.explanation(visible(given)))

    def explanation(self, given: str) -> str:
        """Return why this value is ignored."""
        facts = {"filter": self.title, "value": given}
        text = gettext("The filter “%(filter)s” has no choice “%(value)s”, so it was ignored.")
        return text % facts

    def has_output(self) -> bool:
        return bool(self.ignored) or super().has_output()


class ActionFilter(ChoiceFilter):
    title = _("action")
    parameter_name = "action__exact"
    unserved = True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(AuditLog.Action.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action=action) if (action := self.value()) else queryset


class FieldFilter(ChoiceFilter):
    """A filter by the field that an update changed, once a model is chosen.

    A field that is excluded now is not offered, but may have been recorded before.
    """

    title = _("changed field")
    parameter_name = "field"
    unserved = True

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.table = request.GET.get(ModelFilter.parameter_name, "")
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        model = model_for_table(self.table)
        if model is None:
            return []
        tables = tracked_tables(model_admin.get_queryset(request).db)
        excluded = {table.name: table.excluded for table in tables}.get(self.table, frozenset())
        return [
            (field.name, str(capfirst(field.verbose_name)))
            for field in own_fields(model)
            if field.column not in excluded or field.name == self.value()
        ]

    def explanation(self, given: str) -> str:
        if self.table:
            return super().explanation(given)
        facts = {"filter": self.title, "value": given}
        return gettext("“%(value)s” was ignored: the filter “%(filter)s” requires a model.") % facts

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        model = model_for_table(self.table)
        if not self.value() or model is None:
            return queryset
        column = next((f.column for f in own_fields(model) if f.name == self.value()), "")
        columns = recent_renames(queryset.db).lineage(self.table).columns(column)
        return queryset.filter(action=AuditLog.Action.UPDATE, changed_from__has_any_keys=columns)


class StateFilter(ChoiceFilter):
    """A filter by the status of the representation."""

    title = _("representation status")
    parameter_name = "state"

    @property
    def unserved(self) -> bool:
        return self.value() == "pending"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("mixed", _("mixed")),
            ("failed", _("failed")),
            ("final", _("final")),
            ("pending", _("pending")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "mixed":
                return queryset.filter(instance_repr__fidelity=Fidelity.MIXED)
            case "failed":
                return queryset.filter(repr_failure__next_attempt_at__isnull=False)
            case "final":
                # Not only the time: an event without a failure has none, either.
                final = {"repr_failure__isnull": False, "repr_failure__next_attempt_at": None}
                return queryset.filter(**final)
            case "pending":
                mark = Checkpoint.of(queryset.db, "settled_id")
                return queryset.pending(after=mark.settled_id if mark else BEGINNING)
        return queryset


class FinalFilter(ChoiceFilter):
    """A filter of failures by whether they are retried."""

    title = _("representation status")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("failed", _("failed")), ("final", _("final"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return failures_in(queryset, self.value())


def failures_in(failures: ReprFailureQuerySet, state: str | None) -> ReprFailureQuerySet:
    """Return the failures that are retried, or are final, or all."""
    match state:
        case "failed":
            return failures.failing()
        case "final":
            return failures.final()
    return failures
