from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("auditrepr", "0013_erasures")]

    operations = [
        migrations.AddField(
            model_name="checkpoint",
            name="other_log",
            field=models.JSONField(
                help_text="If the log is attached to another one: events by which it is known again, and the event ID up to which representations of events that are gone were deleted.",
                null=True,
            ),
        ),
    ]
