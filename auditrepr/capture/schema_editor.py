"""Lets every schema editor carry out its operations inside :class:`.SchemaChange`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Field, Model

from ..models import AuditLog
from ..utils.sql import CHANGES_A_TABLE
from ..vendors import get_vendor, supports
from . import attachment
from .schema_change import LOG, SchemaChange

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


class AuditedSchemaEditor(BaseDatabaseSchemaEditor):
    """A mixin that comes before a database's own schema editor.

    A change starts with its first statement, so that an operation without statements costs nothing.
    """

    _operation: ExitStack | None = None  # the current one
    _begin: Callable[[], AbstractContextManager[SchemaChange | None]] | None = None
    _change: SchemaChange | None = None
    _aside = False  # the log is attached, and its own table stands in the place of the view

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if self._aside and kind is None:
            while self.deferred_sql:
                self.execute(self.deferred_sql.pop(0))
            self._end_aside()
        super().__exit__(kind, error, traceback)

    def _set_view_aside(self) -> None:
        """Let a statement about the log change its own table, if a view has its name."""
        vendor = get_vendor(self.connection.alias)
        found = attachment.attached(vendor.using)
        if found is not None and found.in_place:
            with transaction.atomic(vendor.using):
                vendor.set_view_aside()
            self._aside = True

    def _end_aside(self) -> None:
        self._aside = False
        using = self.connection.alias
        with transaction.atomic(using):
            if get_vendor(using).shapes([LOG]):
                attachment.put_back(using)

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
        if not self._aside and not self.collect_sql and AuditLog._meta.db_table in str(sql):
            self._set_view_aside()
        alone = self._operation is None and CHANGES_A_TABLE.match(str(sql))
        with self._changing(sql_of_its_own=True) if alone else nullcontext():
            if self._operation is not None and self._begin is not None:
                begin, self._begin = self._begin, None
                self._change = self._operation.enter_context(begin())
            super().execute(sql, params)

    def _fill_nulls(
        self, model: type[Model], old_field: Field[Any, Any], new_field: Field[Any, Any]
    ) -> None:
        """Do in an UPDATE that triggers see what Django does while it rebuilds SQLite's table."""
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
        """Wrap an operation, or a part of the current one.

        :param first: what must be done before triggers are removed, if they are.
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
        """Yield a change that starts with the first statement; None if none is needed.

        It is in a transaction, so that no other connection sees it half done.
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
    """Put the audited schema editor before that of every database; later calls do nothing."""
    for connection in connections.all():
        wrapper = type(connection)
        editor = wrapper.SchemaEditorClass
        if supports(connection) and not issubclass(editor, AuditedSchemaEditor):
            wrapper.SchemaEditorClass = type(editor.__name__, (AuditedSchemaEditor, editor), {})
