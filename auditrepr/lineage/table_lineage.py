"""The names that one table and its columns have had, from the current ones back to the first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import NamedTuple

from django.db.models import Model, Q

from ..tracking.decorator import former_tables, renamed_fields
from ..utils.model_meta import own_fields
from ..utils.table_names import log_name
from ..vendors.types import Name, Step
from .migration_walk import (
    Change,
    ColumnChanged,
    ColumnRetyped,
    KeyChanged,
    TableMade,
    TableRenamed,
)


class Lineage(NamedTuple):
    """The names of one table and its columns, from the current one back to the first."""

    names: tuple[Name, ...]
    changes: tuple[tuple[datetime, Step], ...] = ()  # in the order in which they came
    declared: tuple[Step, ...] = ()  # by the project, without saying when
    key_since: datetime | None = None  # when the primary key got its columns; None: it always had

    def steps(self, at: datetime) -> tuple[Step, ...]:
        """Return the changes of the columns' names since `at`."""
        return tuple(step for step in self.steps_and_casts(at) if step.types is None)

    def steps_and_casts(self, at: datetime) -> tuple[Step, ...]:
        """Return the changes of the columns' names and types since `at`."""
        return tuple(step for applied, step in self.changes if applied > at) + self.declared

    def had(self, table_name: str, at: datetime) -> bool:
        """Return whether the table had this name at that time."""
        return any(name.name == table_name and name.includes(at) for name in self.names)

    def events(self, prefix: str = "") -> Q:
        """Return the condition for the table's events, under all its names."""
        return reduce(or_, (name.events(prefix) for name in self.names))

    def columns(self, column: str) -> list[str]:
        """Return the names that this column may have in the log, the current one first."""
        names = [column]
        for step in reversed([*(step for _, step in self.changes), *self.declared]):
            if step.new in names and step.old not in names:
                names.append(step.old)
        return names


def given_name(change: Change) -> str:
    """Return the name that a table gets by the change."""
    match change:
        case TableMade():
            return change.table
        case TableRenamed():
            return change.new
    return ""


def lineage_of(model: type[Model], known: Sequence[Change], taken: Mapping[str, int]) -> Lineage:
    """Return the lineage of the model's table, from its current name back to its creation."""
    name, until = log_name(model._meta.db_table), None
    names: list[Name] = []
    columns: list[ColumnChanged | ColumnRetyped] = []
    since = key_since = None
    for change in reversed(known):
        since = change.at
        if isinstance(change, ColumnChanged | ColumnRetyped) and change.table == name:
            columns.append(change)
        elif isinstance(change, KeyChanged) and change.table == name:
            key_since = key_since or change.at
        elif isinstance(change, TableRenamed) and change.new == name:
            names.append(Name(name, since, until))
            name, until = change.table, since
        elif given_name(change) == name:
            break
    else:
        since = None
    names.append(Name(name, since, until))
    limited = [one if taken[one.name] > 1 else Name(one.name) for one in names]
    declared = [Name(log_name(table)) for table in former_tables(model)]
    steps = _needed(model, columns), _declared(model)
    return Lineage((*limited, *declared), *steps, key_since)


def _needed(
    model: type[Model], columns: Iterable[ColumnChanged | ColumnRetyped]
) -> tuple[tuple[datetime, Step], ...]:
    """Return the changes that concern the existing columns; read from the latest back."""
    needed = {field.column for field in own_fields(model)}
    then = set(needed)  # what the existing columns were called at that point
    steps = []
    for change in columns:
        if isinstance(change, ColumnRetyped):
            if change.column in then:
                steps.append((change.at, Step(change.column, change.column, types=change.types)))
            continue
        at, _, old, new = change
        then.discard(old)
        if new in then:
            then.remove(new)
            then.add(old)
        if new in needed:
            steps.append((at, Step(old, new)))
            needed.add(old)
        elif old in needed:
            steps.append((at, Step(old, None)))
    return tuple(reversed(steps))


def _declared(model: type[Model]) -> tuple[Step, ...]:
    """Return the renames that the project gives for the model's columns."""
    declared = renamed_fields(model)
    present = {field.column for field in own_fields(model)}
    steps = []
    for field in own_fields(model):
        for old in declared.get(field.name, ()):
            for column in [old, f"{old}_id"] if field.is_relation else [old]:
                steps.append(Step(column, field.column, replacing=column not in present))
    return tuple(steps)
