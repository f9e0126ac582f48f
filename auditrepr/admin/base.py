"""What the pages of the log have in common: they are read, never changed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db.models import DateTimeField, Model
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from ..utils.text import can_be_stored, visible
from .event_lines import clock
from .keyset import KeysetChangeList
from .upgrades import guarded


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A ModelAdmin that lists and shows; changes are refused, even to superusers."""

    actions = None
    list_per_page = 50
    ordering = ["-pk"]
    sortable_by = ()
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    change_list_template = "auditrepr/keyset_list.html"
    change_form_template = "auditrepr/record.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        try:
            return super().get_object(request, object_id, from_field)
        except OverflowError:  # no row can have such a key
            return None

    def get_urls(self) -> list[Any]:
        usual = [self._permitted(pattern) for pattern in super().get_urls()]
        return [*map(guarded, self.own_urls()), *map(guarded, usual)]

    def _permitted(self, pattern: Any) -> Any:
        """Return the pattern with a view that first checks whether the user may open the page.

        What its address names exists or not only for those who may.
        """
        view = pattern.callback

        @wraps(view)
        def permitted(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
            logged_in = self.admin_site.has_permission(request)  # or else the view asks for it
            if logged_in and not self.has_view_permission(request):
                raise PermissionDenied
            answer: HttpResponse = view(request, *args, **options)
            return answer

        pattern.callback = permitted
        return pattern

    def own_urls(self) -> list[Any]:
        """Return the pages in addition to those that every ModelAdmin has."""
        return []

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [
            _times_as_everywhere(self.model, name) for name in super().get_list_display(request)
        ]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [_times_as_everywhere(self.model, name) for name in super().get_fields(request, obj)]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = {"title": capfirst(self.opts.verbose_name_plural)}
        return super().changelist_view(request, title | (extra_context or {}))

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
        """Return what the template of an object's page needs in addition to Django's context."""
        # "original" ends the breadcrumbs.
        return {"subtitle": visible(str(obj)), "original": visible(str(obj))}

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what a filter of the list reads."""
        read = {name for one in self.get_list_filter(request) for name in _parameters(one)}
        return lookup in read and can_be_stored(value)


def _parameters(declared: Any) -> Collection[str | None]:
    """Return the parameters that this filter reads, as its class declares them."""
    return getattr(declared, "parameters", None) or (getattr(declared, "parameter_name", None),)


def _times_as_everywhere(model: type[Model], name: Any) -> Any:
    """Return a column with the time format of all pages for a field with times, else `name`."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return name
    return _time_column(field) if isinstance(field, DateTimeField) else name


def _time_column(field: DateTimeField[Any, Any]) -> Callable[[Model], SafeString | None]:
    @admin.display(description=field.verbose_name, empty_value="-")
    def column(row: Model) -> SafeString | None:
        when: datetime | None = getattr(row, field.attname)
        return None if when is None else format_html('<span class="nowrap">{}</span>', clock(when))

    return column
