"""Maps former names to current ones: the table of an event, and its columns.

The project's migrations know (:mod:`auditrepr.lineage.migrations`). Where they cannot, because they
were squashed or because SQL did the renaming, the project says it:
``@auditrepr.track(renamed=..., former_tables=...)``.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property, reduce
from operator import or_
from typing import Any, Protocol

from django.apps import apps
from django.db import Error, connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Field, Max, Model, Q

from ..tracking.decorator import former_tables, renamed_fields
from ..utils.model_meta import own_fields
from ..utils.table_names import log_name, model_for_table
from ..vendors import get_vendor
from ..vendors.types import Image, Name, renamed
from .migration_walk import Change, ColumnRetyped, TableMade, TableRenamed
from .migrations import changes
from .table_lineage import Lineage, given_name, lineage_of

logger = logging.getLogger("auditrepr.renames")


class HasRow(Protocol):
    """An event with its row; the log's model is above this package."""

    pk: Any
    table_name: str
    occurred_at: datetime
    row_data: Any
    changed_from: Any


class Renames:
    """The renames known for one database; reads the migrations on first use."""

    def __init__(self, using: str, latest: datetime | None) -> None:
        self.using = using
        self.latest = latest  # nothing has been renamed after it

    def table(self, table_name: str, at: datetime) -> str:
        """Return the current name of the table that had this name then; empty if there is none."""
        if table_name in self._tables and not self._older(at):
            return table_name
        lineages = self._by_name.get(table_name)
        if lineages is None:
            return table_name
        return next((one.names[0].name for one in lineages if one.had(table_name, at)), "")

    def shown_name(self, table_name: str, at: datetime) -> str:
        """Return the table's current name, or this one if the table no longer exists."""
        return self.table(table_name, at) or table_name

    def model(self, event: Any) -> type[Model] | None:
        """Return the model that uses the event's table now."""
        return model_for_table(self.table(event.table_name, event.occurred_at))

    def events(self, tables: Iterable[str], prefix: str = "") -> Q:
        """Return the condition for the events of these tables, under all their names."""
        names = {name for table in tables for name in self.lineage(table).names}
        always = {name.name for name in names if name == Name(name.name)}
        limited = (name.events(prefix) for name in names - {Name(name) for name in always})
        return reduce(or_, limited, Q(**{f"{prefix}table_name__in": always}))

    def fields(self, event: HasRow) -> dict[str, Field[Any, Any]]:
        """Return the current field of each column of the event's row, by its name at the event."""
        model = self.model(event)
        if model is None:
            return {}
        table = log_name(model._meta.db_table)
        steps = self.image(table, event.pk, event.occurred_at).steps
        columns = [*(event.row_data or ()), *(event.changed_from or ())]
        then = renamed(steps, dict(zip(columns, columns, strict=True)))
        return {then[f.column]: f for f in own_fields(model) if f.column in then}

    def image(self, table: str, event_id: int, at: datetime, *, before: bool = False) -> Image:
        """Return the state that an event of this table, by its current name, holds."""
        if not self._older(at) and table not in self._declared:
            return Image(event_id, before)
        lineage = self.lineage(table)
        steps = lineage.steps(at) if self._attached else lineage.steps_and_casts(at)
        return Image(event_id, before, steps)

    def lineage(self, table: str) -> Lineage:
        """Return the names that this table and its columns have had."""
        return self._lineages.get(table) or Lineage((Name(table),))

    def had_other_key(self, table: str, at: datetime) -> bool:
        """Return whether the table, by its current name, had another primary key at that time."""
        since = self.lineage(table).key_since if self._older(at) else None
        return since is not None and at <= since

    def _older(self, at: datetime) -> bool:
        """Return whether a migration was applied after that time."""
        return self.latest is not None and at <= self.latest

    @cached_property
    def _attached(self) -> bool:
        """Return whether the log's rows are another log's, read in the types of today's tables."""
        return get_vendor(self.using).attachment() is not None

    @cached_property
    def _tables(self) -> frozenset[str]:
        return frozenset(log_name(model._meta.db_table) for model in _models())

    @cached_property
    def _declared(self) -> frozenset[str]:
        """Return the tables for which the project itself gives former names."""
        declared = (m for m in _models() if renamed_fields(m) or former_tables(m))
        return frozenset(log_name(model._meta.db_table) for model in declared)

    @cached_property
    def _by_name(self) -> dict[str, list[Lineage]]:
        found = defaultdict(list)
        for lineage in self._lineages.values():
            for name in dict.fromkeys(name.name for name in lineage.names):
                found[name].append(lineage)
        return dict(found)

    @cached_property
    def _lineages(self) -> dict[str, Lineage]:
        """Return the lineages by current table name; a table without renames may be absent."""
        known = self._changes()
        taken = Counter(given_name(change) for change in known)
        moved = {
            c.new if isinstance(c, TableRenamed) else c.table
            for c in known
            if not isinstance(c, TableMade)
        }
        moved |= {name for name, times in taken.items() if times > 1}
        return {
            name: lineage_of(model, known, taken)
            for model in _models()
            if (name := log_name(model._meta.db_table)) in moved | self._declared
        }

    def _changes(self) -> list[Change]:
        if self.latest is None:
            return []
        try:
            found = changes(connections[self.using])
        except Exception as error:  # they are other people's modules
            logger.warning(
                "Could not load the migrations, so former table and column names are unknown: %s",
                error,
                extra={"database": self.using, "error": str(error)},
            )
            return []
        needs_cast = get_vendor(self.using).needs_cast
        return [c for c in found if not isinstance(c, ColumnRetyped) or needs_cast(*c.types)]


def _models() -> list[type[Model]]:
    found = apps.get_models(include_auto_created=True)
    return [model for model in found if not model._meta.proxy]


_KNOWN: dict[tuple[str, str], tuple[object, Renames]] = {}
#: How long readers go by what was known, in seconds.
FRESH = 60
_RECENT: dict[tuple[str, str], tuple[float, Renames]] = {}


def get_renames(using: str) -> Renames:
    """Return the renames known for this database, as of the migrations applied to it."""
    recorded = MigrationRecorder(connections[using]).migration_qs
    try:
        with transaction.atomic(using):
            state = recorded.aggregate(count=Count("pk"), latest=Max("applied"))
    except Error:  # no migration was ever applied
        state = {"count": 0, "latest": None}
    signature = tuple(state.values())
    place = _place(using)
    if place not in _KNOWN or _KNOWN[place][0] != signature:
        _KNOWN[place] = signature, Renames(using, state["latest"])
    known = _KNOWN[place][1]
    _RECENT[place] = time.monotonic(), known
    return known


def _place(using: str) -> tuple[str, str]:
    """Return the database and, with django-tenants, the tenant: each is migrated separately."""
    return using, str(getattr(connections[using], "schema_name", ""))


def recent_renames(using: str) -> Renames:
    """Return the renames known less than a minute ago: good enough for pages, without a query."""
    place = _place(using)
    looked_at, known = _RECENT.get(place, (-math.inf, None))
    if known is None or time.monotonic() - looked_at > FRESH:
        return get_renames(using)
    return known


def forget_recent(*, using: str, **_: Any) -> None:
    """Forget the known renames after ``migrate``, so that this process need not wait."""
    _RECENT.pop(_place(using), None)
