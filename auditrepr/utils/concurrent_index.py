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
            schema_editor.remove_index(model, self.index, **_how(schema_editor))
        schema_editor.add_index(model, self.index, **_how(schema_editor))

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
            schema_editor.remove_index(model, self.index, **_how(schema_editor))

    def _exists(self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> bool:
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
        return self.index.name in found


def _how(schema_editor: BaseDatabaseSchemaEditor) -> dict[str, Any]:
    """Return the arguments for PostgreSQL outside of transactions, where it waits for no lock."""
    can = hasattr(schema_editor, "sql_create_index_concurrently")
    return {"concurrently": True} if can and not schema_editor.connection.in_atomic_block else {}
