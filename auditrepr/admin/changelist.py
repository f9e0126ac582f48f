"""A page of the list of events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..capture import search_index
from ..lineage import recent_renames
from ..readers import search, search_pending
from ..readers.export import Export, visible_now
from ..readers.pairs import together
from ..readers.permissions import readable_tables
from ..readers.search import SearchResult
from ..readers.search_pending import Pending
from ..utils.text import can_be_stored
from ..utils.time_limit import PageTimeLimit
from ..vendors.types import Window, id_before
from . import hidden
from .event_lines import describe, time_of_id
from .export import EXPORT, LABELS
from .keyset import KeysetChangeList, given, nearest

#: The parameter with the text to search for.
TEXT = "text"


class LogChangeList(KeysetChangeList):
    """A page of events, each with its representation and its changes in words."""

    text: str  # the text to search for
    text_help: str

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        self.text = self.params.get(TEXT, "").strip()
        if not can_be_stored(self.text):
            raise IncorrectLookupParameters
        return super().get_queryset(request, exclude_parameters)

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        given: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in given.items() if name not in (TEXT, EXPORT)}

    def export_links(self) -> list[tuple[Any, str]]:
        """Return the labels and links of the exports of this list, with all its pages."""
        return [(label, self.get_query_string({EXPORT: name})) for name, label in LABELS.items()]

    def get_results(self, request: HttpRequest) -> None:
        self.hides_tables = readable_tables(request.user) is not None
        self.notes += hidden.note(request.user, self.queryset.db)
        self._search()
        super().get_results(request)
        self.searched_time = time_of_id(self.queryset.db, self.searched_to)
        describe(self.result_list, self.queryset.db)
        self.result_list = together(self.result_list)

    def _search(self) -> None:
        index = search_index.index(self.queryset.db)
        self.text_help = search.help_text(index)
        if not self.text:
            return
        first, end = self.limits()
        window = Window(
            nearest(max, None if first is None else id_before(first), self.newer_than),
            nearest(min, end, self.older_than),
        )
        forward = self.newer_than is not None
        using, limit = self.queryset.db, PageTimeLimit.from_settings()
        self.found = search.find(using, index, self.text, window, forward)
        pending = search_pending.find(using, self.text, window, limit)
        self.notes += _not_searched(self.found, pending)
        self.queryset = self.queryset.filter(pk__in={*self.found.ids, *pending.ids})

    def limits(self) -> tuple[int | None, int | None]:
        bounds = [spec.ids for spec in self.filter_specs if hasattr(spec, "ids")]
        return nearest(max, *(first for first, end in bounds)), nearest(
            min, *(end for first, end in bounds)
        )

    def last_looked_at(self, forward: bool) -> int | None:
        """Return the event ID at which the page stops searching, if no index serves its filters."""
        if self.text:
            return self.found.last
        if self._any_filter_is("selective") or not self._may_be_rare():
            return None
        looked_at: QuerySet[Any] = self.root_queryset.model.objects.using(self.queryset.db)
        if table_name := self.params.get("table_name"):
            renames = recent_renames(self.queryset.db)
            looked_at = looked_at.filter(renames.lineage(table_name).events())
        return self.last_of(looked_at, forward)

    def _may_be_rare(self) -> bool:
        if query := self.query.strip():
            return query.endswith("*")
        among_others = self.hides_tables and "table_name" not in self.params
        return among_others or self._any_filter_is("unserved")

    def _any_filter_is(self, kind: str) -> bool:
        """Return whether a filter in use declares this."""
        used = (spec for spec in self.filter_specs if spec.used_parameters)
        return any(getattr(spec, kind, False) for spec in used)


class ExportedList(LogChangeList):
    """The same events, not as a page: a filter that is ignored would be ignored unseen."""

    export: Export

    def get_results(self, request: HttpRequest) -> None:
        if any(self.ignored()):
            raise IncorrectLookupParameters
        using = self.queryset.db
        first, end = self.limits()
        bounds = visible_now(using, *given(self.newer_than)).within(first, end)
        bounds = bounds.within(end=self.older_than)
        index = search_index.index(using) if self.text else None
        events: Any = self.queryset
        self.export = Export(events, bounds, text=self.text, index=index)


def _not_searched(found: SearchResult, pending: Pending) -> Iterator[str]:
    if pending.left:
        number = pending.left if pending.counted else _("at least %d") % pending.left
        yield _(
            "Pending events whose representation was not searched, because the job has not stored"
            " it yet: %(number)s."
        ) % {"number": number}
    if found.no_values_upto is not None:
        yield _(
            "Up to event %(number)d, only representations were searched: the job has not indexed"
            " old and new values so far back yet."
        ) % {"number": found.no_values_upto}
