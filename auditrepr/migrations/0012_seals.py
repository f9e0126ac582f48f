from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("auditrepr", "0011_imports"),
    ]

    operations = [
        migrations.CreateModel(
            name="SealEntry",
            fields=[
                (
                    "number",
                    models.BigIntegerField(
                        help_text="Place in the chain: 1, 2, 3, without a gap.",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "format",
                    models.PositiveSmallIntegerField(
                        default=1, help_text="Version of the form that the digests are made of."
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("sealed", "sealed"),
                            ("imported", "imported"),
                            ("pruned", "pruned"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "after_id",
                    models.BigIntegerField(help_text="Event ID after which the range begins."),
                ),
                ("upto_id", models.BigIntegerField(help_text="Last event ID of the range.")),
                (
                    "amends",
                    models.BigIntegerField(
                        help_text="If events were pruned: number of the entry that had sealed them.",
                        null=True,
                    ),
                ),
                (
                    "import_id",
                    models.BigIntegerField(
                        help_text="The import that brought the events. In the first entry: the latest import before it, or 0.",
                        null=True,
                    ),
                ),
                (
                    "events",
                    models.BigIntegerField(
                        help_text="Number of events that were sealed, or pruned."
                    ),
                ),
                (
                    "content",
                    models.BinaryField(
                        help_text="SHA-256 of the digests of the rows, or of what was pruned. Null: all that was left of the range was pruned.",
                        null=True,
                    ),
                ),
                (
                    "sealed_at",
                    models.CharField(
                        help_text="When the entry was made, by the clock of the process; UTC.",
                        max_length=27,
                    ),
                ),
                (
                    "digest",
                    models.BinaryField(
                        help_text="SHA-256 of all of the above, and of the digest of the entry before."
                    ),
                ),
                (
                    "marks",
                    models.BinaryField(
                        help_text="IDs and the first bytes of the rows' digests: names an event that differs.",
                        null=True,
                    ),
                ),
                (
                    "touched",
                    models.BinaryField(
                        help_text="IDs and former digests of the rows that were pruned.", null=True
                    ),
                ),
            ],
            options={
                "verbose_name": "seal",
                "verbose_name_plural": "seals",
                "indexes": [
                    models.Index(fields=["upto_id"], name="auditrepr_seal_upto"),
                    models.Index(
                        condition=models.Q(("amends__isnull", False)),
                        fields=["amends"],
                        name="auditrepr_seal_amends",
                    ),
                ],
            },
        ),
    ]
