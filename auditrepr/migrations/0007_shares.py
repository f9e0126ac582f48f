from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("auditrepr", "0006_values")]

    operations = [
        migrations.CreateModel(
            name="Share",
            fields=[
                ("token", models.UUIDField(null=True)),
                ("holder", models.JSONField(help_text="Host, process ID and start time of the holder.", null=True)),
                ("acquired_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
                ("after_id", models.BigIntegerField(help_text="Event ID after which the share begins.", primary_key=True, serialize=False)),
                ("upto_id", models.BigIntegerField(help_text="Last event ID of the share.")),
                ("provable_id", models.BigIntegerField(help_text="Event ID to which the watermark may follow once all shares are done.")),
                ("command", models.TextField(help_text="The command whose work it is.")),
                ("planned", models.PositiveIntegerField(help_text="Shares that the round had when it was planned.")),
                ("planned_ids", models.BigIntegerField(help_text="Event IDs in the shares of the round when it was planned.")),
                ("planned_at", models.DateTimeField(db_default=Now())),
                ("takeovers", models.PositiveSmallIntegerField(db_default=0, default=0, help_text="Workers that have lost the share since a batch of it was last stored.")),
            ],
            options={"verbose_name": "share", "verbose_name_plural": "shares"},
        ),
        migrations.AddField(
            model_name="checkpoint",
            name="voided_at",
            field=models.DateTimeField(help_text="When a round was last canceled.", null=True),
        ),
    ]
