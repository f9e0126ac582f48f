"""Models that django-auditlog logs in different ways."""

from __future__ import annotations

import uuid

from auditlog.registry import auditlog
from django.db import models


class Writer(models.Model):
    """Its rows are not serialized."""

    name = models.CharField(max_length=50)
    secret = models.CharField(max_length=50, default="")

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    word = models.CharField(max_length=50, primary_key=True)

    def __str__(self) -> str:
        return f"#{self.word}"


class Shouted(models.CharField):
    """Stores something else than what is serialized."""

    def get_prep_value(self, value: object) -> str:
        return str(value).upper()


class Novel(models.Model):
    """One column of each kind that can be read."""

    title = models.CharField(max_length=50, db_column="named")
    writer = models.ForeignKey(Writer, models.CASCADE, db_column="by_writer", null=True)
    price = models.DecimalField(max_digits=9, decimal_places=2, default=0)
    weight = models.FloatField(null=True)
    is_out = models.BooleanField(default=False)
    about = models.JSONField(null=True)
    code = models.UUIDField(default=uuid.uuid4)
    opens = models.TimeField(null=True)
    born = models.DateField(null=True)
    out_at = models.DateTimeField(null=True)
    tags = models.ManyToManyField(Tag)

    def __str__(self) -> str:
        return f"{self.title} for {self.price}"


class Parcel(models.Model):
    """What is serialized does not tell all that is stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    label = Shouted(max_length=50)
    pin = models.CharField(max_length=50)
    seal = models.BinaryField(default=b"seal")
    takes = models.DurationField(null=True)
    seen_at = models.DateTimeField(auto_now=True)
    weight = models.IntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.label.upper()}, {self.weight} kg"


class Day(models.Model):
    date = models.DateField(primary_key=True)


class Lap(models.Model):
    """Python writes its key otherwise than the database."""

    takes = models.DurationField(primary_key=True)


for without_rows in (Writer, Day, Lap):
    auditlog.register(without_rows)
auditlog.register(Tag, serialize_data=True)
auditlog.register(Novel, serialize_data=True, m2m_fields={"tags"})
auditlog.register(Parcel, serialize_data=True, mask_fields=["pin"])
