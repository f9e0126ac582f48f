from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("auditrepr", "0007_shares")]

    operations = [
        migrations.AddField(
            model_name="checkpoint",
            name="partitions",
            field=models.JSONField(
                help_text="For each partitioned table: where its coverage started, and the partitions that runs have seen since.",
                null=True,
            ),
        ),
    ]
