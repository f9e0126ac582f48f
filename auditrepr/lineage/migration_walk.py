"""Compares the states of the project before and after each operation of a migration, by names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import strip_quotes, truncate_name
from django.db.migrations import operations
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import CompositePrimaryKey, ForeignKey, ManyToManyField
from django.db.models.fields.related import RECURSIVE_RELATIONSHIP_CONSTANT

from ..utils.table_names import log_name
from .sql_renames import renamed_tables


class TableMade(NamedTuple):
    at: datetime
    table: str


class TableRenamed(NamedTuple):
    at: datetime
    table: str
    new: str


class ColumnChanged(NamedTuple):
    """A column was renamed or removed."""

    at: datetime
    table: str
    old: str
    new: str | None


class ColumnRetyped(NamedTuple):
    """A column got another type, as Django names them."""

    at: datetime
    table: str
    column: str
    types: tuple[str, str]  # before and after


class KeyChanged(NamedTuple):
    """The primary key is of other columns."""

    at: datetime
    table: str


class ColumnAdded(NamedTuple):
    at: datetime
    table: str
    column: str


Change = TableMade | TableRenamed | ColumnChanged | ColumnRetyped | KeyChanged

ModelKey = tuple[str, str]  # app label and lower-case name
TableKey = tuple[str, str, str]  # the same, and for a many-to-many table the name of its field


class Table(NamedTuple):
    name: str  # as the log has it
    columns: dict[str, str]  # by the names of their fields
    types: dict[str, str]  # likewise; empty for a relation, and for what no one writes
    key: frozenset[str]  # the fields of the primary key


class Walk:
    """The walk of one migration through the states of the project."""

    def __init__(
        self, at: datetime, app_label: str, state: ProjectState, connection: BaseDatabaseWrapper
    ) -> None:
        self.at = at
        self.app_label = app_label
        self.state = state
        self.connection = connection

    def operate(self, operation: Any) -> list[Change | ColumnAdded]:
        """Apply the operation to the state; return its changes of names and columns."""
        if isinstance(operation, operations.SeparateDatabaseAndState):
            return self._separately(operation)
        if isinstance(operation, operations.RunSQL):
            return self._by_sql(operation)
        concerned = self._concerned(operation)
        before = self.tables(concerned)
        operation.state_forwards(self.app_label, self.state)
        if isinstance(operation, operations.RenameModel):
            concerned = [_followed(operation, self.app_label, key) for key in concerned]
        return list(self._compared(operation, before, self.tables(concerned)))

    def _by_sql(self, operation: operations.RunSQL) -> list[Change | ColumnAdded]:
        done = list(self._renamed_by_sql(operation.sql))
        in_name = self._in_name_only(operation.state_operations, in_database=True)
        return [*done, *(change for change in in_name if change not in done)]

    def _renamed_by_sql(self, sql: Any) -> Iterator[Change]:
        """Yield the renames of tables of the project, to names that no other one has.

        SQL that creates a table, and gives it the name of one, changes no name.
        """
        known: set[str] | None = None
        for old, new in renamed_tables(sql):
            if known is None:
                known = {table.name for table in self.tables(list(self.state.models)).values()}
            if old in known and new not in known:
                known = known - {old} | {new}
                yield TableRenamed(self.at, old, new)

    def _separately(self, operation: Any) -> list[Change | ColumnAdded]:
        aside = Walk(self.at, self.app_label, self.state.clone(), self.connection)
        done = [change for part in operation.database_operations for change in aside.operate(part)]
        by_sql = bool(operation.database_operations)
        in_name = self._in_name_only(operation.state_operations, in_database=by_sql)
        return done + [change for change in in_name if change not in done]

    def _in_name_only(
        self, parts: Iterable[Any], *, in_database: bool
    ) -> list[Change | ColumnAdded]:
        """Return what state-only operations do to names, to keys, and to the types of columns.

        Created and removed tables and columns are ignored: they may exist outside this migration.

        :param in_database: whether something else in the migration changes the database. If not, a
            column had its type before.
        """
        in_name = [change for part in parts for change in self.operate(part)]
        return [
            c
            for c in in_name
            if isinstance(c, TableRenamed)
            or getattr(c, "new", None)
            or isinstance(c, KeyChanged)
            or (in_database and isinstance(c, ColumnRetyped))
        ]

    def _concerned(self, operation: Any) -> list[ModelKey]:
        match operation:
            case operations.RenameModel():
                return list(self.state.models)  # many-to-many tables are named after it
            case operations.CreateModel() | operations.AlterModelTable():
                return [(self.app_label, operation.name_lower)]
            case (
                operations.AddField()
                | operations.AlterField()
                | operations.RemoveField()
                | operations.RenameField()
            ):
                return [(self.app_label, operation.model_name_lower)]
        return []

    def _compared(
        self, operation: Any, before: Mapping[TableKey, Table], after: Mapping[TableKey, Table]
    ) -> Iterator[Change | ColumnAdded]:
        kept = set()
        for (app_label, name, field), table in before.items():
            key = (
                *_followed(operation, self.app_label, (app_label, name)),
                _renamed_field(operation, field),
            )
            if key not in after:
                continue
            kept.add(key)
            yield from self._table_changes(operation, table, after[key])
        for key in after.keys() - kept:
            yield TableMade(self.at, after[key].name)

    def _table_changes(
        self, operation: Any, old: Table, new: Table
    ) -> Iterator[Change | ColumnAdded]:
        if old.name != new.name:
            yield TableRenamed(self.at, old.name, new.name)
        for field, column in old.columns.items():
            now = new.columns.get(_renamed_field(operation, field))
            if now != column:
                yield ColumnChanged(self.at, new.name, column, now)
        if {_renamed_field(operation, field) for field in old.key} != new.key:
            yield KeyChanged(self.at, new.name)
        if isinstance(operation, operations.AlterField):
            for field in old.types.keys() & new.types.keys():
                types = old.types[field], new.types[field]
                if all(types) and types[0] != types[1]:
                    yield ColumnRetyped(self.at, new.name, new.columns[field], types)
        if isinstance(operation, operations.AddField):
            for field in new.columns.keys() - old.columns.keys():
                yield ColumnAdded(self.at, new.name, new.columns[field])

    def tables(self, models: Collection[ModelKey]) -> dict[TableKey, Table]:
        """Return the tables of these models, of which proxies have none."""
        found: dict[TableKey, Table] = {}
        for key in models:
            model = self.state.models.get(key)
            if model is not None and not model.options.get("proxy"):
                found |= self._tables_of(model)
        return found

    def _tables_of(self, model: ModelState) -> Iterator[tuple[TableKey, Table]]:
        key = (model.app_label, model.name_lower)
        name = model.options.get("db_table") or self._short(f"{model.app_label}_{key[1]}")
        columns, types = {}, {}
        key_fields: set[str] = set()
        for field_name, field in model.fields.items():
            if isinstance(field, ManyToManyField):
                if not field.remote_field.through:
                    yield (*key, field_name), self._link_table(model, name, field_name, field)
            elif isinstance(field, CompositePrimaryKey):
                key_fields |= set(field.field_names)
            else:
                if field.primary_key:
                    key_fields.add(field_name)
                columns[field_name] = field.db_column or _attname(field_name, field)
                types[field_name] = self._type(field)
        yield (*key, ""), Table(log_name(name), columns, types, frozenset(key_fields))

    def _type(self, field: Any) -> str:
        if field.remote_field or field.generated:
            return ""
        try:
            return field.db_type(self.connection) or ""
        except Exception:  # of a class of the project, which may need the model that it is on
            return ""

    def _link_table(self, model: ModelState, owner: str, name: str, field: Any) -> Table:
        table = field.db_table or self._short(f"{strip_quotes(owner)}_{name}")
        source, target = model.name_lower, _name_of(field.remote_field.model)
        if target in (source, RECURSIVE_RELATIONSHIP_CONSTANT):
            source, target = f"from_{source}", f"to_{source}"
        return Table(log_name(table), {"<": f"{source}_id", ">": f"{target}_id"}, {}, frozenset())

    def _short(self, name: str) -> str:
        return truncate_name(name, self.connection.ops.max_name_length())


def _followed(operation: Any, app_label: str, key: ModelKey) -> ModelKey:
    """Return the model's key after the operation."""
    if isinstance(operation, operations.RenameModel) and key == (
        app_label,
        operation.old_name_lower,
    ):
        return app_label, operation.new_name_lower
    return key


def _renamed_field(operation: Any, name: str) -> str:
    """Return the field's name after the operation."""
    if isinstance(operation, operations.RenameField) and name == operation.old_name:
        return str(operation.new_name)
    return name


def _attname(name: str, field: Any) -> str:
    return f"{name}_id" if isinstance(field, ForeignKey) else name


def _name_of(model: Any) -> str:
    label = model if isinstance(model, str) else model._meta.label
    return label.rpartition(".")[2].lower()
