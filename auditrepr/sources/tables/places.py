"""Which tables the events of a log in one table are of: their names in ours, and what they are now.

Such a log names schema and table as they were. Which table that is today, and which names its
columns have had, is known from the migrations.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import NamedTuple

from django.apps import apps
from django.db import connections
from django.utils import timezone

from ...lineage import Renames, recent_renames
from ...lineage.table_lineage import Lineage
from ...utils.table_names import log_name, model_for_table
from ...vendors import get_vendor
from ...vendors.capture_types import TableShape
from ...vendors.types import Step

#: The table of which this one is a partition, and whether that is the one that its name means.
ROOTS = """
SELECT given.schema, given.name, coalesce(root.nspname, given.schema),
    coalesce(root.relname, given.name), coalesce(root.nspname, given.schema) = coalesce((
        SELECT path.schema FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (schema, n)
        JOIN pg_namespace ON nspname = path.schema
        JOIN pg_class AS class ON relnamespace = pg_namespace.oid AND relkind IN ('r', 'p')
        WHERE class.relname = coalesce(root.relname, given.name) ORDER BY n LIMIT 1
    ), CASE WHEN given.schema = ANY(current_schemas(false)) THEN given.schema END, '')
FROM unnest(%s::text[], %s::text[]) AS given (schema, name)
LEFT JOIN LATERAL (
    SELECT above.nspname::text, top.relname::text FROM pg_class AS class
    JOIN pg_namespace ON pg_namespace.oid = class.relnamespace
    JOIN pg_class AS top ON top.oid = pg_partition_root(class.oid)
    JOIN pg_namespace AS above ON above.oid = top.relnamespace
    WHERE class.relname = given.name AND pg_namespace.nspname = given.schema
        AND class.relispartition
) AS root ON true
ORDER BY 1, 2
"""
TICK = timedelta(microseconds=1)
MOMENT = "timestamp with time zone"
LONGEST = 63  # bytes that the server keeps of a name


@dataclass(frozen=True)
class Place:
    """What the log calls a table, during some time."""

    schema: str
    table: str
    name: str  # in our log
    since: datetime | None = None
    until: datetime | None = None
    current: str = ""  # the table today, quoted; empty if there is none
    shape: TableShape | None = None
    keys: tuple[str, ...] = ()  # the columns of its primary key today
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)  # columns, with former names
    steps: tuple[Step, ...] = ()  # how columns were renamed since
    is_partition: bool = False  # is it called as a part of that table?

    @property
    def types(self) -> dict[str, str]:
        """Return the types of the columns today, without their sizes."""
        columns = self.shape.columns if self.shape else ()
        return {column.name: re.sub(r"\(.*?\)", "", column.type) for column in columns}


class _Named(NamedTuple):
    """A name in the log, and what it means."""

    schema: str
    table: str
    name: str
    root: tuple[str, str]  # schema and table, or those of the table that it is a partition of


def places(using: str, found: Iterable[tuple[str, str]]) -> list[Place]:
    """Return what these tables are, each given by schema and name."""
    pairs = list(found)
    renames = recent_renames(using)
    lineages = _lineages(renames)
    given = [list(part) for part in zip(*pairs, strict=True)] or [[], []]
    named = [
        _Named(schema, table, _log_name(root, bare, lineages), root)
        for schema, table, *root_name, bare in get_vendor(using).rows(ROOTS, given)
        for root in [(root_name[0], root_name[1])]
    ]
    spans = {one.name: _spans(renames, lineages.get(one.name, ()), one.name) for one in named}
    currents = {current for parts in spans.values() for _, _, current, _ in parts if current}
    shapes = get_vendor(using).shapes(sorted(currents))
    return [
        _place(using, renames, one, span, shapes.get(span[2]))
        for one in named
        for span in spans[one.name]
    ]


_Span = tuple[datetime | None, datetime | None, str, tuple[Step, ...]]


def _lineages(renames: Renames) -> dict[str, list[Lineage]]:
    """Return the lineages of the tables that have models, by each of their names."""
    found: dict[str, list[Lineage]] = {}
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.proxy:
            lineage = renames.lineage(log_name(model._meta.db_table))
            for name in dict.fromkeys(name.name for name in lineage.names):
                found.setdefault(name, []).append(lineage)
    return found


def _log_name(root: tuple[str, str], bare: bool, known: Collection[str]) -> str:
    """Return the name that our log has for the table.

    :param bare: whether its name is enough.
    """
    stored = {name.encode()[:LONGEST].decode(errors="ignore"): name for name in known}
    qualified = ".".join(root)
    name = root[1] if bare and qualified not in known else qualified
    return stored.get(name, name)


def _spans(renames: Renames, lineages: Iterable[Lineage], name: str) -> list[_Span]:
    """Return which table had the name at which times, and how its columns were renamed since."""
    moments: set[datetime] = set()
    for lineage in lineages:
        limits = ((one.since, one.until) for one in lineage.names if one.name == name)
        moments |= {at for pair in limits for at in pair if at}
        moments |= {at for at, _ in lineage.changes}
    edges = [None, *sorted(moments), None]
    found = []
    for since, until in pairwise(edges):
        at = since or (until - TICK if until else timezone.now())
        current = renames.table(name, at)
        found.append((since, until, current, renames.lineage(current).steps(at)))
    return list(_joined(found))


def _joined(spans: Iterable[_Span]) -> Iterator[_Span]:
    """Yield the spans, those that follow one another and mean the same as one."""
    for (current, steps), group in groupby(spans, key=lambda span: span[2:]):
        same = list(group)
        yield same[0][0], same[-1][1], current, steps


def _place(
    using: str, renames: Renames, named: _Named, span: _Span, shape: TableShape | None
) -> Place:
    since, until, current, steps = span
    quote = connections[using].ops.quote_name
    model = model_for_table(current)
    if model is not None:
        keys = tuple(field.column for field in model._meta.pk_fields if field.column)
        table = quote(model._meta.db_table)
    else:
        keys = shape.key_columns if shape else ()
        table = ".".join(map(quote, named.root))
    columns = {*keys, *(column.name for column in (shape.columns if shape else ()))}
    names = {column: renames.lineage(current).columns(column) for column in sorted(columns)}
    return Place(
        named.schema, named.table, named.name, since, until,
        table if shape else "", shape, keys, names, steps,
        is_partition=named.root != (named.schema, named.table),
    )  # fmt: skip
