import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("auditrepr", "0010_beginning")]

    operations = [
        migrations.CreateModel(
            name="Import",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sources", models.JSONField(help_text="The names of the sources.")),
                (
                    "parts",
                    models.JSONField(
                        help_text="The SELECTs of the sources: source and name of each."
                    ),
                ),
                (
                    "until",
                    models.DateTimeField(
                        help_text="Only events from before this time are imported."
                    ),
                ),
                (
                    "first_id",
                    models.BigIntegerField(help_text="ID of the earliest event, imported last."),
                ),
                (
                    "last_id",
                    models.BigIntegerField(help_text="ID of the latest event, imported first."),
                ),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={"verbose_name": "import", "verbose_name_plural": "imports"},
        ),
        migrations.CreateModel(
            name="PlannedEvent",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "part",
                    models.PositiveSmallIntegerField(
                        help_text="Number of the SELECT among the parts of the import."
                    ),
                ),
                (
                    "position",
                    models.BigIntegerField(help_text="The event's position in the SELECT."),
                ),
                (
                    "previous_position",
                    models.BigIntegerField(
                        help_text="Position of the same object's event before, if the source has"
                        " no old values.",
                        null=True,
                    ),
                ),
            ],
            options={"verbose_name": "planned event", "verbose_name_plural": "planned events"},
        ),
    ]
