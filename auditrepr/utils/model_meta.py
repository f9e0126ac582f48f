"""Questions about Django models, their fields and keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    CompositePrimaryKey,
    DecimalField,
    Field,
    GeneratedField,
    IntegerField,
    Model,
    QuerySet,
)
from django.db.models.expressions import Col
from django.db.models.sql import Query

_PLACEHOLDER = re.compile(r"%\(\w+\)s")


def reads(generated: GeneratedField, columns: Collection[str]) -> bool:
    """Return whether the generated column depends on one of these, or may do so."""
    query = Query(generated.model, alias_cols=False)
    expression: Any = generated.expression  # type: ignore[attr-defined]
    expression = expression.resolve_expression(query, allow_joins=False)
    return any(_reads(part, columns) for part in _parts(expression))


def _parts(expression: Any) -> Iterator[Any]:
    """Yield the expression and all its parts; conditions have parts but no ``flatten()``."""
    yield expression
    for part in expression.get_source_expressions():
        if hasattr(part, "get_source_expressions"):
            yield from _parts(part)


def _reads(part: Any, columns: Collection[str]) -> bool:
    if isinstance(part, Col):
        return part.target.column in columns
    # Raw SQL may name any column.
    written = [getattr(part, "sql", ""), getattr(part, "template", "")]
    written += getattr(part, "extra", {}).values()
    text = _PLACEHOLDER.sub("", " ".join(map(str, written)))
    names = (rf"(?<!\w){re.escape(column)}(?!\w)" for column in columns)
    return any(re.search(name, text, re.IGNORECASE) for name in names)


#: How the names of columns' types begin whose values have no limit.
LARGE = ("text", "bytea", "blob", "json", "hstore", "xml", "citext", "tsvector")


def own_fields(model: type[Model]) -> list[Any]:
    """Return the fields with a column in the model's own table, in their order."""
    return list(model._meta.local_concrete_fields)


def fields_as_in_table(model: type[Model], columns: Sequence[str]) -> list[Any]:
    """Return the fields with a column in the model's own table, in the order of its columns."""
    places = {name: n for n, name in enumerate(columns)}
    return sorted(own_fields(model), key=lambda field: places.get(field.column, len(places)))


def key_parts(field: Any) -> tuple[Any, ...]:
    """Return the fields of a key: several for a composite one, else the field itself."""
    return field.fields if isinstance(field, CompositePrimaryKey) else (field,)


def stored_parts(field: Any, value: Any, connection: BaseDatabaseWrapper) -> list[Any]:
    """Return the parts of a key's value as the driver takes them."""
    parts = key_parts(field)
    if len(parts) == 1:
        return [field.get_db_prep_value(value, connection)]
    return [part.get_db_prep_value(one, connection) for part, one in zip(parts, value, strict=True)]


def can_hold(field: Any, value: Any, connection: BaseDatabaseWrapper) -> bool:
    """Return whether the field's column can hold this value.

    If it cannot, no row has the value, and Django sends no query: the database would refuse it.
    """
    while field.is_relation:
        field = field.target_field
    if isinstance(field, DecimalField):
        return _is_exact(field, field.get_db_prep_value(value, connection))
    if not isinstance(field, IntegerField) or not isinstance(value, int):
        return True
    lowest, highest = connection.ops.integer_field_range(field.get_internal_type())
    return (lowest is None or lowest <= value) and (highest is None or value <= highest)


def _is_exact(field: Any, stored: Any) -> bool:
    """Return whether this number fits the column: not too long, and without more decimal places.

    A number that Django has turned into text is fitted already.
    """
    if not isinstance(stored, Decimal) or field.max_digits is None:
        return True
    most = 10 ** (field.max_digits - field.decimal_places)
    return (
        stored.is_finite() and abs(stored) < most and stored == round(stored, field.decimal_places)
    )


def compares_loosely(field: Any, connection: BaseDatabaseWrapper) -> bool:
    """Return whether the column may treat different texts as equal (collation, citext)."""
    while field.is_relation:
        field = field.target_field
    column = field.db_parameters(connection)
    return bool(column.get("collation")) or column["type"] == "citext"


def all_relations(model: type[Model]) -> list[Any]:
    """Return the model's fields and the relations to it, including hidden ones."""
    return list(model._meta.get_fields(include_hidden=True))


def field_named(model: Any, name: str) -> Any:
    """Return the model's field with this name.

    :raises FieldDoesNotExist: if it has none.
    """
    return model._meta.get_field(name)


def concrete(model: type[Model]) -> type[Model]:
    """Return the model itself, or the model of a proxy."""
    return model._meta.concrete_model or model


def parent_links(model: type[Model]) -> dict[type[Model], Any]:
    """Return the parent models whose tables hold parts of its rows, with the keys to them."""
    return dict(concrete(model)._meta.parents)  # a proxy has parents, too, but no keys


def may_be_large(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> bool:
    """Return whether one value of the column may need a lot of memory."""
    kind = (field.db_type(connection) or "").lower()
    return kind.startswith(LARGE) or kind.endswith("[]") or kind == "varchar"


def exists(model: type[Model], using: str, **wanted: Any) -> bool:
    """Return whether there is such a row, whatever the model's manager hides.

    There is none with values that the database refuses.
    """
    rows: QuerySet[Model] = QuerySet(model, using=using)
    try:
        with transaction.atomic(using):
            return rows.filter(**wanted).exists()
    except (DataError, ValueError, TypeError, ValidationError):
        return False
