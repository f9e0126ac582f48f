"""The order in which an index gives the members of a set: the server may read them through it.

An index on ``(order, name)`` gives the lines of one order by their names. Which index a server
uses depends on its statistics. So any that fits the query makes the order uncertain, unless it
gives the members as they lie in their table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import pairwise
from typing import Any

from django.db.models import F, Model, Q, UniqueConstraint
from django.db.models import Index as BaseIndex
from django.db.models.expressions import Col, ColPairs, OrderBy
from django.db.models.lookups import YearLookup

from ...utils.model_meta import key_parts

#: The fields of an index, in its order; what has no name in Python is None.
Index = tuple[str | None, ...]

#: The values of rows, by attname.
Rows = Collection[Mapping[str, Any]]

#: PostgreSQL's indexes that give their rows in an order of their own.
UNSORTED = frozenset({"gist", "spgist", "hash"})


@dataclass(frozen=True)
class Reading:
    """The fields by which a query reads its rows; None stands for an expression."""

    fixed: set[str | None] = field(default_factory=set)  # each has one value in all rows
    others: set[str | None] = field(default_factory=set)  # with any other condition
    ordered: set[str | None] = field(default_factory=set)

    @classmethod
    def of(cls, query: Any, ordered: Iterable[Any]) -> Reading:
        """Return those of a query that orders by these fields."""
        found = cls(ordered={getattr(one, "attname", None) for one in ordered})
        found._sort(query.where, _own_tables(query), whole=True)
        return found

    def _sort(self, where: Any, tables: Collection[str], *, whole: bool) -> None:
        whole = whole and where.connector == "AND" and not where.negated
        for child in where.children:
            if hasattr(child, "children"):
                self._sort(child, tables, whole=whole)
                continue
            compared = _compared(child)
            # A column of another table is answered by an index of that one.
            own = [one.target.attname for one in compared if one.alias in tables]
            is_value = getattr(child, "lookup_name", "") == "exact" and child.rhs_is_direct_value()
            if whole and is_value and isinstance(child.lhs, Col):
                self.fixed.update(own)
            else:
                self.others.update(own if compared else [None])

    def fitting(self, model: type[Model]) -> Iterator[Index]:
        """Yield the indexes of the model that the query may use, and that give an order."""
        found = indexes(model)
        direct = any(index[0] in self.fixed for index in found)
        leading = self.fixed | self.others | self.ordered
        for index in found:
            leads = index[0] in leading or not (direct or self.fixed.isdisjoint(index))
            if leads and not self.fixed.issuperset(index):
                yield index


def _own_tables(query: Any) -> set[str]:
    """Return what a query calls the table of its model, and those that it inherits from."""
    found = {query.base_table}
    for name, table in query.alias_map.items():
        link: Any = getattr(table, "join_field", None)
        is_parent = getattr(getattr(link, "remote_field", None), "parent_link", False)
        if is_parent and link.concrete and table.parent_alias in found:
            found.add(name)
    return found


def _compared(condition: Any) -> list[Col]:
    """Return the columns that a condition compares as they are, so that an index may answer it."""
    left: Any = getattr(condition, "lhs", None)
    if isinstance(condition, YearLookup):
        left = left.lhs  # it is compared with the first and the last day
    found = [getattr(condition, "rhs", None)]
    found += left.get_source_expressions() if isinstance(left, ColPairs) else [left]
    return [one for one in found if isinstance(one, Col)]


def may_reorder(model: type[Model], reading: Reading, members: Rows) -> bool:
    """Return whether an index of the model may give these members in another order.

    :param members: the values of their rows, in the order in which they lie in their table.
    """
    return len(members) > 1 and not all(
        _grow(
            [
                [one.get(name or "") for name in index if name not in reading.fixed]
                for one in members
            ],
            # Read backwards, an index gives equal members in the opposite order.
            strictly=not reading.ordered.isdisjoint(index),
        )
        for index in reading.fitting(model)
    )


def _grow(values: Sequence[list[Any]], *, strictly: bool) -> bool:
    """Return whether these are sorted, as Python and every database sort them."""
    if not all(isinstance(value, int | date) for one in values for value in one):
        return False
    return all(one < other or (not strictly and one == other) for one, other in pairwise(values))


@cache
def indexes(model: type[Model]) -> frozenset[Index]:
    """Return the indexes that the model and those that it inherits from declare."""
    parents = [parent._meta for parent in model._meta.get_parent_list()]
    return frozenset(one for options in [model._meta, *parents] for one in _declared(options))


def _declared(options: Any) -> Iterator[Index]:
    alone = (field for field in options.local_fields if field.unique or field.db_index)
    yield from (tuple(part.attname for part in key_parts(field)) for field in alone)
    yield from (_attnames(options, names) for names in options.unique_together)
    for one in [*options.indexes, *options.constraints]:
        if isinstance(one, BaseIndex | UniqueConstraint):
            yield from _orders(options, one, _terms(one))
        elif hasattr(one, "index_type"):  # an exclusion; operators come with the expressions
            yield from _orders(options, one, [term for term, _ in one.expressions])


def _terms(one: Any) -> list[Any]:
    return one.expressions or [
        OrderBy(F(name.lstrip("-")), descending=name.startswith("-")) for name in one.fields
    ]


def _orders(options: Any, one: Any, terms: Sequence[Any]) -> Iterator[Index]:
    """Yield an index as its columns, and again for each reason to use it that is not one of them.

    Those are the columns of a condition, and of an expression that comes first: a query that
    compares a column without case is answered by the index on its capitals.
    """
    terms = [F(term) if isinstance(term, str) else term for term in terms]
    first, *_ = columns = [_column(options, term) for term in terms]
    # A descending column gives no order that grows, nor does an index that is not sorted.
    unsorted = [None for term in terms if getattr(term, "descending", False)]
    kind = getattr(one, "index_type", getattr(one, "suffix", ""))
    unsorted += [None] if kind.lower() in UNSORTED else []
    yield (*columns, *unsorted)
    reasons = _names(one.condition) if one.condition else set()
    if first is None:
        # Raw SQL may name any column.
        reasons |= _names(terms[0]) or {field.name for field in options.local_fields}
    yield from ((name, None) for name in _attnames(options, reasons) if name)


def _column(options: Any, term: Any) -> str | None:
    """Return the name of the column that a term of an index is; None for an expression."""
    if isinstance(term, OrderBy):
        term = term.expression
    return _attnames(options, [_name(term)])[0] if isinstance(term, F) else None


def _name(reference: Any) -> str:
    return str(reference.name)


def _names(expression: Any) -> set[str]:
    """Return the names of the fields that an expression or a condition reads."""
    return set(Q(expression).referenced_base_fields)


def _attnames(options: Any, names: Iterable[str]) -> Index:
    """Return what instances call these fields; None for a transform, such as ``date__year``."""
    known = {name: field for field in options.fields for name in (field.name, field.attname)}
    known["pk"] = options.pk
    return tuple(known[name].attname if name in known else None for name in names)
