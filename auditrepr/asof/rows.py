"""Reads rows of one table, from the log or from the table, as Django's own query returns them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from django.db import Error, transaction
from django.db.models import Field, Model, QuerySet

from ..utils.model_meta import key_parts, may_be_large, own_fields
from ..utils.table_names import log_name
from ..utils.time_limit import TimeLimit
from ..vendors import Vendor
from ..vendors.types import NOT_IMPORTED, NOT_RECORDED, Image, Row

#: Why an imported value may differ from that of the table.
UNLIKE = "the imported event has {} in another form than the table"


class ModelRaised(Exception):
    """An exception raised by a model's own code that is unsafe to raise again as it is.

    It is not an error at all, such as SystemExit, or one that Django takes for an empty cache (and
    then reads the current row).
    """

    @classmethod
    def of(cls, error: BaseException) -> Exception:
        """Return the error itself, if it can be raised again anywhere."""
        if isinstance(error, Exception) and not isinstance(error, KeyError):
            return error
        raised = cls(type(error).__qualname__)
        raised.__cause__ = error
        return raised


class TableGone(LookupError):
    """Raised when the model's table does not exist."""


def read_images(
    vendor: Vendor, model: type[Model], images: Sequence[Image], limit: TimeLimit
) -> dict[Image, Row | Exception]:
    """Return the rows that these images hold.

    A row that no longer fits its table does not affect others: it is isolated, and the result has
    the database's error in its place. If there is no such table, all of them are `TableGone`.

    :raises django.db.Error: if no row is the cause, and the error is transient.
    """
    try:
        return _read_together(vendor, model, images, limit)
    except BaseException as error:  # a field's from_db_value may raise anything
        if _is_no_rows_fault(error, vendor, limit):
            raise
        name = log_name(model._meta.db_table)
        if not vendor.shapes([name]):
            return dict.fromkeys(images, TableGone(name))
    return _narrowed(vendor, model, images, limit)


def _narrowed(
    vendor: Vendor, model: type[Model], images: Sequence[Image], limit: TimeLimit
) -> dict[Image, Row | Exception]:
    try:
        return _read_together(vendor, model, images, limit)
    except BaseException as error:
        if _is_no_rows_fault(error, vendor, limit):
            raise
        if len(images) == 1:
            return {images[0]: ModelRaised.of(error)}
    middle = len(images) // 2
    first = _narrowed(vendor, model, images[:middle], limit)
    return first | _narrowed(vendor, model, images[middle:], limit)


def _is_no_rows_fault(error: BaseException, vendor: Vendor, limit: TimeLimit) -> bool:
    if limit.ends_work(error) or isinstance(error, MemoryError):
        return True
    return isinstance(error, Error) and vendor.passes(error)


def _read_together(
    vendor: Vendor, model: type[Model], images: Sequence[Image], limit: TimeLimit
) -> dict[Image, Row | Exception]:
    with transaction.atomic(vendor.using) if vendor.errors_end_transactions else nullcontext():
        return dict(_read(vendor, model, images, limit))


def _read(
    vendor: Vendor, model: type[Model], images: Sequence[Image], limit: TimeLimit
) -> Iterator[tuple[Image, Row | Exception]]:
    fields = own_fields(model)
    names = [field.attname for field in fields]
    read = vendor.image_rows(model, images)
    rows = converted(vendor, fields, [one.values for one in read], limit)
    losses = [(n, f.column, loss) for n, f in enumerate(fields) if (loss := vendor.loss(f))]
    for (image, missing, raw, unlike), values in zip(read, rows, strict=True):
        if isinstance(values, Exception):
            yield image, values
            continue
        row = _named(names, values)
        for field in fields if missing else ():
            if field.column in missing:
                del row[field.attname]
        if fields and not row:
            missing = dict.fromkeys(missing, NOT_IMPORTED)
        if not losses and not unlike:
            yield image, Row(row, missing)
            continue
        lossy = [why.format(name) for n, name, (why, loses) in losses if loses(raw[n])]
        yield image, Row(row, missing, (*lossy, *map(UNLIKE.format, unlike)))


class LiveRow(NamedTuple):
    """A current row, with the value that it was found by."""

    value: Any  # of the field that the row was found by
    row: Row | Exception


def read_live(
    vendor: Vendor,
    model: type[Model],
    field: Field[Any, Any],
    values: Collection[Any],
    excluded: frozenset[str],
    limit: TimeLimit,
    fits: Callable[[QuerySet[Any], Sequence[Field[Any, Any]]], None],
) -> dict[str, LiveRow]:
    """Return the current rows whose field has one of the values, by their keys as in the log.

    A row that its fields cannot read is replaced by the error that they raised.

    :param excluded: columns that are excluded from the log: they are left out here, too.
    :param fits: called before the rows are read; it raises if these columns are too large together.
    :raises django.db.Error: if the table cannot be read.
    """
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
    return {
        text: LiveRow(
            value, one if isinstance(one, Exception) else Row(_named(names, one), missing)
        )
        for text, (_, value), one in zip(
            texts, keys, converted(vendor, fields, raw, limit), strict=True
        )
    }


def _key(parts: Sequence[Any]) -> Any:
    return tuple(parts) if len(parts) > 1 else parts[0]


def _named(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))


def converted(
    vendor: Vendor, fields: Sequence[Field[Any, Any]], rows: Sequence[Any], limit: TimeLimit
) -> Sequence[Any]:
    """Return the values that Django makes of each of these rows, or the error that this raises.

    A field's ``from_db_value`` may raise anything, or hang: then each row gets its own time limit.
    """
    try:
        with limit.row():
            return list(limit.each(vendor.converted(fields, rows)))
    except (Error, MemoryError):
        raise  # a field's own query may have cost the transaction; or the rows are too large
    except BaseException as error:
        if limit.ends_work(error):
            raise
        if len(rows) == 1:
            return [ModelRaised.of(error)]
    return [one for row in rows for one in converted(vendor, fields, [row], limit)]
