"""The order of a set without one: the server's own, as far as the log tells it.

A server gives the rows as they lie in their table: in the order of their keys, or of their
insertion, and on some an update moves a row.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from ..vendors import Vendor
from ..vendors.types import Found, Row
from .history import Matches


def arranged(vendor: Vendor, model: type[Model], matches: Matches) -> Matches:
    """Return the set in the order in which its rows lie, as far as that is known."""
    found = sorted(matches.found, key=lambda one: _by_key(model, one))
    places = [_place(vendor, model, one) for one in found]
    known = None not in places
    if known:
        found = [one for _, one in sorted(zip(places, found, strict=True), key=lambda p: p[0])]
    return matches._replace(found=found, in_order=known or len(found) < 2)


def agree(links: Matches, source: Any, ends: Matches) -> bool:
    """Return whether the server gives the ends of links in one order, whichever it reads first.

    :param source: the foreign key of the links that leads to the ends.
    """
    (target,) = source.foreign_related_fields
    first = [getattr(link.value, source.attname, None) for link in links.found]
    second = [one.row.values.get(target.attname) for one in ends.found if isinstance(one.row, Row)]
    return len(first) < 2 or (links.in_order and ends.in_order and first == second)


def _place(vendor: Vendor, model: type[Model], one: Found) -> Any:
    """Return what the place of the row in its table depends on; None if that is not known."""
    if not vendor.keeps_order_of_keys(model):
        return one.inserted
    return one.row.values.get(model._meta.pk.attname) if isinstance(one.row, Row) else None


def _by_key(model: type[Model], one: Found) -> tuple[str, Any]:
    key = one.row.values.get(model._meta.pk.attname) if isinstance(one.row, Row) else None
    return str(type(key)), key if hasattr(key, "__lt__") else str(key)
