from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("drifting", "0003_second_names")]
    operations = [
        migrations.AlterField("Ticket", "number", models.CharField(max_length=20, null=True)),
        migrations.AlterField("Ticket", "amount", models.IntegerField(null=True)),
        migrations.AlterField("Ticket", "short", models.CharField(max_length=5, null=True)),
        migrations.AlterField("Ticket", "moment", models.DateTimeField(null=True)),
        migrations.AlterField("Ticket", "done", models.BooleanField(null=True)),
        migrations.RemoveField("Person", "id"),
        migrations.AlterField("Person", "code", models.CharField(max_length=9, primary_key=True)),
        migrations.AlterField("Reading", "data", models.JSONField(null=True)),
        migrations.AlterField("Reading", "note", models.TextField(null=True)),
        migrations.AlterField("Reading", "price", models.IntegerField(null=True)),
        migrations.AlterField("Reading", "count", models.IntegerField(null=True)),
        migrations.AlterField("Reading", "flag", models.BooleanField(null=True)),
        migrations.AlterField("Reading", "moment", models.CharField(max_length=40, null=True)),
        migrations.AlterField("Reading", "size", models.CharField(max_length=40, null=True)),
        migrations.AlterField("Reading", "ratio", models.FloatField(null=True)),
        migrations.RenameField("Reading", "portion", "share"),
        migrations.AlterField("Reading", "share", models.BigIntegerField(null=True)),
        migrations.RenameField("Reading", "share", "whole"),
    ]
