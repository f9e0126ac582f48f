"""Rows of one table, from the log or from the table itself, as Django's own query gives them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import Error, transaction
from django.db.models import Field, Model, QuerySet

from .drift import NOT_RECORDED
from .meta import own_fields
from .tracking import log_name
from .vendors.base import Image, Vendor


class ModelRaised(Exception):
    """What a model's own code raised: no error at all, as SystemExit, or one that Django takes for
    an empty cache (and then reads today's row)."""

    @classmethod
    def of(cls, error: BaseException) -> Exception:
        """The error itself, where it can be raised again anywhere."""
        if isinstance(error, Exception) and not isinstance(error, KeyError):
            return error
        raised = cls(type(error).__qualname__)
        raised.__cause__ = error
        return raised


class TableGone(LookupError):
    """The model's table is not there (any more)."""


class Row(NamedTuple):
    """The model's own table only: a parent's columns are rows of the parent's table."""

    values: dict[str, Any]  # by the field's attname
    missing: Mapping[str, str] = {}  # columns whose value is not known, and why

    def without(self, model: type[Model], columns: Collection[str]) -> Row:
        """The row from before it had these columns."""
        names = {f.attname for f in own_fields(model) if f.column in columns}
        values = {name: value for name, value in self.values.items() if name not in names}
        return Row(values, dict.fromkeys(columns, NOT_RECORDED) | dict(self.missing))


def read_images(
    vendor: Vendor, model: type[Model], images: Sequence[Image]
) -> dict[Image, Row | Exception]:
    """The rows that these images hold.

    A row that does not fit its table any more takes no other with it: it is narrowed down, and
    stands in the result as the error that the database gave. Where there is no such table, all of
    them are `TableGone`.

    :raises django.db.Error: if it is no row's fault, and passes.
    """
    try:
        return _read_together(vendor, model, images)
    except BaseException as error:  # a field's from_db_value may raise anything
        if isinstance(error, Error) and vendor.passes(error):
            raise
        name = log_name(model._meta.db_table)
        if not vendor.shapes([name]):
            return dict.fromkeys(images, TableGone(name))
    return _narrowed(vendor, model, images)


def _narrowed(
    vendor: Vendor, model: type[Model], images: Sequence[Image]
) -> dict[Image, Row | Exception]:
    try:
        return _read_together(vendor, model, images)
    except BaseException as error:
        if isinstance(error, Error) and vendor.passes(error):
            raise
        if len(images) == 1:
            return {images[0]: ModelRaised.of(error)}
    middle = len(images) // 2
    first = _narrowed(vendor, model, images[:middle])
    return first | _narrowed(vendor, model, images[middle:])


def _read_together(
    vendor: Vendor, model: type[Model], images: Sequence[Image]
) -> dict[Image, Row | Exception]:
    with transaction.atomic(vendor.using):
        return dict(_read(vendor, model, images))


def _read(
    vendor: Vendor, model: type[Model], images: Sequence[Image]
) -> Iterator[tuple[Image, Row]]:
    fields = own_fields(model)
    names = [field.attname for field in fields]
    read = vendor.image_rows(model, images)
    converted = vendor.converted(fields, [values for _, _, values in read])
    for (image, missing, _), values in zip(read, converted, strict=True):
        row = dict(zip(names, values, strict=True))
        for field in fields if missing else ():
            if field.column in missing:
                del row[field.attname]
        yield image, Row(row, missing)


def read_live(
    vendor: Vendor,
    model: type[Model],
    field: Field[Any, Any],
    values: Collection[Any],
    excluded: frozenset[str],
) -> dict[str, Row]:
    """Today's rows whose field has one of the values, by their keys as the log writes them.

    :param excluded: columns that are left out of the log: they do not show here either.
    """
    fields = [f for f in own_fields(model) if f.column not in excluded]
    names = [f.attname for f in fields]
    # Not the model's manager: it may hide rows.
    rows: Any = QuerySet(model, using=vendor.using).filter(**{f"{field.attname}__in": values})
    found = [dict(zip(names, row, strict=True)) for row in rows.values_list(*names)]
    pk = model._meta.pk
    missing = dict.fromkeys(excluded, NOT_RECORDED)
    texts = vendor.key_texts(pk, [row[pk.attname] for row in found])
    return {text: Row(row, missing) for text, row in zip(texts, found, strict=True)}
