from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("auditrepr", "0008_partitions_seen")]

    operations = [
        migrations.AddField(
            model_name="backfillrun",
            name="holder",
            field=models.JSONField(
                help_text="Host, process ID and start time of the process.", null=True
            ),
        ),
        migrations.AddField(
            model_name="backfillrun",
            name="seen_at",
            field=models.DateTimeField(
                help_text="When the run last showed that it works, by the database's clock.",
                null=True,
                verbose_name="last sign of life",
            ),
        ),
    ]
