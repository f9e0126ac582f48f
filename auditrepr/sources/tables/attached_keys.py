"""What a view of another log calls the tables, and where it finds their keys.

Indexes of the other log hold what the functions of the view have returned. So what is found here
should depend on as little as possible: a table with a key ``id`` and no other name needs no entry,
and when it is created, nothing changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

from django.apps import apps

from ...exceptions import NotAttachable
from ...lineage import recent_renames
from ...utils.table_names import log_name
from ...vendors import get_vendor
from ...vendors.attach_types import Keys, Span
from ...vendors.capture_types import Kind
from .places import Place, places

USUAL = [["id"]]


def find_keys(
    using: str,
    source: str,
    tables: Collection[tuple[str, str]],
    bare: Sequence[str] | None = None,
) -> Keys:
    """Return the keys of these tables, by schema and name, and of all models' tables.

    :param bare: the schemas whose tables are known by their names alone; by default, those of the
        connection.
    :raises NotAttachable: if one of them is partitioned: its rows are logged under the names of
        its partitions, of which nobody knows today which there will be.
    """
    usual = Keys(get_vendor(using).schemas() if bare is None else bare)
    names: dict[str, dict[str, str]] = {}
    spans: dict[str, dict[str, list[Span]]] = {}
    found = places(using, sorted({*tables, *_of_models(using, usual.bare[:1])}))
    partitioned = sorted({one.name for one in found if _is_partitioned(one)})
    if partitioned:
        reason = f"of partitioned tables, it has events: {', '.join(partitioned)}"
        raise NotAttachable(source=source, reason=reason)
    for (schema, table), group in groupby(found, key=lambda one: (one.schema, one.table)):
        every = list(group)
        if every[0].name != usual.usual_name(schema, table):
            names.setdefault(schema, {})[table] = every[0].name
        columns = list(_spans(every))
        if [one.columns for one in columns] != [USUAL]:
            spans.setdefault(schema, {})[table] = columns
    return Keys(usual.bare, names, spans)


def _of_models(using: str, schemas: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the tables of all models, under all their names."""
    renames = recent_renames(using)
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy or model._meta.swapped:
            continue
        for name in renames.lineage(log_name(model._meta.db_table)).names:
            schema, separator, table = name.name.partition(".")
            if separator:
                yield schema, table
            for one in schemas:
                yield one, name.name


def _is_partitioned(place: Place) -> bool:
    return place.shape is not None and place.shape.kind is Kind.PARTITIONED


def _spans(spans: Iterable[Place]) -> Iterator[Span]:
    """Yield the keys of a table, those that follow one another and are the same as one.

    While the name had no meaning, there were no events.
    """
    known = [one for one in spans if one.keys]
    columns = [[list(one.names[key]) for key in one.keys] for one in known]
    if all(one == columns[0] for one in columns):
        yield Span(None, None, columns[0] if columns else [])
        return
    for one, its in zip(known, columns, strict=True):
        limits = (at and at.isoformat() for at in (one.since, one.until))
        yield Span(*limits, its)
