"""The values that fields held at events, as Python values: the same on each database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from django.db.models import Model

from ..isolation import isolated
from ..lineage import Renames, recent_renames
from ..models import AuditLog
from ..utils.table_names import log_name
from ..utils.time_limit import TimeLimit
from ..vendors import Vendor, get_vendor
from ..vendors.types import Image, Row
from .conversion import Conversion
from .rows import read_images


class RecordedValue(NamedTuple):
    """A value that a field held at an event, as Python has it."""

    event: AuditLog
    column: str  # its name at the event
    field: Any
    before: bool
    value: Any


def held(
    events: Iterable[AuditLog], using: str, limit: TimeLimit | None = None
) -> Iterator[RecordedValue]:
    """Yield the recorded values of all columns of these events.

    The number of queries depends on the number of models, not on the number of events.

    :param limit: the time that this may take; values not read by then are left out.
    """
    limit = limit or TimeLimit.from_settings()
    renames = recent_renames(using)
    by_model = defaultdict(list)
    for event in events:
        by_model[renames.model(event)].append(event)
    for model, group in by_model.items():
        if model is not None:
            yield from _held_by(model, group, using, renames, limit)


def _held_by(
    model: type[Model], events: Sequence[AuditLog], using: str, renames: Renames, limit: TimeLimit
) -> Iterator[RecordedValue]:
    table = log_name(model._meta.db_table)
    images = [
        (event, renames.image(table, event.pk, event.occurred_at, before=before))
        for event in events
        if event.row_data is not None
        for before in ([False, True] if event.changed_from else [False])
    ]
    vendor = get_vendor(using)
    rows: dict[Image, Row | Exception] = {}
    with limit.ending_quietly(), isolated(), vendor.reading(limit):
        conversion = Conversion(vendor, limit)
        rows = read_images(conversion, model, [image for _, image in images]) if images else {}
    for event, image in images:
        row = rows.get(image)
        values = row.values if isinstance(row, Row) else {}
        for column, field in renames.fields(event).items():
            if field.attname in values:
                value = values[field.attname]
                # bytes, as on SQLite, whose driver returns no memoryview.
                value = bytes(value) if isinstance(value, memoryview) else value
                yield RecordedValue(event, column, field, image.before, value)


def at_hand(
    events: Iterable[AuditLog],
    columns: Mapping[int, Collection[str]],
    using: str,
    limit: TimeLimit,
) -> Iterator[RecordedValue]:
    """Return what the events at hand show of these columns, without a query.

    :param columns: by the event's ID.
    :param limit: the time that this may take; what it does not reach is left out, like what only
        the database can read.
    """
    vendor, renames = get_vendor(using), recent_renames(using)
    found: dict[Any, list[RecordedValue]] = defaultdict(list)
    for event in events:
        fields = renames.fields(event) if columns[event.pk] else {}
        for before, row in ((False, event.row_data), (True, event.changed_from)):
            for column in columns[event.pk]:
                if column in fields and row and column in row:
                    value = RecordedValue(event, column, fields[column], before, row[column])
                    found[value.field].append(value)
    with limit.ending_quietly(), isolated():
        for field, raw in found.items():
            yield from _read(field, raw, vendor, limit)


def _read(
    field: Any, raw: Sequence[RecordedValue], vendor: Vendor, limit: TimeLimit
) -> Iterator[RecordedValue]:
    read = vendor.plain_reader(field)
    readable, values = [], []
    for one in raw if read else ():
        with suppress(ValueError, TypeError, OverflowError, AttributeError):
            values.append([read(one.value)])  # type: ignore[misc]
            readable.append(one)
    for one, row in zip(readable, Conversion(vendor, limit).rows([field], values), strict=True):
        if not isinstance(row, Exception):
            yield one._replace(value=row[0])
