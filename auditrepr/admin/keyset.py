"""Pages of an admin list at constant cost: no COUNT, no OFFSET."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.db.models import BigIntegerField, Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from .event_lines import query_of

#: Maximum number of rows that a page searches for rare matches before it shows its results.
LOOKED_AT = 20_000
OLDER_THAN = "before"
NEWER_THAN = "after"


class KeysetChangeList(ChangeList):
    """A list by descending primary key; a page is addressed by the key next to it."""

    older_link: str | None
    newer_link: str | None
    searched_to: int | None  # where a page that is not full stopped searching
    notes: list[str]  # what the page says of the list

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Model]:
        # Removed here, so that the links of the filters lead to their first page.
        self.older_than = self._take_key(OLDER_THAN)
        self.newer_than = self._take_key(NEWER_THAN)
        found: QuerySet[Model] = super().get_queryset(request, exclude_parameters)
        self.notes = list(self._remarks(request))
        return found

    def ignored(self) -> Iterator[str]:
        """Yield what of the address could not be read, and was ignored."""
        for spec in self.filter_specs:
            yield from getattr(spec, "ignored", ())

    def _remarks(self, request: HttpRequest) -> Iterator[str]:
        if ERROR_FLAG in request.GET:
            yield _("A filter in the address could not be read: this is the list without filters.")
        yield from self.ignored()
        for spec in self.filter_specs:
            if remark := getattr(spec, "remark", ""):
                yield remark

    def url_for_result(self, result: Any) -> str:
        return f"{super().url_for_result(result)}{query_of(self.queryset.db)}"

    def _take_key(self, name: str) -> int | None:
        self.filter_params.pop(name, None)
        text = self.params.pop(name, None)
        return None if text is None else key_from(text)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Model]) -> list[Any]:
        return ["-pk"]

    def last_looked_at(self, forward: bool) -> int | None:
        """Return the key at which this page stops searching; None: it searches until it is full."""
        return None

    def last_of(self, rows: QuerySet[Any], forward: bool) -> int | None:
        """Return the key at which a search of these rows stops; None: at their end."""
        keys = self.from_here(rows, forward).values_list("pk", flat=True)
        return keys[LOOKED_AT : LOOKED_AT + 1].first()

    def limits(self) -> tuple[int | None, int | None]:
        """Return the bounds of the list's keys: inclusive start, exclusive end; None: unbounded."""
        return None, None

    def from_here(
        self, rows: QuerySet[Any], forward: bool, last: int | None = None
    ) -> QuerySet[Any]:
        """Return the rows that this page may read, up to `last`, in its order.

        They have one bound at each end: with several, SQLite starts at any of them and reads on
        from there.
        """
        first, end = self.limits()
        if forward:
            rows = rows.order_by("pk")
            first = nearest(
                max, first, self.newer_than + 1 if self.newer_than is not None else None
            )
            end = nearest(min, end, last + 1 if last is not None else None)
        else:
            rows = rows.order_by("-pk")
            first, end = nearest(max, first, last), nearest(min, end, self.older_than)
        if first is not None:
            rows = rows.filter(pk__gte=first)
        return rows if end is None else rows.filter(pk__lt=end)

    def get_results(self, request: HttpRequest) -> None:
        forward = self.newer_than is not None
        last = self.last_looked_at(forward)
        rows = self.from_here(self.queryset, forward, last)
        found = list(rows[: self.list_per_page + 1])
        page, more = found[: self.list_per_page], len(found) > self.list_per_page
        if forward:
            page.reverse()
        self.searched_to = None if more else last
        self._set_links(page, more or self.searched_to is not None)
        self.result_list = page
        # Unknown on purpose: counting would read the whole table.
        # Only of this page; no template shows it, but Django makes a plural of it.
        self.result_count = len(page)
        self.full_result_count = None
        self.show_full_result_count = self.show_admin_actions = False
        self.can_show_all = self.multi_page = False

    def _set_links(self, page: list[Model], further: bool) -> None:
        newest, oldest = (page[0].pk, page[-1].pk) if page else (None, None)
        newer = older = None
        if self.newer_than is not None:
            newer = next(given(self.searched_to, newest), None) if further else None
            older = next(given(oldest, self.newer_than + 1))
        else:
            older = next(given(self.searched_to, oldest), None) if further else None
            if self.older_than is not None:
                newer = next(given(newest, self.older_than - 1))
        self.newer_link = None if newer is None else self.get_query_string({NEWER_THAN: newer})
        self.older_link = None if older is None else self.get_query_string({OLDER_THAN: older})
        self.first_link = self.get_query_string()


def key_from(text: str) -> int:
    """Return the key that a parameter holds, or the nearest one that has neighbors."""
    try:
        key = int(text)
    except ValueError as error:
        raise IncorrectLookupParameters from error
    most = BigIntegerField.MAX_BIGINT - 1
    return max(-most, min(key, most))


def given(*keys: int | None) -> Iterator[int]:
    """Yield those of the keys that there are."""
    return (key for key in keys if key is not None)


def nearest(choose: Callable[[Iterable[int]], int], *keys: int | None) -> int | None:
    """Return the one of the keys that min or max chooses, or None if none is given."""
    found = list(given(*keys))
    return choose(found) if found else None
