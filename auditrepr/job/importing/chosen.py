"""What an import is about: its sources, their SELECTs, and the time until which they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from django.db import DataError, Error, NotSupportedError, ProgrammingError, transaction
from django.db.models import Min, Model

from ...exceptions import NothingCovered, SourceChanged, SourceUnreadable
from ...lineage import recent_renames
from ...models import AuditLog, Coverage, Import
from ...sources import Part, Source, find
from ...sources.contract import check_columns, check_types
from ...sources.excluding import excluded_columns
from ...tracking import tracked_tables
from ...utils.table_names import log_name
from ...utils.text import one_line
from ...vendors import get_vendor
from ...vendors.import_types import FoundTable, Known, Selection
from ...vendors.types import LAST_IMPORTED

#: Errors of a statement, or of a value that it reads; those of locks and connections say enough.
OF_STATEMENTS = (DataError, NotSupportedError, ProgrammingError)


@dataclass(frozen=True)
class Request:
    """What is asked for.

    :param until: only events from before this time; by default, until the log begins.
    :param models: only events of these models' tables; by default of all.
    :param trial: whether the sources are only tried, so that nothing may be left of it.
    """

    using: str
    sources: Sequence[str]
    until: datetime | None = None
    models: Sequence[type[Model]] = ()
    trial: bool = False


class Chosen(NamedTuple):
    """One SELECT of an import."""

    source: Source
    name: str
    selection: Selection

    @property
    def key(self) -> tuple[str, str]:
        """Return what distinguishes it from all others, also in a later process."""
        return self.source.name, self.name


def beginning(using: str) -> datetime:
    """Return when the log begins: with its earliest event, or with the first coverage.

    Of imported events, the first one need not be the earliest: their positions order them.

    :raises NothingCovered: if no table is covered.
    """
    covered = Coverage.objects.using(using).exclude(since_event=None)
    since = covered.aggregate(first=Min("recorded_at"))["first"]
    if since is None:
        raise NothingCovered(alias=using)
    log = AuditLog.objects.using(using)
    first = log.order_by("pk").values_list("occurred_at", flat=True)
    imports = Import.objects.using(using).order_by("first_id").values_list("first_id", "last_id")
    imported = [
        log.filter(pk__range=ids).aggregate(first=Min("occurred_at"))["first"]
        for ids in imports[:1]  # those before it have later events
    ]
    earliest: datetime = min([since, *first[:1], *filter(None, imported)])
    return earliest


def last_id(using: str) -> int:
    """Return the highest ID that an imported event may have: below all that the log ever had."""
    lowest = AuditLog.objects.using(using).order_by("pk").values_list("pk", flat=True)
    covered = Coverage.objects.using(using).aggregate(least=Min("since_event"))["least"]
    since = [] if covered is None else [covered]
    # The events of an earlier import may have been pruned: no ID is given twice.
    used = Import.objects.using(using).order_by("first_id").values_list("first_id", flat=True)
    limits = [LAST_IMPORTED, *(pk - 1 for pk in (*lowest[:1], *used[:1])), *since]
    highest: int = min(limits)
    return highest


def choose(
    request: Request, until: datetime, only: Collection[tuple[str, str]] | None = None
) -> list[Chosen]:
    """Return the SELECTs of the sources.

    :param only: no others than these, of which ``Chosen.key`` is one; others are not read.
    :raises UnknownSource: if one of them does not exist.
    :raises SourceUnavailable: if one is not there.
    :raises SourceUnreadable: if one cannot be executed.
    :raises SourceColumns: if one has other columns than it must have.
    :raises SourceTypes: if a column has another type than it must have.
    """
    tables, excluded = _tables(request), excluded_columns(request.using)
    return [
        Chosen(
            source, part.name, Selection(part.select, has, until, tables, excluded, part.by_time)
        )
        for source in _sources(request)
        for part in source.parts(request.using, tables)
        if only is None or (source.name, part.name) in only
        for has in [_columns(request.using, source, part)]
    ]


def planned(request: Request, found: Import) -> list[Chosen]:
    """Return the SELECTs of a planned import, in the order of its parts.

    :raises SourceChanged: if one of them is not there any longer.
    """
    # Whatever models it was planned for, its events are known by now.
    only = {(source, name) for source, name in found.parts}
    every = {one.key: one for one in choose(replace(request, models=()), found.until, only)}
    for source, name in found.parts:
        if (source, name) not in every:
            raise SourceChanged(source=source, missing=f"the events of {name}")
    return [every[source, name] for source, name in found.parts]


@contextmanager
def reading(
    sources: Iterable[str], errors: tuple[type[Error], ...] = OF_STATEMENTS
) -> Iterator[None]:
    """Say of an error in the database what was read."""
    try:
        yield
    except errors as error:
        raise SourceUnreadable(source=", ".join(sources), reason=one_line(error)) from error


def left_out(request: Request) -> dict[str, dict[str, int]]:
    """Return how many events of each source are in none of its SELECTs, by what they are."""
    tables = _tables(request)
    found = {source.name: source.left_out(request.using, tables) for source in _sources(request)}
    return {name: events for name, events in found.items() if events}


def tables(
    using: str, parts: Sequence[Chosen], *, whole: bool = True
) -> dict[str, list[FoundTable]]:
    """Return which tables the events of each source are of.

    :param whole: whether to find out which events have whole rows.
    """
    about, vendor = known(using), get_vendor(using)
    return {
        name: _together(
            one
            for part in of_source
            for one in vendor.source_tables(part.selection, about, whole=whole)
        )
        for name, of_source in groupby(parts, lambda part: part.source.name)
    }


def _together(found: Iterable[FoundTable]) -> list[FoundTable]:
    """Return these with one for each table, which may be in several SELECTs."""
    by_name: dict[str, FoundTable] = {}
    for one in found:
        other = by_name.get(one.name)
        by_name[one.name] = one if other is None else one.joined(other)
    return list(by_name.values())


def known(using: str) -> dict[str, Known]:
    """Return what is known of each audited table, under all its names."""
    tables = {table.name: table for table in tracked_tables(using)}
    since = dict(
        Coverage.objects.using(using)
        .exclude(since_event=None)
        .values_list("table_name", "recorded_at")
    )
    renames, found = recent_renames(using), {}
    for name, shape in get_vendor(using).shapes(list(tables)).items():
        columns = [c.name for c in shape.columns if c.name not in tables[name].excluded]
        for former in renames.lineage(name).names:
            found[former.name] = Known(columns, since.get(name))
    return found


def _sources(request: Request) -> list[Source]:
    return [find(name, trial=request.trial) for name in dict.fromkeys(request.sources)]


def _columns(using: str, source: Source, part: Part) -> frozenset[str]:
    vendor = get_vendor(using)
    with reading([source.name], (Error,)), transaction.atomic(using):
        has = check_columns(source.name, vendor.source_columns(part.select))
        check_types(source.name, vendor.unfit_types(part.select))
    return has


def _tables(request: Request) -> list[str] | None:
    """Return the names that the tables of these models have had; None for all tables."""
    renames = recent_renames(request.using)
    lineages = [renames.lineage(log_name(model._meta.db_table)) for model in request.models]
    return [name.name for one in lineages for name in one.names] or None
