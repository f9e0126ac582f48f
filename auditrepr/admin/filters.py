"""The filters of the list of events; an index or a bounded part of the log serves each.

A new one is named in ``list_filter`` of ``audit_log.AuditLogAdmin``, and its parameter in
``allowed_lookups`` there; if no index serves it, in ``changelist`` as one that may be rare.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db import connections
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_date
from django.utils.timezone import localdate, make_aware
from django.utils.translation import gettext_lazy as _

from ..job.logs import aliases
from ..lineage import recent_renames
from ..models import AuditLog, Checkpoint, Fidelity
from ..models.log import first_id
from ..readers.changes import model_label
from ..readers.permissions import DATABASE, readable_tables
from ..tracking import tracked_tables
from ..utils.text import visible

#: An event can be this much older than the one before it: so long may its statement have run.
SLACK = timedelta(minutes=10)


class DatabaseFilter(admin.SimpleListFilter):
    """By the database whose log it is, where several hold one; see the list's queryset."""

    title = _("database")
    parameter_name = DATABASE

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        found = aliases() if len(connections.settings) > 1 else []
        return [(alias, alias) for alias in found if alias != AuditLog.objects.db]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        usual, *others = super().choices(changelist)
        yield {**usual, "display": AuditLog.objects.db}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class ModelFilter(admin.SimpleListFilter):
    """A filter by table; the choices are the audited ones, known without reading the log."""

    title = _("model")
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
            names.add(chosen)  # perhaps a table without a model
        return sorted(((name, model_label(name)) for name in names), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        if not (table := self.value()):
            return queryset
        return queryset.filter(recent_renames(queryset.db).lineage(table).events())


class GivenFilter(admin.SimpleListFilter):
    """A filter that only links set; it is listed while active, so that users can remove it."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value()
        return [(value, visible(value))] if value else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class ActorFilter(GivenFilter):
    title = _("actor")
    parameter_name = "actor"


class ObjectFilter(GivenFilter):
    title = _("object ID")
    parameter_name = "object_id"


class TransactionFilter(GivenFilter):
    title = _("transaction")
    parameter_name = "transaction_id"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value and not value.isdecimal():
            raise IncorrectLookupParameters
        return super().queryset(request, queryset)


class StateFilter(admin.SimpleListFilter):
    """A filter by the status of the representation."""

    title = _("representation status")
    parameter_name = "state"

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
                mark = Checkpoint.objects.using(queryset.db).filter(pk=1).first()
                return queryset.pending(after=mark.settled_id if mark else 0)
        return queryset


class FinalFilter(admin.SimpleListFilter):
    """A filter of failures by whether they are retried."""

    title = _("representation status")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("failed", _("failed")), ("final", _("final"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "failed":
                return queryset.failing()
            case "final":
                return queryset.final()
        return queryset


class PeriodFilter(admin.ListFilter):
    """A filter by date.

    The log has no index by time, but its IDs are in the order of time, approximately.
    """

    title = _("date")
    template = "auditrepr/period_filter.html"
    parameters: ClassVar = ("since", "until")

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, Any],
        model: type[Model],
        model_admin: Any,
    ) -> None:
        super().__init__(request, params, model, model_admin)
        given = {name: (params.pop(name, None) or [""])[-1] for name in self.parameters}
        self.days = {name: _day(text) for name, text in given.items()}
        self.used_parameters = {name: str(day) for name, day in self.days.items() if day}
        # The keys of the first event that may be of this time, and of the first after it.
        self.ids: tuple[int | None, int | None] = (None, None)

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        self.other_parameters = {
            name: value for name, value in changelist.params.items() if name not in self.parameters
        }
        today = localdate() if settings.USE_TZ else date.today()
        for label, since in [
            (_("Any date"), None),
            (_("Today"), today),
            (_("Past 7 days"), today - timedelta(days=7)),
        ]:
            chosen = {"since": str(since)} if since else {}
            yield {
                "selected": self.used_parameters == chosen,
                "query_string": changelist.get_query_string(chosen, list(self.parameters)),
                "display": label,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since, until = (self.days[name] for name in self.parameters)
        log = AuditLog.objects.using(queryset.db)
        first = end = None
        if since:
            begin = _midnight(since)
            first = first_id(log, begin - SLACK)
            queryset = queryset.filter(occurred_at__gte=begin)
        if until:
            midnight = _midnight(until + timedelta(days=1))
            end = first_id(log, midnight + SLACK)
            queryset = queryset.filter(occurred_at__lt=midnight)
        self.ids = (first, end)
        return queryset


def _day(text: str) -> date | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    # Leave room around it for a time zone, and for some slack.
    return day if day and date.min.year < day.year < date.max.year else None


def _midnight(day: date) -> datetime:
    when = datetime.combine(day, time())
    return make_aware(when) if settings.USE_TZ else when
