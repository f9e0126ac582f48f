"""Audit rows -> model instances, with the values that the rows had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import Error, transaction
from django.db.models import Model

from .barerow import BareRow
from .events import Event, Subject
from .models import AuditLog
from .tracking import model_for_table
from .vendors import get_vendor
from .vendors.base import Image, Vendor

#: What cannot be read as a row of its table any more raises one of these.
UNFIT = (Error, ValueError, TypeError, OverflowError, ArithmeticError)


class Row(NamedTuple):
    """A row of one table, as Django's own query would have given it."""

    values: dict[str, Any]  # by the field's attname
    missing: frozenset[str]  # names of columns whose value the log does not know


class Unknown:
    """What a representation shows in place of a value that the log does not hold."""

    def __init__(self, column: str) -> None:
        self.column = column

    def __str__(self) -> str:
        return f"[{self.column}: not recorded]"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)

    def __getattr__(self, name: str) -> Unknown:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Unknown:
        return self


class Batch:
    """Events whose objects are rebuilt together, so that what one needs is read for all."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.vendor = get_vendor(using)
        self.current: Subject | None = None

    def subjects(self, events: Sequence[Event]) -> Iterator[Subject]:
        """The objects of these events, in their order."""
        subjects = [Subject(event) for event in events]
        by_table = defaultdict(list)
        for subject in subjects:
            by_table[subject.event.table_name].append(subject)
        for table_name, group in by_table.items():
            self._rebuild(table_name, group)
        return iter(subjects)

    def _rebuild(self, table_name: str, subjects: Sequence[Subject]) -> None:
        model = model_for_table(table_name)
        if model is None:
            self._describe(subjects)
            return
        rows = read_images(self.vendor, model, [Image(s.event.id) for s in subjects])
        for subject in subjects:
            row = rows.get(Image(subject.event.id))
            if isinstance(row, Row):
                subject.instance = self.instance(model, row, subject)
            else:
                subject.error = row or LookupError(f"audit row {subject.event.id} is gone")

    def _describe(self, subjects: Sequence[Subject]) -> None:
        ids = [subject.event.id for subject in subjects]
        rows = AuditLog.objects.using(self.using).in_bulk(ids)
        for subject in subjects:
            log = rows[subject.event.id]
            subject.instance = BareRow(log.table_name, log.object_id, log.row_data or {})
            subject.note("no installed model uses this table")

    def instance(self, model: type[Model], row: Row, subject: Subject) -> Model:
        names = [f.attname for f in model._meta.concrete_fields if f.attname in row.values]
        instance = model.from_db(self.using, names, [row.values[name] for name in names])
        return instance

    def watch(
        self,
        execute: Callable[..., Any],
        sql: str,
        parameters: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        """An execute_wrapper: a query while ``__str__`` runs reads what is there today."""
        if self.current is not None:
            self.current.note("it was read in part from today's rows")
        return execute(sql, parameters, many, context)


def read_images(
    vendor: Vendor, model: type[Model], images: Sequence[Image]
) -> dict[Image, Row | Exception]:
    """The rows that these images hold.

    A row that does not fit its table any more takes no other with it: it is narrowed down, and
    stands in the result as the error that the database gave.
    """
    try:
        with transaction.atomic(vendor.using):
            return dict(_read(vendor, model, images))
    except UNFIT as error:
        if len(images) == 1:
            return {images[0]: error}
    middle = len(images) // 2
    first = read_images(vendor, model, images[:middle])
    return first | read_images(vendor, model, images[middle:])


def _read(
    vendor: Vendor, model: type[Model], images: Sequence[Image]
) -> Iterator[tuple[Image, Row]]:
    fields = model._meta.local_concrete_fields
    read: list[tuple[Image, frozenset[str]]] = []

    def driver_values() -> Iterable[Sequence[Any]]:
        for image, missing, values in vendor.image_rows(model, images):
            read.append((image, missing))
            yield values

    # Both advance together: a converted row belongs to the image that was read last.
    for values in vendor.converted(fields, driver_values()):
        image, missing = read[-1]
        named = zip(fields, values, strict=True)
        yield image, Row({f.attname: v for f, v in named if f.column not in missing}, missing)
