"""Schema changes: captured before and after, and never in the way.

SQLite's triggers are part of the schema: a table that is rebuilt loses them, and one that names a
column that went makes other changes fail. PostgreSQL's stay where they are, but may be outdated
afterwards. So every schema editor carries out its operations inside :class:`SchemaChange`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Field, Model

from ..models import AuditLog
from ..tracking import TrackedTable, tracked_tables
from ..utils.sql import _CHANGES_A_TABLE
from ..utils.table_names import log_name
from ..vendors import Vendor, get_vendor, supports
from ..vendors.types import Capture, Kind, TableShape
from . import coverage

# Operations that may change a table that is there; create_model() and indexes do not.
OPERATIONS = (
    "delete_model",
    "add_field",
    "remove_field",
    "alter_field",
    "alter_db_table",
    "alter_unique_together",
    "alter_index_together",
    "add_constraint",
    "remove_constraint",
)

LOG = log_name(AuditLog._meta.db_table)


class SchemaChange:
    """From before one change of the schema, when the triggers go, until they are back."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        # Triggers that do not work now are not ours to mend: that would hide the gap.
        self.before = self.vendor.installed()
        self.excluded = {name: set(i.excluded) for name, i in self.before.items() if i.fires}
        self.db_tables: dict[str, str] = {}
        self.renamed: list[tuple[str, str]] = []
        self.renamed_columns: list[tuple[str, str, str]] = []
        if self.vendor.triggers_block_schema_changes:
            self._remove(self.before)

    def rename_table(self, old: str, new: str) -> None:
        """The triggers of this table, as ``db_table`` writes it, belong to the new one."""
        if log_name(old) in self.excluded and old != new:
            self.excluded[log_name(new)] = self.excluded.pop(log_name(old))
            self.db_tables[log_name(new)] = new
            self.renamed.append((log_name(old), log_name(new)))

    def rename_column(self, db_table: str, old: str, new: str) -> None:
        """What was left out of the log stays left out, and what was there stays there."""
        if old != new:
            self.renamed_columns.append((log_name(db_table), old, new))
        columns = self.excluded.get(log_name(db_table), set())
        if old in columns:
            columns.add(new)

    def end(self) -> None:
        """Give every table that had triggers those that fit it now."""
        names = [LOG, coverage.TABLE, *self.excluded]
        shapes = self.vendor.shapes(names) if self.excluded else {}
        if LOG not in shapes:
            self._remove(self.before)
            self._execute(self.vendor.remove_support_sql() if self.before else [])
            return
        tracked = {table.name: table for table in tracked_tables(self.vendor.using)}
        captures = [
            self._capture(name, shapes[name], tracked.get(name))
            for name in self.excluded
            if name in shapes and shapes[name].kind in (Kind.TABLE, Kind.PARTITIONED)
        ]
        self._remove(self.before.keys() - shapes.keys())
        using = self.vendor.using
        if coverage.TABLE in shapes:
            coverage.end(using, coverage.replaced(self.before, coverage.rows(using)))
        installed = self._install(captures)
        if coverage.TABLE in shapes:
            self._execute(self.vendor.seal_sql() if installed else [])
            # No write came between: what captured the old name captures the new one.
            coverage.rename(using, self.renamed)
            coverage.rename_columns(using, self.renamed_columns)
            coverage.note_columns(using, shapes)
            coverage.note_triggers(using)

    def _capture(self, name: str, shape: TableShape, tracked: TrackedTable | None) -> Capture:
        columns = {column.name for column in shape.columns}
        excluded, key = self.excluded[name], shape.key_columns
        if tracked:
            excluded = excluded | tracked.excluded
            # Between two migrations the model's key may not be there yet, or not any more.
            key = tracked.key_columns if columns.issuperset(tracked.key_columns) else key
        db_table = tracked.db_table if tracked else name.replace(".", '"."', 1)
        db_table = self.db_tables.get(name, db_table)
        return Capture(name, db_table, shape, key, frozenset((excluded & columns) - set(key)))

    def _install(self, captures: Iterable[Capture]) -> bool:
        """Were there triggers to install?"""
        now = self.vendor.installed()
        outdated = [
            capture
            for capture in captures
            if capture.name not in now
            or now[capture.name].fingerprint != self.vendor.fingerprint(capture)
        ]
        if outdated:
            self._execute(self.vendor.support_sql())
        for capture in outdated:
            self._execute(self.vendor.install_sql(capture))
        return bool(outdated)

    def _remove(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            self._execute(self.vendor.remove_sql(name))

    def _execute(self, statements: Iterable[str]) -> None:
        with self.vendor.connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)


class AuditedSchemaEditor(BaseDatabaseSchemaEditor):
    """Goes in front of a database's own schema editor.

    A change begins with its first statement, so that what changes nothing costs nothing.
    """

    _operation: ExitStack | None = None  # the one under way
    _begin: Callable[[], AbstractContextManager[SchemaChange | None]] | None = None
    _change: SchemaChange | None = None

    def alter_field(
        self,
        model: type[Model],
        old_field: Field[Any, Any],
        new_field: Field[Any, Any],
        strict: bool = False,
    ) -> None:
        fill = partial(self._fill_nulls, model, old_field, new_field)
        with self._changing(first=fill):
            super().alter_field(model, old_field, new_field, strict)
            if self._change and old_field.column and new_field.column:
                table = model._meta.db_table
                self._change.rename_column(table, old_field.column, new_field.column)

    def alter_db_table(
        self, model: type[Model], old_db_table: str, new_db_table: str, *rest: Any, **options: Any
    ) -> None:
        with self._changing():
            super().alter_db_table(model, old_db_table, new_db_table, *rest, **options)
            if self._change:
                self._change.rename_table(old_db_table, new_db_table)

    def _alter_many_to_many(
        self, model: type[Model], old_field: Any, new_field: Any, strict: bool
    ) -> None:
        # RenameModel calls this; SQLite's makes a new table and drops the old one.
        old, new = old_field.remote_field.through, new_field.remote_field.through
        with self._changing():
            super()._alter_many_to_many(model, old_field, new_field, strict)  # type: ignore[misc]
            if self._change:
                self._change.rename_table(old._meta.db_table, new._meta.db_table)
                for side in ("m2m_column_name", "m2m_reverse_name"):
                    names = getattr(old_field, side)(), getattr(new_field, side)()
                    self._change.rename_column(new._meta.db_table, *names)

    def execute(self, sql: Any, params: Any = ()) -> None:
        alone = self._operation is None and _CHANGES_A_TABLE.match(str(sql))
        with self._changing(sql_of_its_own=True) if alone else nullcontext():
            if self._operation is not None and self._begin is not None:
                begin, self._begin = self._begin, None
                self._change = self._operation.enter_context(begin())
            super().execute(sql, params)

    def _fill_nulls(
        self, model: type[Model], old_field: Field[Any, Any], new_field: Field[Any, Any]
    ) -> None:
        """What Django does while it rebuilds SQLite's table, done where the triggers see it."""
        if not (old_field.column and old_field.null) or new_field.null or new_field.generated:
            return
        if new_field.has_db_default():
            default, _ = self.db_default_sql(new_field)
        else:
            default = self.prepare_default(self.effective_default(new_field))
        table, column = map(self.quote_name, (model._meta.db_table, old_field.column))
        sql = f"UPDATE {table} SET {column} = {default} WHERE {column} IS NULL"  # noqa: S608
        self.execute(sql, None)

    @contextmanager
    def _changing(
        self, *, sql_of_its_own: bool = False, first: Callable[[], None] | None = None
    ) -> Iterator[None]:
        """An operation, or a part of the one under way.

        :param first: what has to be done before triggers go, if they do.
        """
        if self._operation is not None or self.collect_sql:
            yield
            return
        try:
            with ExitStack() as self._operation:
                self._begin = partial(self._new_change, sql_of_its_own, first)
                yield
        finally:
            self._operation = self._begin = self._change = None

    @contextmanager
    def _new_change(
        self, sql_of_its_own: bool, first: Callable[[], None] | None
    ) -> Iterator[SchemaChange | None]:
        """From the first statement on, which no other connection sees half done.

        None if there is nothing to look after.
        """
        vendor = get_vendor(self.connection.alias)
        if not vendor.installed():
            yield None
            return
        # PostgreSQL refuses some ALTER TABLE in a transaction, and needs none for the triggers.
        alone = sql_of_its_own and not vendor.triggers_block_schema_changes
        with nullcontext() if alone else transaction.atomic(vendor.using):
            if first and vendor.triggers_block_schema_changes:
                first()
            change = SchemaChange(vendor)
            yield change
            change.end()


def _within_change(name: str) -> Callable[..., Any]:
    def operation(self: AuditedSchemaEditor, *args: Any, **kwargs: Any) -> Any:
        with self._changing():
            return getattr(super(AuditedSchemaEditor, self), name)(*args, **kwargs)

    operation.__name__ = name
    return operation


for _name in OPERATIONS:
    if _name not in vars(AuditedSchemaEditor):
        setattr(AuditedSchemaEditor, _name, _within_change(_name))


def connect() -> None:
    """Put the audited schema editor in front of that of every database; once is enough."""
    for connection in connections.all():
        wrapper = type(connection)
        editor = wrapper.SchemaEditorClass
        if supports(connection.vendor) and not issubclass(editor, AuditedSchemaEditor):
            wrapper.SchemaEditorClass = type(editor.__name__, (AuditedSchemaEditor, editor), {})
