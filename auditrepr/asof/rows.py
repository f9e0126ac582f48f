"""Reads rows of one table, from the log or from the table, as Django's own query returns them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from django.db import Error, transaction
from django.db.models import Field, Model, QuerySet

from ..utils.model_meta import key_parts, may_be_large, own_fields
from ..utils.table_names import log_name
from ..vendors.types import NOT_IMPORTED, NOT_RECORDED, Image, Row
from .conversion import Conversion, ModelRaised, Unread, apart

#: Why an imported value may differ from that of the table.
UNLIKE = "the imported event has {} in another form than the table"


class TableGone(LookupError):
    """Raised when the model's table does not exist."""


def read_images(
    conversion: Conversion, model: type[Model], images: Sequence[Image]
) -> dict[Image, Row | Exception]:
    """Return the rows that these images hold.

    A row that no longer fits its table does not affect others: it is isolated, and the result has
    the database's error in its place. If there is no such table, all of them are `TableGone`.

    :raises django.db.Error: if no row is the cause, and the error is transient.
    """
    try:
        return _read_together(conversion, model, images)
    except BaseException as error:  # a field's from_db_value may raise anything
        if _is_no_rows_fault(error, conversion):
            raise
        name = log_name(model._meta.db_table)
        if not conversion.vendor.shapes([name]):
            return dict.fromkeys(images, TableGone(name))
    return _narrowed(conversion, model, images)


def _narrowed(
    conversion: Conversion, model: type[Model], images: Sequence[Image]
) -> dict[Image, Row | Exception]:
    try:
        return _read_together(conversion, model, images)
    except BaseException as error:
        if _is_no_rows_fault(error, conversion):
            raise
        if len(images) == 1:
            return {images[0]: ModelRaised.of(error)}
    middle = len(images) // 2
    first = _narrowed(conversion, model, images[:middle])
    return first | _narrowed(conversion, model, images[middle:])


def _is_no_rows_fault(error: BaseException, conversion: Conversion) -> bool:
    if conversion.limit.ends_work(error) or isinstance(error, MemoryError):
        return True
    return isinstance(error, Error) and conversion.vendor.passes(error)


def _read_together(
    conversion: Conversion, model: type[Model], images: Sequence[Image]
) -> dict[Image, Row | Exception]:
    vendor = conversion.vendor
    with transaction.atomic(vendor.using) if vendor.errors_end_transactions else nullcontext():
        return dict(_read(conversion, model, images))


def _read(
    conversion: Conversion, model: type[Model], images: Sequence[Image]
) -> Iterator[tuple[Image, Row | Exception]]:
    fields, vendor = own_fields(model), conversion.vendor
    read = vendor.image_rows(model, images)
    rows = conversion.rows(fields, [one.values for one in read])
    named = _naming(model, fields, rows)
    losses = [(n, f.column, loss) for n, f in enumerate(fields) if (loss := vendor.loss(f))]
    for (image, missing, raw, unlike), values in zip(read, rows, strict=True):
        if isinstance(values, Exception):
            yield image, values
            continue
        row = named(values, missing)
        if not losses and not unlike:
            yield image, row
            continue
        lossy = [why.format(name) for n, name, (why, loses) in losses if loses(raw[n])]
        lossy += map(UNLIKE.format, unlike)
        yield image, row._replace(lossy=(*row.lossy, *lossy))


def _naming(
    model: type[Model], fields: Sequence[Any], rows: Sequence[Any]
) -> Callable[[Sequence[Any], Mapping[str, str]], Row]:
    """Return a function that makes a row of one of these rows' values, and of what it lacks.

    All of the rows have their unread values in the same fields.
    """
    names = [field.attname for field in fields]
    first = next((one for one in rows if not isinstance(one, Exception)), ())
    unread = any(isinstance(value, Unread) for value in first)

    def named(values: Sequence[Any], missing: Mapping[str, str]) -> Row:
        row = dict(zip(names, values, strict=True))
        for field in fields if missing else ():
            if field.column in missing:
                row.pop(field.attname, None)
        if fields and not row:
            missing = dict.fromkeys(missing, NOT_IMPORTED)
        return apart(Row(row, missing), model) if unread else Row(row, missing)

    return named


class LiveRow(NamedTuple):
    """A current row, with the value that it was found by."""

    value: Any  # of the field that the row was found by
    row: Row | Exception


def read_live(
    conversion: Conversion,
    model: type[Model],
    field: Field[Any, Any],
    values: Collection[Any],
    excluded: frozenset[str],
    fits: Callable[[QuerySet[Any], Sequence[Field[Any, Any]]], None],
) -> dict[str, LiveRow]:
    """Return the current rows whose field has one of the values, by their keys as in the log.

    A row that its fields cannot read is replaced by the error that they raised.

    :param excluded: columns that are excluded from the log: they are left out here, too.
    :param fits: called before the rows are read; it raises if these columns are too large together.
    :raises django.db.Error: if the table cannot be read.
    """
    vendor = conversion.vendor
    fields = [f for f in own_fields(model) if f.column not in excluded]
    names = [f.attname for f in fields]
    # Not the model's manager: it may hide rows.
    rows: Any = QuerySet(model, using=vendor.using).filter(**{f"{field.attname}__in": list(values)})
    compiler = rows.values_list(*names).query.get_compiler(vendor.using)
    with transaction.atomic(vendor.using):
        if len(values) > 1:
            fits(rows, [f for f in fields if may_be_large(f, vendor.connection)])
        raw = [row for rows in compiler.execute_sql() for row in rows]
    found_by = [*key_parts(model._meta.pk), *key_parts(field)]
    places = [names.index(f.attname) for f in found_by]
    found = vendor.converted(found_by, [[row[n] for n in places] for row in raw])
    count = len(key_parts(model._meta.pk))
    keys = [(_key(parts[:count]), _key(parts[count:])) for parts in found]
    missing = dict.fromkeys(excluded, NOT_RECORDED)
    texts = vendor.key_texts(model._meta.pk, [key for key, _ in keys])
    rows = conversion.rows(fields, raw)
    named = _naming(model, fields, rows)
    return {
        text: LiveRow(value, one if isinstance(one, Exception) else named(one, missing))
        for text, (_, value), one in zip(texts, keys, rows, strict=True)
    }


def _key(parts: Sequence[Any]) -> Any:
    return tuple(parts) if len(parts) > 1 else parts[0]
