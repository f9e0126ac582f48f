"""Searches representations, and old and new values, by an index or one part of the log at a time.

The index is a setting, because all that the job stores pays for it; ``migrate`` creates it. What is
pending is searched besides: see :mod:`auditrepr.readers.search_pending`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..capture import search_index
from ..models import AuditLog, Checkpoint, InstanceRepr
from ..vendors import get_vendor
from ..vendors.types import SearchIndex, Window

#: Events that a page searches without an index before it says how far it got.
LOOKED_AT = 10_000
#: Number of matches to which a page applies its other filters.
MOST = 2_000
#: If more of LOOKED_AT match, an index that must sort all its matches is of no use.
COMMON = 200


@dataclass(frozen=True)
class SearchResult:
    """The result of a search: the nearest matches, in the order of the search."""

    ids: Sequence[int]  # of the events
    last: int | None  # the event at which the search stopped; None: it has searched everything
    #: Whether nothing but representations was searched in a part of the log; and up to which event.
    no_values_upto: int | None = None


def find(
    using: str, by: SearchIndex | None, text: str, window: Window, forward: bool
) -> SearchResult:
    """Return the events with the text in their representation, or in a value that they changed.

    From the oldest on if `forward`.

    :param by: the result of :func:`index`.
    """
    said = _representations(using, by, text, window, forward)
    if by is None or not search_index.covers_values(using):
        held = _scanned(using, text, window, forward)
        if by is None or held.last is None:
            return _both(said, held, forward)
        return _both(said, SearchResult(held.ids, None, held.last - 1), forward)
    return _both(said, _values(using, text, window, forward), forward)


def _both(one: SearchResult, other: SearchResult, forward: bool) -> SearchResult:
    """Return what both found, as far as both have searched."""
    nearest: Callable[[Iterable[int]], int] = min if forward else max
    lasts = [last for last in (one.last, other.last) if last is not None]
    last = nearest(lasts) if lasts else None
    ids = sorted({*one.ids, *other.ids}, reverse=not forward)
    if last is not None:
        ids = [pk for pk in ids if (pk <= last if forward else pk >= last)]
    if len(ids) > MOST:
        ids, last = ids[:MOST], ids[MOST - 1]
    lacks = other.no_values_upto if one.no_values_upto is None else one.no_values_upto
    return SearchResult(ids, last, lacks)


def _representations(
    using: str, by: SearchIndex | None, text: str, window: Window, forward: bool
) -> SearchResult:
    vendor = get_vendor(using)
    if by is not None and by.in_order:
        ids = vendor.search(by, text, window, forward, MOST)
        if ids is not None:
            return SearchResult(ids, ids[-1] if len(ids) == MOST else None)
    near = _look(using, by, text, window, forward)
    if by is None or by.in_order or near.last is None or len(near.ids) >= COMMON:
        return near
    all_ids = vendor.search(by, text, window, forward, MOST)
    return near if all_ids is None else SearchResult(all_ids, None)


def _values(using: str, text: str, window: Window, forward: bool) -> SearchResult:
    """Return the matches among the values: what the index has of them, and what comes after it."""
    mark = Checkpoint.of(using, "values_since", "values_upto")
    upto = mark.values_upto if mark else None
    near = _scanned(using, text, _inside(window, upto), forward)
    if mark is None or upto is None or mark.values_since is None:
        return near if near.last is None else SearchResult(near.ids, None, near.last - 1)
    ids = get_vendor(using).search_values(text, window, forward, MOST)
    if ids is None:  # there are very many, or the index takes no text as short
        return _both(near, _scanned(using, text, window, forward), forward)
    indexed = SearchResult(ids, ids[-1] if len(ids) == MOST else None)
    oldest = AuditLog.objects.using(using).order_by("pk").values_list("pk", flat=True).first()
    lacks = oldest is not None and oldest <= mark.values_since
    reach = mark.values_since if lacks else None
    return _both(near, SearchResult(indexed.ids, indexed.last, reach), forward)


def _inside(window: Window, after: int | None) -> Window:
    """Return the part of the window after this event."""
    if after is None:
        return window
    return Window(after if window.after is None else max(after, window.after), window.before)


def _scanned(using: str, text: str, window: Window, forward: bool) -> SearchResult:
    """Return the matches among the values of the nearest events of the window."""
    return SearchResult(*get_vendor(using).scan_values(text, window, forward, LOOKED_AT))


def _look(
    using: str, by: SearchIndex | None, text: str, window: Window, forward: bool
) -> SearchResult:
    """Return the matches among the nearest representations of the window."""
    bounds = {"audit_log_id__gt": window.after, "audit_log_id__lt": window.before}
    rows: QuerySet[InstanceRepr] = InstanceRepr.objects.using(using)
    rows = rows.filter(**{name: pk for name, pk in bounds.items() if pk is not None})
    rows = rows.order_by("audit_log_id" if forward else "-audit_log_id")
    ids = rows.values_list("audit_log_id", flat=True)
    last = ids[LOOKED_AT - 1 : LOOKED_AT].first()
    if last is not None:
        ids = ids.filter(**{"audit_log_id__lte" if forward else "audit_log_id__gte": last})
    anywhere = by is None or by.anywhere
    said = {f"instance_repr__{'icontains' if anywhere else 'istartswith'}": text}
    found = list(ids.filter(**said)[:MOST])
    return SearchResult(found, found[-1] if len(found) == MOST else last)


def help_text(by: SearchIndex | None) -> str:
    """Return the help text of the search box."""
    if by is None:
        return _(
            "Any part of a representation, or of an old or new value, ignoring case. Searches the"
            " newest %(number)s events; choose “Older” to search further back."
        ) % {"number": number_format(LOOKED_AT, force_grouping=True)}
    if by.anywhere:
        return _("Any part of a representation, or of an old or new value, ignoring case.")
    return _(
        "Beginning of a representation only, ignoring case: the search index supports no more. Any"
        " part of an old or new value."
    )
