from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Author",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.TextField()),
                ("motto", models.TextField(null=True)),
            ],
        ),
        migrations.CreateModel(
            "Tag",
            [("id", models.BigAutoField(primary_key=True)), ("label", models.TextField())],
        ),
        migrations.CreateModel(
            "Book",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("title", models.TextField()),
                ("author", models.ForeignKey("library.author", models.CASCADE)),
                ("price", models.DecimalField(max_digits=8, decimal_places=2, null=True)),
                ("tags", models.ManyToManyField("library.tag")),
            ],
        ),
    ]
