"""A page of the list of events."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest

from ..capture import search_index
from ..lineage import recent_renames
from ..readers import search
from ..readers.export import Export, visible_now
from ..readers.permissions import readable_tables
from ..utils.text import can_be_stored
from ..vendors.types import Window
from .event_lines import describe, query_of
from .export import EXPORT, LABELS
from .filters import PeriodFilter
from .keyset import KeysetChangeList

#: Maximum number of events that a page searches for rare matches before it shows its results.
LOOKED_AT = 20_000
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

    def url_for_result(self, result: Any) -> str:
        return f"{super().url_for_result(result)}{query_of(self.queryset.db)}"

    def get_results(self, request: HttpRequest) -> None:
        self.hides_tables = readable_tables(request.user) is not None
        self._search()
        super().get_results(request)
        describe(self.result_list, self.queryset.db)

    def _search(self) -> None:
        index = search_index.index(self.queryset.db)
        self.text_help = search.help_text(index)
        if not self.text:
            return
        first, end = self.limits()
        window = Window(
            max([*_given(first and first - 1), *_given(self.newer_than)], default=None),
            min([*_given(end), *_given(self.older_than)], default=None),
        )
        forward = self.newer_than is not None
        self.found = search.find(self.queryset.db, index, self.text, window, forward)
        self.queryset = self.queryset.filter(pk__in=self.found.ids)

    def limits(self) -> tuple[int | None, int | None]:
        return next((s.ids for s in self.filter_specs if isinstance(s, PeriodFilter)), (None, None))

    def last_looked_at(self, forward: bool) -> int | None:
        """Return the event ID at which the page stops searching, if no index serves its filters."""
        if self.text:
            return self.found.last
        if {"actor", "object_id", "transaction_id"} & self.params.keys() or not self._may_be_rare():
            return None
        looked_at: QuerySet[Any] = self.root_queryset.model.objects.using(self.queryset.db)
        if table_name := self.params.get("table_name"):
            renames = recent_renames(self.queryset.db)
            looked_at = looked_at.filter(renames.lineage(table_name).events())
        ids = self.from_here(looked_at, forward).values_list("pk", flat=True)
        return ids[LOOKED_AT : LOOKED_AT + 1].first()

    def _may_be_rare(self) -> bool:
        if query := self.query.strip():
            return query.endswith("*")
        unserved = {"action__exact", "since", "until"} & self.params.keys()
        among_others = self.hides_tables and "table_name" not in self.params
        return bool(unserved or among_others or self.params.get("state") == "pending")


class ExportedList(LogChangeList):
    """The same events, not as a page."""

    export: Export

    def get_results(self, request: HttpRequest) -> None:
        using = self.queryset.db
        first, end = self.limits()
        bounds = visible_now(using, self.newer_than or 0).within(first, end)
        bounds = bounds.within(end=self.older_than)
        index = search_index.index(using) if self.text else None
        events: Any = self.queryset
        self.export = Export(events, bounds, text=self.text, index=index)


def _given(key: int | None) -> list[int]:
    return [] if key is None else [key]
