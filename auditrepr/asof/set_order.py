"""The order of a set without one, or of equal members: the server's own, as the log shows it.

A server gives the rows as they lie in their table: in the order of their keys, or of their
insertion, and on some an update moves a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Model
from django.db.models.expressions import OrderBy

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


def ordering(query: Any) -> list[Any]:
    """Return what a query orders by: its own order, or that of its model."""
    own = query.extra_order_by or query.order_by
    default = query.get_meta().ordering if query.default_ordering else ()
    return list(own or default or ())


def has_ties(query: Any, members: Sequence[Any], every: Sequence[Any]) -> bool:
    """Return whether the order of a query leaves it to the server where a member comes.

    Members that refer to different objects, and are ordered by those, are taken to be different.

    :param every: what the query may have taken the members from.
    """
    terms = [_ordered_by(query.get_meta(), term) for term in ordering(query)]
    if any(field is None or (field.unique and alone) for field, alone in terms):
        return False

    def values(member: Any) -> list[Any]:
        return [getattr(member, field.attname, None) for field, _ in terms]

    others = [values(one) for one in every]
    return any(others.count(values(member)) > 1 for member in members)


def _ordered_by(options: Any, term: Any) -> tuple[Any, bool]:
    """Return the field on which a term of an order depends, and whether on nothing else.

    The field is None if the term is something else.
    """
    if isinstance(term, OrderBy):
        term = term.expression
    name = getattr(term, "name", "") if isinstance(term, F) else term
    name, _, rest = name.lstrip("-+").partition("__") if isinstance(name, str) else ("", "", "")
    try:
        field = options.pk if name == "pk" else options.get_field(name)
    except FieldDoesNotExist:
        return None, False
    return (field, not rest and not field.is_relation) if field.concrete else (None, False)


def _place(vendor: Vendor, model: type[Model], one: Found) -> Any:
    """Return what the place of the row in its table depends on; None if that is not known."""
    if not vendor.keeps_order_of_keys(model):
        return one.inserted
    return one.row.values.get(model._meta.pk.attname) if isinstance(one.row, Row) else None


def _by_key(model: type[Model], one: Found) -> tuple[str, Any]:
    key = one.row.values.get(model._meta.pk.attname) if isinstance(one.row, Row) else None
    return str(type(key)), key if hasattr(key, "__lt__") else str(key)
