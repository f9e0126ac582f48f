from typing import Any

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def nothing_yet(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Say with null, and not with 0, that nothing is settled, swept or pruned yet."""
    using = schema_editor.connection.alias
    for model, fields in POSITIONS.items():
        rows: Any = apps.get_model("auditrepr", model).objects.using(using)
        for field in fields:
            rows.filter(**{field: 0}).update(**{field: None})
    _replace_until(apps, using, 0, None)


def from_zero(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    using = schema_editor.connection.alias
    for model, fields in POSITIONS.items():
        rows: Any = apps.get_model("auditrepr", model).objects.using(using)
        for field in fields:
            rows.filter(**{f"{field}__isnull": True}).update(**{field: 0})
    _replace_until(apps, using, None, 0)


POSITIONS = {"checkpoint": ("settled_id", "swept_id"), "coverage": ("pruned_id",)}


def _replace_until(apps: Apps, using: str, old: int | None, new: int | None) -> None:
    marks: Any = apps.get_model("auditrepr", "checkpoint").objects.using(using)
    for mark in marks.exclude(related__isnull=True):
        for entry in mark.related.values():
            if entry.get("until") == old:
                entry["until"] = new
        mark.save(update_fields=["related"])


class Migration(migrations.Migration):
    dependencies = [("auditrepr", "0009_run_progress")]

    operations = [
        migrations.AlterField(
            model_name="checkpoint",
            name="settled_id",
            field=models.BigIntegerField(
                help_text="The watermark: no event up to this ID is pending, and none can still be committed.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="checkpoint",
            name="swept_id",
            field=models.BigIntegerField(
                help_text="Event ID that the sweep below the watermark has reached.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="coverage",
            name="pruned_id",
            field=models.BigIntegerField(
                help_text="Events up to this ID may have been pruned.", null=True
            ),
        ),
        migrations.RunPython(nothing_yet, from_zero),
    ]
