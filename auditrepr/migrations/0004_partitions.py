from django.db import migrations, models


class Migration(migrations.Migration):
    """Nothing changes in the database."""

    dependencies = [("auditrepr", "0003_final_failures")]

    operations = [
        migrations.AlterField(
            model_name="coverage",
            name="triggers",
            field=models.TextField(
                default="",
                help_text="Identity of the installed triggers, then of the table's partitions."
                " Shows whether triggers were dropped and re-created, or rows came or went with a"
                " partition.",
            ),
        ),
        migrations.AlterField(
            model_name="coverage",
            name="reason",
            field=models.CharField(
                choices=[
                    ("installed", "installed"),
                    ("missing", "triggers were missing"),
                    ("disabled", "triggers were disabled"),
                    ("columns", "some columns were not captured before"),
                    ("partitions", "rows came or went with a partition"),
                    ("replaced", "triggers were replaced outside auditrepr"),
                ],
                max_length=10,
            ),
        ),
    ]
