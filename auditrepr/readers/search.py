"""Searches the text of representations, by an index, or else one part of the log at a time.

The index is a setting, because every representation that the job stores pays for it; ``migrate``
creates it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..models import InstanceRepr
from ..vendors import get_vendor
from ..vendors.types import SearchIndex, Window

#: Representations that a page searches without an index before it says how far it got.
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


def find(
    using: str, by: SearchIndex | None, text: str, window: Window, forward: bool
) -> SearchResult:
    """Return the representations that contain the text, from the oldest on if `forward`.

    :param by: the result of :func:`index`.
    """
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


def _look(
    using: str, by: SearchIndex | None, text: str, window: Window, forward: bool
) -> SearchResult:
    """Return the matches among the nearest representations of the window."""
    rows = _inside(InstanceRepr.objects.using(using), window)
    rows = rows.order_by("audit_log_id" if forward else "-audit_log_id")
    ids = rows.values_list("audit_log_id", flat=True)
    last = ids[LOOKED_AT - 1 : LOOKED_AT].first()
    if last is not None:
        ids = ids.filter(**{"audit_log_id__lte" if forward else "audit_log_id__gte": last})
    anywhere = by is None or by.anywhere
    said = {f"instance_repr__{'icontains' if anywhere else 'istartswith'}": text}
    found = list(ids.filter(**said)[:MOST])
    return SearchResult(found, found[-1] if len(found) == MOST else last)


def _inside(rows: QuerySet[InstanceRepr], window: Window) -> QuerySet[InstanceRepr]:
    bounds = {"audit_log_id__gt": window.after, "audit_log_id__lt": window.before}
    return rows.filter(**{name: pk for name, pk in bounds.items() if pk is not None})


def help_text(by: SearchIndex | None) -> str:
    """Return the help text of the search box."""
    if by is None:
        return _(
            "Any part of the text, ignoring case. Searches the newest %(number)s"
            " representations; choose “Older” to search further back."
        ) % {"number": number_format(LOOKED_AT, force_grouping=True)}
    if by.anywhere:
        return _("Any part of the text, ignoring case.")
    return _("Beginning of the text only, ignoring case: the search index supports no more.")
