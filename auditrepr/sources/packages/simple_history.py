"""django-simple-history: a table of rows for each model that it tracks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connections, router
from django.db.models import Count, IntegerField, Model

from ...exceptions import SourceUnavailable
from ...utils.model_meta import concrete, field_named, key_parts, own_fields
from ...utils.table_names import log_name
from ...vendors import get_vendor
from ...vendors.import_types import Cell
from ..base import Facts, Order, Part, Source
from ..quoting import text
from .parents import Told, ended, existed
from .sql import as_context_value, cases, column, later_columns, transaction

ACTIONS = {"+": "I", "~": "U", "-": "D"}

SELECT = """
SELECT {position} AS position, {table} AS table_name, {key} AS object_id,
    {action} AS action,
    {row} AS row_data, {context} AS context, event.history_date AS occurred_at{transaction}
FROM {history} AS event WHERE event.history_type IN ({types}){ended}
"""

#: What the context calls them.
_CONTEXT = {"history_user": "user", "history_user_id": "user", "history_change_reason": "reason"}
_OWN = frozenset({"history_id", "history_date", "history_type", "history_relation"})
#: Names that the context itself uses.
_TAKEN = frozenset({"user", "reason", "imported_from", "imported_text"})


class SimpleHistory(Source):
    """The historical models of django-simple-history.

    What is saved as a child of another model is a change of both tables, and the child's history
    has the columns of both.
    """

    name = "simple_history"
    unattachable = "it has a table for each model"
    title = "django-simple-history"
    facts = Facts(Order.TABLE, deletes=True, before_images=False, whole_rows=True)

    def parts(self, using: str, tables: Collection[str] | None = None) -> list[Part]:
        found = list(_wanted(using, tables))
        if not found:
            reason = "no model has a history of django-simple-history"
            raise SourceUnavailable(source=self.name, alias=using, reason=reason)
        later = later_columns(self.name, using)
        return [one.part(using, later.get(one.table, {})) for one in found]

    def left_out(self, using: str, tables: Collection[str] | None = None) -> dict[str, int]:
        read = {one.history for one in _wanted(using, tables)}
        found: dict[str, int] = {}
        for model in _models(using):
            about = {log_name(one._meta.db_table) for one in _lineage(model.instance_type)}
            if tables is not None and about.isdisjoint(tables):
                continue
            name, rows = model._meta.db_table, model._base_manager.using(using)
            if "history_type" not in _fields(model):
                found[f"{name}, a many-to-many history"] = rows.count()
                continue
            types = rows.values_list("history_type").order_by().annotate(number=Count("pk"))
            found |= {
                f"{name}, {kind}": number
                for kind, number in types
                if model not in read or kind not in ACTIONS
            }
        return {name: number for name, number in found.items() if number}


class _Of(NamedTuple):
    """What a historical model has recorded of one table."""

    history: Any
    model: type[Model]
    actions: Mapping[str, str]
    told: Sequence[Told] = ()  # if it is a parent: the histories that say whether a row is there

    @property
    def table(self) -> str:
        """Return the table of the history."""
        return log_name(self.history._meta.db_table)

    def part(self, using: str, later: Mapping[str, datetime]) -> Part:
        """Return its SELECT.

        :param later: when columns were added to its table.
        """
        vendor = get_vendor(using)
        number = field_named(self.history, "history_id")
        position = column(using, "event", number)
        ordered = isinstance(number, IntegerField)
        select = SELECT.format(
            position=position if ordered else vendor.row_number("event", position),
            table=text(log_name(self.model._meta.db_table)),
            key=vendor.key_text([column(using, "event", field) for field in self._key]),
            action=self._action(using),
            row=vendor.document(list(self._cells(using, later))),
            context=self._context(using),
            history=connections[using].ops.quote_name(self.history._meta.db_table),
            types=", ".join(map(text, self.actions)),
            ended=self._ended(using),
            transaction=transaction(using),
        )
        return Part(self._name, select, not ordered)

    @property
    def _key(self) -> list[Any]:
        """Return the fields of the history that have the key."""
        return _held_key(self.history, self.model)

    @property
    def _only_ends(self) -> bool:
        return set(self.actions) == {"-"}

    def _action(self, using: str) -> str:
        said = cases({text(kind): text(action) for kind, action in self.actions.items()})
        sql = f"CASE event.history_type {said} END"
        if not self.told or self._only_ends:
            return sql
        there = existed(using, self._key, self.told)
        return f"CASE WHEN event.history_type = '+' AND {there} THEN 'U' ELSE {sql} END"

    def _ended(self, using: str) -> str:
        """Return a further condition: a child may be deleted without its parent."""
        if not self.told or not self._only_ends:
            return ""
        return f" AND {ended(using, self.model, self._key, self.told)}"

    @property
    def _name(self) -> str:
        name, table = self.history._meta.db_table, self.model._meta.db_table
        if self.model is concrete(self.history.instance_type):
            return str(name)
        return f"{name}, {table}{', deleted' if self._only_ends else ''}"

    def _cells(self, using: str, later: Mapping[str, datetime]) -> Iterator[Cell]:
        """Yield the recorded columns of the table, by the names that they have there."""
        fields, vendor = _recorded(self.history), get_vendor(using)
        for field in own_fields(self.model):
            if held := fields.get(field.attname):
                since = later.get(held.column)
                known = f"event.history_date >= {vendor.time_sql(since)}" if since else ""
                yield Cell(field.column, column(using, "event", held), known)

    def _context(self, using: str) -> str:
        """Return SQL for what the history says next to the row: who, why, and what bases added."""
        tracked = _recorded(self.history)
        others = {
            name: as_context_value(using, "event", field)
            for name, field in _named(
                field
                for field in own_fields(self.history)
                if field.attname not in tracked and field.name not in _OWN
            )
        }
        cells = [Cell(name, sql, f"{sql} IS NOT NULL") for name, sql in others.items()]
        return get_vendor(using).document(cells) if cells else "NULL"


def _models(using: str) -> Iterator[Any]:
    """Yield the historical models, those of many-to-many tables among them."""
    for model in apps.get_models():
        ids = _fields(model).keys() & {"history_id", "m2m_history_id"}
        if ids and hasattr(model, "instance_type") and router.allow_migrate_model(using, model):
            yield model


def _wanted(using: str, tables: Collection[str] | None) -> Iterator[_Of]:
    """Yield what there is of these tables."""
    histories = [model for model in _models(using) if "history_type" in _fields(model)]
    tracked = {concrete(history.instance_type) for history in histories}
    told = _told(histories, tracked)
    for history in histories:
        own, *parents = _lineage(history.instance_type)
        # In the order in which Django writes them, which share a time. A parent that is deleted
        # together with its child has a row of its own for that, if it has a history.
        every = [
            *((parent, "+~") for parent in reversed(parents)),
            (own, "+~-"),
            *((parent, "-") for parent in parents if parent not in tracked),
        ]
        for model, types in every:
            named = tables is None or log_name(model._meta.db_table) in tables
            if named and _has_key(history, model):
                said = () if model is own else told[model]
                yield _Of(history, model, {kind: ACTIONS[kind] for kind in types}, said)


def _told(
    histories: Iterable[Any], tracked: Collection[type[Model]]
) -> dict[type[Model], list[Told]]:
    """Return the histories that say whether a row is there, by the model that has the table.

    Of a model with a history, children's histories do not say that a row ends: its own does.
    """
    found: dict[type[Model], list[Told]] = {}
    for history in histories:
        own, *parents = _lineage(history.instance_type)
        for model in (own, *parents):
            if _has_key(history, model):
                ends = model is own or model not in tracked
                one = Told(history, _held_key(history, model), ends)
                found.setdefault(model, []).append(one)
    return found


def _named(fields: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield fields with their names in the context: ``base_…`` where a base has a name of ours."""
    taken = set(_TAKEN)
    for field in sorted(fields, key=lambda field: field.name in taken):
        name = _CONTEXT.get(field.name)
        if name is None:
            name = field.name
            while name in taken:
                name = f"base_{name}"
            taken.add(name)
        yield name, field


def _lineage(model: type[Model]) -> list[type[Model]]:
    """Return the model that has the table, and those that have its parents' tables."""
    own = concrete(model)
    return [own, *dict.fromkeys(concrete(parent) for parent in own._meta.get_parent_list())]


def _fields(model: type[Model]) -> dict[str, Any]:
    return {field.attname: field for field in own_fields(model)}


def _recorded(history: Any) -> dict[str, Any]:
    """Return the fields that have values of the model; bases may have others of the same names."""
    left_out = getattr(history, "_history_excluded_fields", ())
    recorded = {
        field.attname
        for field in history.instance_type._meta.concrete_fields
        if field.name not in left_out
    }
    return {name: field for name, field in _fields(history).items() if name in recorded}


def _has_key(history: Any, model: type[Model]) -> bool:
    return _fields(history).keys() >= {part.attname for part in key_parts(model._meta.pk)}


def _held_key(history: Any, model: type[Model]) -> list[Any]:
    fields = _fields(history)
    return [fields[part.attname] for part in key_parts(model._meta.pk)]
