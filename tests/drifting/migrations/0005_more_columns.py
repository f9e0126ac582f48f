from django.db import migrations, models
from django.db.models.functions import Now
from django.utils import timezone


class Migration(migrations.Migration):
    dependencies = [("drifting", "0004_other_types")]
    operations = [
        migrations.AddField("Late", "constant", models.CharField(max_length=20, default="given")),
        migrations.AddField("Late", "database", models.IntegerField(db_default=7)),
        migrations.AddField("Late", "computed", models.DateTimeField(db_default=Now())),
        migrations.AddField(
            "Late",
            "called",
            models.DateTimeField(auto_now_add=True, default=timezone.now),
            preserve_default=False,
        ),
        migrations.AddField("Late", "plain", models.JSONField(default=dict)),
        migrations.AddField("Late", "nothing", models.CharField(max_length=20, null=True)),
        migrations.AddField("Late", "blank", models.CharField(max_length=20, blank=True)),
        migrations.AddField(
            "Late", "store", models.ForeignKey("drifting.Store", models.CASCADE, null=True)
        ),
    ]
