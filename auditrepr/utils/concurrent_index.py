"""A migration operation that adds an index without keeping others from writing, if it can."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex
from django.db.migrations.state import ProjectState
from django.db.models import Model


class AddIndexConcurrently(AddIndex):
    """Adds an index to a table that may be large; the migration must have ``atomic = False``.

    Not Django's own operation of this name, because that one is for PostgreSQL only. What an
    interrupted migration has left of the index is replaced.
    """

    atomic = False

    def describe(self) -> str:
        """Return what ``migrate --plan`` shows."""
        return f"{super().describe()}, concurrently if the database can"

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Add the index."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if self._exists(schema_editor, model):
            self._remove(schema_editor, model)
        how = _how(schema_editor)
        if how and (partitions := _partitions(schema_editor, model)):
            self._add_to_each(schema_editor, model, partitions)
            how = {}  # it finds those of the partitions, and builds nothing
        schema_editor.add_index(model, self.index, **how)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the index."""
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            self._remove(schema_editor, model)

    def _add_to_each(
        self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model], partitions: list[str]
    ) -> None:
        """Add the index to each partition: a partitioned table cannot get one concurrently."""
        quote = schema_editor.quote_name
        for number, partition in enumerate(partitions):
            name = quote(f"{self.index.name}_{number}")
            sql = self.index.create_sql(model, schema_editor, concurrently=True)
            parts: dict[str, Any] = {"table": partition, "name": name}
            sql.parts |= parts
            schema = partition.rpartition(".")[0]
            there = f"{schema}.{name}" if schema else name
            # What an interrupted migration has left may be invalid.
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {there}", params=None)
            schema_editor.execute(sql, params=None)

    def _remove(self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> None:
        how = _how(schema_editor)
        if how and _partitions(schema_editor, model):
            how = {}
        schema_editor.remove_index(model, self.index, **how)

    def _exists(self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> bool:
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
        return self.index.name in found


def _how(schema_editor: BaseDatabaseSchemaEditor) -> dict[str, Any]:
    """Return the arguments for PostgreSQL outside of transactions, where it waits for no lock."""
    can = hasattr(schema_editor, "sql_create_index_concurrently")
    return {"concurrently": True} if can and not schema_editor.connection.in_atomic_block else {}


def _partitions(schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> list[str]:
    """Return the partitions of the model's table, quoted; the database knows indexes of each."""
    asked = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(%s)"
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(asked, [schema_editor.quote_name(model._meta.db_table)])
        return [name for (name,) in cursor.fetchall()]
