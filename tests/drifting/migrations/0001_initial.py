from django.db import migrations, models

from tests.drifting.migrations import KEY


def char(length=20, **options):
    return models.CharField(max_length=length, **options)


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Shop", [KEY, ("name", char(50))]),
        migrations.CreateModel("Label", [KEY, ("text", char())]),
        migrations.CreateModel(
            "Item",
            [
                KEY,
                ("title", char(50)),
                ("shop", models.ForeignKey("drifting.Shop", models.CASCADE, related_name="items")),
                ("code", char(default="old code")),
                ("serial", char()),
                ("left", char()),
                ("right", char()),
                ("weight", models.IntegerField(default=0)),
                ("labels", models.ManyToManyField("drifting.Label")),
            ],
            options={"ordering": ["pk"]},
        ),
        migrations.CreateModel(
            "Ticket",
            [
                KEY,
                ("number", models.IntegerField(null=True)),
                ("amount", models.TextField(null=True)),
                ("short", char(200, null=True)),
                ("moment", models.DateField(null=True)),
                ("done", models.TextField(null=True)),
            ],
        ),
        migrations.CreateModel(
            "Reading",
            [
                KEY,
                ("data", models.TextField(null=True)),
                ("note", models.JSONField(null=True)),
                ("price", models.DecimalField(max_digits=9, decimal_places=3, null=True)),
                ("count", models.BooleanField(null=True)),
                ("flag", models.IntegerField(null=True)),
                ("moment", models.DateTimeField(null=True)),
                ("size", models.FloatField(null=True)),
                ("ratio", models.IntegerField(null=True)),
                ("portion", models.FloatField(null=True)),
            ],
        ),
        migrations.CreateModel(
            "Person",
            [KEY, ("code", char(9, unique=True)), ("name", char())],
        ),
        migrations.CreateModel(
            "Visit",
            [
                KEY,
                (
                    "person",
                    models.ForeignKey(
                        "drifting.Person",
                        models.CASCADE,
                        to_field="code",
                        related_name="visits",
                        db_constraint=False,
                    ),
                ),
                ("number", models.IntegerField()),
            ],
        ),
        migrations.CreateModel("Late", [KEY, ("name", char())]),
    ]
