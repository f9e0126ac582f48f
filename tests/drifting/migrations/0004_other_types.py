from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("drifting", "0003_second_names")]
    operations = [
        migrations.AlterField("Ticket", "number", models.CharField(max_length=20, null=True)),
        migrations.AlterField("Ticket", "amount", models.IntegerField(null=True)),
        migrations.AlterField("Ticket", "short", models.CharField(max_length=5, null=True)),
        migrations.AlterField("Ticket", "moment", models.DateTimeField(null=True)),
        migrations.AlterField("Ticket", "done", models.BooleanField(null=True)),
    ]
