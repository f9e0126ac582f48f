"""The filters by a value that a link or a form gives: a database, a model, an object, a context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db import connections
from django.db.models import BigIntegerField, Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...job.logs import aliases
from ...lineage import recent_renames
from ...models import AuditLog
from ...readers.changes import model_label
from ...readers.permissions import DATABASE, readable_events, readable_tables
from ...tracking import tracked_tables
from ...utils.text import visible
from ..keyset import key_from

#: Number of events, on each side of one of its own, that a request or a command is searched in.
AROUND = 10_000


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
    remark = ""

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
        events = recent_renames(queryset.db).lineage(table).events()
        audited = any(one.name == table for one in tracked_tables(queryset.db))
        # Whatever the other filters say: one look into an index.
        if not audited and not readable_events(request.user, queryset.db).filter(events).exists():
            text = gettext("There are no events of the table “%(table)s” that you may view.")
            self.remark = text % {"table": visible(table)}
        return queryset.filter(events)


class GivenFilter(admin.SimpleListFilter):
    """A filter that only links set; it is listed while active, so that users can remove it."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value()
        return [(value, visible(value))] if value else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class ObjectFilter(GivenFilter):
    title = _("object ID")
    parameter_name = "object_id"
    selective = True


class TransactionFilter(GivenFilter):
    title = _("transaction")
    parameter_name = "transaction_id"
    selective = True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value and not value.isdecimal():
            raise IncorrectLookupParameters
        return super().queryset(request, queryset)


class ContextFilter(GivenFilter):
    """A filter by a value of the context, around an event that has it: there is no index for it."""

    unserved = True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        return queryset.filter(**{f"context__{self.parameter_name}": value})


class RequestFilter(ContextFilter):
    title = _("request ID")
    parameter_name = "request_id"


class CommandFilter(ContextFilter):
    title = _("command")
    parameter_name = "command"


class TaskFilter(ContextFilter):
    title = _("task")
    parameter_name = "task_id"


class AroundFilter(GivenFilter):
    """Restricts the list to the events around one: a request's are near each other."""

    title = _("nearby event")
    parameter_name = "around"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if value := self.value():
            key_from(value)
        return queryset

    @property
    def ids(self) -> tuple[int | None, int | None]:
        """Return the bounds of the list: inclusive start, exclusive end."""
        if not (value := self.value()):
            return None, None
        key = key_from(value)
        most = BigIntegerField.MAX_BIGINT
        return max(key - AROUND, -most), min(key + AROUND + 1, most)
