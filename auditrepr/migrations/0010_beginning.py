from typing import Any

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

#: Below every event ID. A number, so that processes of earlier versions can compare with it.
BEGINNING = -(2**63)
POSITIONS = {"checkpoint": ("settled_id", "swept_id"), "coverage": ("pruned_id",)}


def to_beginning(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Say with the beginning of the log, and not with 0, that nothing is settled or pruned yet."""
    _replace(apps, schema_editor, 0, BEGINNING)


def to_zero(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _replace(apps, schema_editor, BEGINNING, 0)


def _replace(apps: Apps, schema_editor: BaseDatabaseSchemaEditor, old: int, new: int) -> None:
    for model, fields in POSITIONS.items():
        rows: Any = apps.get_model("auditrepr", model).objects
        for field in fields:
            found = rows.using(schema_editor.connection.alias).filter(**{field: old})
            found.update(**{field: new})


class Migration(migrations.Migration):
    dependencies = [("auditrepr", "0009_run_progress")]

    operations = [
        migrations.AlterField(
            model_name="checkpoint",
            name="settled_id",
            field=models.BigIntegerField(
                default=BEGINNING,
                help_text="The watermark: no event up to this ID is pending, and none can still be committed.",
            ),
        ),
        migrations.AlterField(
            model_name="checkpoint",
            name="swept_id",
            field=models.BigIntegerField(
                default=BEGINNING,
                help_text="Event ID that the sweep below the watermark has reached.",
            ),
        ),
        migrations.AlterField(
            model_name="coverage",
            name="pruned_id",
            field=models.BigIntegerField(
                default=BEGINNING, help_text="Events up to this ID may have been pruned."
            ),
        ),
        migrations.RunPython(to_beginning, to_zero),
    ]
