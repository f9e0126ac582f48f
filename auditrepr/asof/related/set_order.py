"""The order of a set without one, or of equal members: the server's own, as the log shows it.

A server gives the rows as they lie in their table: in the order of their keys, or of their
insertion, and on some an update moves a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import (
    Aggregate,
    Avg,
    Count,
    F,
    Max,
    Min,
    Model,
    StdDev,
    Sum,
    Variance,
    Window,
)
from django.db.models.expressions import Col, OrderBy, RawSQL
from django.db.models.functions import CumeDist, DenseRank, PercentRank, Rank

from ...utils.model_meta import concrete
from ...vendors import Vendor
from ...vendors.types import Found, Row
from ..matches import Matches
from .index_order import Reading, may_reorder
from .own_objects import values_of_row

#: Stands for what the row of an object does not say.
_UNKNOWN = object()

#: Aggregates that give the same in any order.
_ORDERLESS = frozenset({Avg, Count, Max, Min, StdDev, Sum, Variance})


def arranged(vendor: Vendor, model: type[Model], matches: Matches) -> Matches:
    """Return the set in the order in which its rows lie, as far as that is known."""
    found = sorted(matches.found, key=lambda one: _by_key(model, one))
    places = [_place(vendor, model, one) for one in found]
    known = not any(None in place for place in places)
    if known:
        found = [one for _, one in sorted(zip(places, found, strict=True), key=lambda p: p[0])]
        # The server may begin with the rows of any table that the model inherits from.
        known = all(list(column) == sorted(column) for column in zip(*sorted(places), strict=True))
    return matches._replace(found=found, in_order=known or len(found) < 2)


def agree(links: Matches, near: Any, far: Any, ends: Matches) -> bool:
    """Return whether the server gives the ends of links in one order, whichever it reads first.

    :param near: the foreign key by which the links were found.
    :param far: the one that leads to the ends.
    """
    (target,) = far.foreign_related_fields
    first = [getattr(link.value, far.attname, None) for link in links.found]
    second = [one.row.values.get(target.attname) for one in ends.found if isinstance(one.row, Row)]
    if len(first) < 2:
        return True
    if not links.in_order or not ends.in_order or first != second:
        return False
    return not may_reorder(far.model, Reading({near.attname}), _values(links.found))


def lies_in_order(matches: Matches, query: Any) -> bool:
    """Return whether it is known how the server gives equal members of a set to a query.

    That is as they lie in their table; or as an index gives them, if there is another one.
    """
    if not matches.in_order:
        return False
    ordered = [field for field, _ in _terms(query)]
    members = matches.rows.get(concrete(query.model), ())
    return not may_reorder(query.model, Reading.of(query, ordered), _values(members))


def _values(found: Sequence[Found]) -> list[Mapping[str, Any]]:
    """Return the values of the rows of these objects, which code may have changed since."""
    return [values_of_row(one.value) for one in found]


def ordering(query: Any) -> list[Any]:
    """Return what a query orders by: its own order, or that of its model."""
    own = query.extra_order_by or query.order_by
    default = query.get_meta().ordering if query.default_ordering else ()
    return list(own or default or ())


def has_ties(query: Any, members: Sequence[Any], every: Sequence[Any]) -> bool | None:
    """Return whether the order of a query leaves it to the server where a member comes.

    None if only the database can decide that.

    Code may have changed the members, but not their rows.

    :param every: what the query may have taken the members from.
    """
    terms = _terms(query)
    if any(alone and _distinguishes(field) for field, alone in terms):
        return False
    if not all(alone for _, alone in terms):
        return None

    names = [field.attname for field, _ in terms]
    values = [[values_of_row(one).get(name, _UNKNOWN) for name in names] for one in every]
    if any(_UNKNOWN in one for one in values):
        return None
    asked = [[values_of_row(one).get(name) for name in names] for one in members]
    return any(values.count(one) > 1 for one in asked)


def ordered_by(queryset: Any) -> Any:
    """Return a queryset of what this one orders its rows by, for all of them.

    Chance tells all of them apart.
    """
    query, quote = queryset.query, connections[queryset.db].ops.quote_name
    terms = [_expression(query, term, quote) for term in ordering(query) if term != "?"]
    unordered = queryset._chain()
    unordered.query.clear_limits()
    unordered.query.clear_ordering(force=True)
    return unordered.values_list(*terms) if terms else unordered.none()


def _expression(query: Any, term: Any, quote: Callable[[str], str]) -> Any:
    """Return what the term of an order stands for, as Django has it."""
    if isinstance(term, OrderBy):
        return term.expression
    name = term.lstrip("-+") if isinstance(term, str) else ""
    if name in query.extra:
        return RawSQL(*query.extra[name])  # noqa: S611 - the project's own
    if "." in name:  # only extra() takes a table with its column
        return RawSQL(".".join(map(quote, name.split(".", 1))), ())  # noqa: S611 - quoted
    return F(name) if name else term


def shows_order(options: Any, expressions: Iterable[Any]) -> bool:
    """Return whether a value depends on the order in which the server reads the rows.

    Such are texts that are joined by an aggregate, and the numbers that rows get by a window.
    """
    parts = (part for one in expressions for part in _parts_of(one))
    return any(
        _by_place(options, part)
        if isinstance(part, Window)
        else isinstance(part, Aggregate) and type(part) not in _ORDERLESS
        for part in parts
    )


def _parts_of(expression: Any) -> Iterator[Any]:
    if hasattr(expression, "flatten"):
        yield from expression.flatten()


def _by_place(options: Any, window: Window) -> bool:
    """Return whether the window numbers its rows, and its order may leave their places open."""
    (function, _, order, *_) = window.get_source_expressions()
    if isinstance(function, Rank | DenseRank | PercentRank | CumeDist):
        return False
    by = [_ordered_by(options, term) for term in getattr(order, "source_expressions", ())]
    return not any(alone and _distinguishes(field) for field, alone in by)


def _distinguishes(field: Any) -> bool:
    """Return whether no two rows have the same value; several may have none."""
    return field is not None and field.unique and not field.null


def _terms(query: Any) -> list[tuple[Any, bool]]:
    return [_ordered_by(query.get_meta(), term) for term in ordering(query)]


def _ordered_by(options: Any, term: Any) -> tuple[Any, bool]:
    """Return the field on which a term of an order depends, and whether on nothing else.

    The field is None if the term is something else.
    """
    if isinstance(term, OrderBy):
        term = term.expression
    if isinstance(term, Col):
        return term.target, term.target.model._meta is options and not term.target.is_relation
    name = getattr(term, "name", "") if isinstance(term, F) else term
    name, _, rest = name.lstrip("-+").partition("__") if isinstance(name, str) else ("", "", "")
    try:
        field = options.pk if name == "pk" else options.get_field(name)
    except FieldDoesNotExist:
        return None, False
    if not field.concrete:
        return None, False
    orders_itself = field.is_relation and name == field.name and field.related_model._meta.ordering
    return field, not rest and not orders_itself


def _place(vendor: Vendor, model: type[Model], one: Found) -> tuple[Any, ...]:
    """Return what the places of the row's parts in their tables depend on; None: not known."""
    if not vendor.keeps_order_of_keys(model):
        return (one.inserted, *one.inherited)
    return (one.row.values.get(model._meta.pk.attname) if isinstance(one.row, Row) else None,)


def _by_key(model: type[Model], one: Found) -> tuple[str, Any]:
    key = one.row.values.get(model._meta.pk.attname) if isinstance(one.row, Row) else None
    return str(type(key)), key if hasattr(key, "__lt__") else str(key)
