"""What the columns of events held, as Django's fields give it: the same on each database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db.models import Model

from ..conf import get_settings
from ..isolation import isolated
from ..lineage import Renames, recent_renames
from ..models import AuditLog
from ..utils.table_names import log_name
from ..utils.time_limit import TimeLimit
from ..vendors import get_vendor
from ..vendors.types import Row
from .rows import read_images


class Held(NamedTuple):
    """What a field held at an event: a value as Python has it."""

    event: AuditLog
    column: str  # what it was called then
    field: Any
    before: bool
    value: Any


def held(events: Iterable[AuditLog], using: str) -> Iterator[Held]:
    """What is known of all columns; the number of queries depends on how many models there are."""
    renames = recent_renames(using)
    by_model = defaultdict(list)
    for event in events:
        by_model[renames.model(event)].append(event)
    for model, group in by_model.items():
        if model is not None:
            yield from _held_by(model, group, using, renames)


def _held_by(
    model: type[Model], events: Sequence[AuditLog], using: str, renames: Renames
) -> Iterator[Held]:
    table = log_name(model._meta.db_table)
    images = [
        (event, renames.image(table, event.pk, event.occurred_at, before=before))
        for event in events
        if event.row_data is not None
        for before in ([False, True] if event.changed_from else [False])
    ]
    vendor = get_vendor(using)
    limit = TimeLimit(get_settings().ROW_SECONDS)
    with isolated(), vendor.reading(limit):
        rows = read_images(vendor, model, [image for _, image in images], limit) if images else {}
    for event, image in images:
        row = rows.get(image)
        values = row.values if isinstance(row, Row) else {}
        for column, field in renames.fields(event).items():
            if field.attname in values:
                value = values[field.attname]
                # As SQLite gives it, whose drivers make no views.
                value = bytes(value) if isinstance(value, memoryview) else value
                yield Held(event, column, field, image.before, value)
