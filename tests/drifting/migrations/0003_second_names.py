from django.db import migrations, models

from tests.drifting.migrations import KEY


class Migration(migrations.Migration):
    dependencies = [("drifting", "0002_first_names")]
    operations = [
        migrations.RenameField("Item", "label", "caption"),
        migrations.RemoveField("Item", "code"),
        migrations.RenameField("Item", "serial", "code"),
        migrations.RenameField("Item", "left", "middle"),
        migrations.RenameField("Item", "right", "left"),
        migrations.RenameField("Item", "middle", "right"),
        migrations.AlterModelTable("Store", "outlets"),
        migrations.CreateModel(
            "Shop",
            [
                KEY,
                ("street", models.CharField(max_length=50)),
            ],
        ),
    ]
