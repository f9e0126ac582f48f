from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("drifting", "0001_initial")]
    operations = [
        migrations.RenameField("Item", "title", "label"),
        migrations.RenameModel("Shop", "Store"),
        migrations.RenameField("Item", "shop", "store"),
        migrations.AlterField("Item", "weight", models.IntegerField(default=0, db_column="grams")),
    ]
