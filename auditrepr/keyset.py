"""Pages of an admin list that cost the same wherever they are: no COUNT, no OFFSET."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest

OLDER_THAN = "before"
NEWER_THAN = "after"


class KeysetChangeList(ChangeList):
    """Newest first by primary key; a page is named by the key that it follows or precedes."""

    older_link: str | None
    newer_link: str | None

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Model]:
        # Taken out here, so that the links of the filters lead to their first page.
        self.older_than = self._take_key(OLDER_THAN)
        self.newer_than = self._take_key(NEWER_THAN)
        return super().get_queryset(request, exclude_parameters)

    def _take_key(self, name: str) -> int | None:
        self.filter_params.pop(name, None)
        text = self.params.pop(name, None)
        try:
            return None if text is None else int(text)
        except ValueError as error:
            raise IncorrectLookupParameters from error

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Model]) -> list[Any]:
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        forward = self.newer_than is not None
        rows = self.queryset.order_by("pk" if forward else "-pk")
        if forward:
            rows = rows.filter(pk__gt=self.newer_than)
        elif self.older_than is not None:
            rows = rows.filter(pk__lt=self.older_than)
        found = list(rows[: self.list_per_page + 1])
        page, more = found[: self.list_per_page], len(found) > self.list_per_page
        if forward:
            page.reverse()
        self._set_links(
            page,
            newer=more if forward else self.older_than is not None,
            older=forward or more,
        )
        self.result_list = page
        # Unknown on purpose: counting would read the whole table.
        self.result_count = self.full_result_count = None  # type: ignore[assignment]
        self.show_full_result_count = self.show_admin_actions = False
        self.can_show_all = self.multi_page = False

    def _set_links(self, page: list[Model], newer: bool, older: bool) -> None:
        self.newer_link = self.older_link = None
        if page and newer:
            self.newer_link = self.get_query_string({NEWER_THAN: page[0].pk})
        if page and older:
            self.older_link = self.get_query_string({OLDER_THAN: page[-1].pk})
        self.first_link = self.get_query_string()
