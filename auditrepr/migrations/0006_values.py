from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("auditrepr", "0005_related_objects")]

    operations = [
        migrations.AddField(
            model_name="checkpoint",
            name="values_since",
            field=models.BigIntegerField(help_text="The search index has the values of updates after this event ID.", null=True),
        ),
        migrations.AddField(
            model_name="checkpoint",
            name="values_upto",
            field=models.BigIntegerField(help_text="The search index has the values of updates up to this event ID.", null=True),
        ),
        migrations.CreateModel(
            name="ChangedValues",
            fields=[
                ("audit_log", models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name="changed_values", serialize=False, to="auditrepr.auditlog")),
                ("text", models.TextField()),
            ],
            options={"verbose_name": "changed values", "verbose_name_plural": "changed values"},
        ),
    ]
