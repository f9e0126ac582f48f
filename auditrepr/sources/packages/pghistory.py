"""django-pghistory 3: a table of events for each model that it tracks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, router
from django.db.models import Count, IntegerField, JSONField, Model

from ...exceptions import SourceUnavailable
from ...utils.table_names import log_name
from ...vendors import get_vendor
from ..base import Facts, Order, Part, Source
from ..quoting import text
from .pghistory_trackers import ACTIONS, actions_of
from .sql import later_columns

SELECT = """
SELECT {position} AS position, {table} AS table_name,
    {key} AS object_id, {action} AS action,
    {row} AS row_data, {context} AS context, event.pgh_created_at AS occurred_at,
    event.xmin::text::bigint AS transaction{command}
FROM {events} AS event{joined}
WHERE event.pgh_label IN ({labels}) AND {known}
"""
# Which command of its transaction has written the row, of whichever table. If rows of different
# times share transaction and command, they were written again: by a restore, or an update.
COMMAND = ", event.cmin::text::bigint AS command"
REWRITTEN = """
SELECT EXISTS (
    SELECT FROM (
        SELECT xmin::text AS x, cmin::text AS c, pgh_created_at AS at FROM {events}
        ORDER BY {number} LIMIT 1000
    ) AS first GROUP BY x, c HAVING min(at) < max(at)
)
"""
OBJECT = "CASE WHEN jsonb_typeof({0}::jsonb) = 'object' THEN {0}::jsonb END"


class Pghistory(Source):
    """The event models of django-pghistory.

    Of each table, one tracker for each action is read, of the event model with the most columns:
    others record the same changes again. Trackers with a condition of their own, of an update's
    old row, or of several operations do not say what happened to a row, so their events are left
    out, as are those that the application has created by hand.
    """

    name = "pghistory"
    unattachable = "it has a table for each model"
    title = "django-pghistory"
    # Which trackers and fields a model has, the dry run shows by its events.
    facts = Facts(Order.TABLE, deletes=False, before_images=False, whole_rows=True)

    def parts(self, using: str, tables: Collection[str] | None = None) -> list[Part]:
        if not apps.is_installed("pghistory"):
            raise SourceUnavailable(
                source=self.name,
                alias=using,
                reason='"pghistory" is not in INSTALLED_APPS',
            )
        chosen = _chosen(using, tables)
        if not chosen:
            reason = "no model has a tracker that records every insert or update"
            raise SourceUnavailable(source=self.name, alias=using, reason=reason)
        later = later_columns(self.name, using)
        command = "" if any(events.is_rewritten(using) for events in chosen) else COMMAND
        return [
            Part(events.name, events.select(using, later.get(events.own_table, {}), command))
            for events in chosen
        ]

    def left_out(self, using: str, tables: Collection[str] | None = None) -> dict[str, int]:
        chosen = _chosen(using, tables)
        read = {(events.model, label) for events in chosen for label in events.actions}
        found: dict[str, int] = {}
        for events in chosen:
            if number := events.without_key(using):
                found[f"{events.name}, without the key of the object"] = number
        for model in _event_models(using):
            events = _Events(model, {})
            if tables is None or events.table in tables:
                why = "" if events.is_ordered else ", in no order: their key is not a number"
                labels = model._base_manager.using(using).values_list("pgh_label").order_by()
                found |= {
                    f"{model._meta.db_table}, {label}{why}": number
                    for label, number in labels.annotate(number=Count("pk"))
                    if (model, label) not in read
                }
        return found


@dataclass(frozen=True)
class _Events:
    """An event model, and the actions that its labels stand for."""

    model: Any
    actions: dict[str, str]
    is_split: bool = False  # whether the events of its model are in several parts

    @property
    def own_table(self) -> str:
        """Return the table of the events themselves."""
        return log_name(self.model._meta.db_table)

    @property
    def name(self) -> str:
        """Return what distinguishes them from all others."""
        table = str(self.model._meta.db_table)
        return f"{table}, {', '.join(self.actions)}" if self.is_split else table

    @property
    def is_ordered(self) -> bool:
        """Return whether its rows are numbered; a base model may have another key."""
        return isinstance(self.model._meta.pk, IntegerField)

    @property
    def tracked(self) -> type[Model]:
        """Return the model whose rows it records."""
        found: type[Model] = self.model.pgh_tracked_model
        return found._meta.concrete_model or found

    @property
    def table(self) -> str:
        return log_name(self.tracked._meta.db_table)

    @property
    def columns(self) -> set[str]:
        """Return the columns of the tracked table that it has."""
        return _columns(self.tracked) & _columns(self.model)

    @property
    def key(self) -> str:
        """Return its column with the key of the row; empty if it has none.

        The reference to the object may be null by now: what deletes the object may set it so.
        """
        own = str(self.tracked._meta.pk.column)
        if own in self.columns:
            return own
        reference = _field(self.model, "pgh_obj")
        return str(reference.column) if reference else ""

    def without_key(self, using: str) -> int:
        """Return how many events no longer say which row they are of."""
        if self.key in self.columns:
            return 0
        rows = self.model._base_manager.using(using).filter(pgh_label__in=self.actions)
        return int(rows.filter(pgh_obj=None).count())

    def is_rewritten(self, using: str) -> bool:
        """Return whether the rows do not show which command has recorded them."""
        quoted = connections[using].ops.quote_name
        sql = REWRITTEN.format(
            events=quoted(self.model._meta.db_table), number=quoted(self.model._meta.pk.column)
        )
        return bool(get_vendor(using).value(sql))

    def select(self, using: str, later: Mapping[str, datetime], command: str = "") -> str:
        """Return its SELECT.

        :param later: when columns were added to its table.
        :param command: a further column.
        """
        quoted = connections[using].ops.quote_name
        whens = "".join(
            f" WHEN {text(label)} THEN '{action}'" for label, action in self.actions.items()
        )
        context, joined = self._context()
        key = f"event.{quoted(self.key)}"
        return SELECT.format(
            position=f"event.{quoted(self.model._meta.pk.column)}",
            table=text(self.table),
            key=get_vendor(using).key_text([key]),
            known=f"{key} IS NOT NULL",
            action=f"CASE event.pgh_label{whens} END",
            row=self._row(using, later),
            events=quoted(self.model._meta.db_table),
            labels=", ".join(map(text, self.actions)),
            context=context,
            joined=joined,
            command=command,
        )

    def _row(self, using: str, later: Mapping[str, datetime]) -> str:
        """Return SQL for the recorded columns of an event."""
        others = sorted(_columns(self.model) - self.columns)
        row = f"to_jsonb(event.*) - ARRAY[{', '.join(map(text, others))}]"
        for column, at in sorted(later.items()):
            if column in self.columns:
                since = get_vendor(using).time_sql(at)
                row += f" - CASE WHEN event.pgh_created_at < {since}"
                row += f" THEN {text(column)} ELSE '' END"
        return f"({row})"

    def _context(self) -> tuple[str, str]:
        """Return SQL for the context, and what it joins."""
        field = _field(self.model, "pgh_context")
        if field is None:
            return "NULL", ""
        if isinstance(field, JSONField):
            return OBJECT.format("event.pgh_context"), ""
        joined = " LEFT JOIN pghistory_context AS known ON known.id = event.pgh_context_id"
        return OBJECT.format("known.metadata"), joined


def _field(model: type[Model], name: str) -> Any:
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _columns(model: type[Model]) -> set[str]:
    return {field.column for field in model._meta.local_concrete_fields if field.column}


def _event_models(using: str) -> Iterator[Any]:
    for model in apps.get_models():
        tracked = getattr(model, "pgh_tracked_model", None)
        own = model._meta.managed and not model._meta.proxy
        if tracked is not None and own and router.allow_migrate_model(using, model):
            yield model


def _chosen(using: str, tables: Collection[str] | None) -> list[_Events]:
    """Return the events to read of each of these tables."""
    usable: dict[str, list[_Events]] = {}
    for model in _event_models(using):
        found = _Events(model, actions_of(model))
        if found.is_ordered and found.key and (tables is None or found.table in tables):
            usable.setdefault(found.table, []).append(found)
    return [one for _, every in sorted(usable.items()) for one in _best(every)]


def _best(every: Iterable[_Events]) -> Iterator[_Events]:
    """Yield what has the most of each action, of the event models of one table.

    If their rows do not show it, only the time of the transaction says in which order they have
    recorded. Then what shares that is in the usual order: a row is added, changed and deleted.
    """
    best: dict[str, tuple[_Events, str]] = {}
    for one in sorted(every, key=_completeness, reverse=True):
        for label, action in one.actions.items():
            best.setdefault(action, (one, label))
    chosen = [(*best[action], action) for action in ACTIONS.values() if action in best]
    runs = [(one, list(those)) for one, those in groupby(chosen, key=itemgetter(0))]
    for one, those in runs:
        actions = {label: action for _, label, action in those}
        yield replace(one, actions=actions, is_split=[run[0] for run in runs].count(one) > 1)


def _completeness(events: _Events) -> tuple[int, int, str]:
    return len(events.columns), len(set(events.actions.values())), events.model._meta.db_table
