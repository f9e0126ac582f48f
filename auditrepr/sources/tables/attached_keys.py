"""What a view of another log calls the tables, and where it finds their keys.

Indexes of the other log hold what the functions of the view have returned. So what is found here
should depend on as little as possible: a table with a key ``id`` and no other name needs no entry,
and when it is created, nothing changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from django.apps import apps

from ...exceptions import NotAttachable
from ...lineage import recent_renames
from ...utils.table_names import log_name
from ...vendors import get_vendor
from ...vendors.attach_types import Keys, Span
from ...vendors.capture_types import Kind
from .places import MOMENT, Place, places

USUAL = [["id"]]
NUMBERS = ("smallint", "integer", "bigint", "numeric")


def find_keys(
    using: str,
    tables: Collection[tuple[str, str]],
    bare: Sequence[str] | None = None,
    types: Collection[str] | None = None,
) -> Keys:
    """Return the keys of these tables, by schema and name, and of all models' tables.

    :param bare: the schemas whose tables are known by their names alone; by default, those of the
        connection.
    :param types: the types of keys that can be read in a log that has only texts; None: it has
        JSON.
    """
    usual = Keys(get_vendor(using).schemas() if bare is None else bare)
    names: dict[str, dict[str, str]] = {}
    spans: dict[str, dict[str, list[Span]]] = {}
    found = places(using, every_table(using, tables, usual.bare))
    for (schema, table), group in groupby(found, key=lambda one: (one.schema, one.table)):
        every = list(group)
        if every[0].name != usual.usual_name(schema, table):
            names.setdefault(schema, {})[table] = every[0].name
        columns = list(_spans(using, every, types))
        if [one.columns for one in columns] != [USUAL] or any(one.times for one in columns):
            spans.setdefault(schema, {})[table] = columns
    return Keys(usual.bare, names, spans)


def check_tables(
    using: str,
    source: str,
    tables: Collection[tuple[str, str]],
    types: Collection[str] | None = None,
) -> None:
    """Check that a log that has events of these tables can say which rows they are about.

    :raises NotAttachable: if one is partitioned: its rows are logged under the names of its
        partitions, and which there will be is not known; or if its key cannot be read.
    """
    found = places(using, sorted(tables))
    reasons = {
        "of partitioned tables, it has events": [one for one in found if _is_partitioned(one)],
        "the texts that it has do not say the keys of": [
            one for one in found if not _is_read(one, types)
        ],
    }
    for reason, those in reasons.items():
        if those:
            listed = ", ".join(sorted({one.name for one in those}))
            raise NotAttachable(source=source, reason=f"{reason}: {listed}")


def every_table(
    using: str, tables: Collection[tuple[str, str]], schemas: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """Return these tables and those of all models, by schema and name, in order."""
    known = get_vendor(using).schemas() if schemas is None else schemas
    return sorted({*tables, *_of_models(using, known[:1])})


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


def _spans(using: str, spans: Iterable[Place], types: Collection[str] | None) -> Iterator[Span]:
    """Yield the keys of a table, those that follow one another and are the same as one.

    While the name had no meaning, there were no events.
    """
    known = [one for one in spans if one.keys and _is_read(one, types)]
    keys = [_key(one, types) for one in known] or [([], [], [])]
    if all(one == keys[0] for one in keys):
        yield Span(None, None, *keys[0])
        return
    for one, its in zip(known, keys, strict=True):
        since, until = (_written(using, at) for at in (one.since, one.until))
        yield Span(since, until, *its)


def _written(using: str, moment: datetime | None) -> str | None:
    """Return the time with its offset: what is found by it must not depend on the session."""
    return str(get_vendor(using).written(moment).isoformat()) if moment else None


def _key(
    place: Place, types: Collection[str] | None
) -> tuple[list[list[str]], list[bool], list[bool]]:
    """Return the names of the columns of a key, which are numbers, and which are times."""
    numbers = [] if types is None else _numbers(place)
    return [list(place.names[key]) for key in place.keys], numbers, _times(place)


def _is_read(place: Place, types: Collection[str] | None) -> bool:
    """Return whether the key of a table can be read."""
    if types is None or not place.shape:
        return True
    return all(place.types.get(key, "") in types for key in place.keys)


def _numbers(place: Place) -> list[bool]:
    """Return which columns of a composite key are numbers; of another one, the text is the key."""
    found = [place.types.get(key) in NUMBERS for key in place.keys]
    return found if len(found) > 1 else []


def _times(place: Place) -> list[bool]:
    """Return which columns of a key are times with a zone; nothing if none is."""
    found = [place.types.get(key) == MOMENT for key in place.keys]
    return found if any(found) else []
