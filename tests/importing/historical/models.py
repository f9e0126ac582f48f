"""Models that django-simple-history tracks in different ways."""

from __future__ import annotations

import uuid

from django.db import models
from simple_history import register
from simple_history.models import HistoricalRecords


class Writer(models.Model):
    name = models.CharField(max_length=50)
    born = models.DateField(null=True)
    history = HistoricalRecords()

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    word = models.CharField(max_length=50, primary_key=True)

    def __str__(self) -> str:
        return f"#{self.word}"


register(Tag)


class Novel(models.Model):
    """One column of each kind, one of another name, and tags, whose history is apart."""

    title = models.CharField(max_length=50, db_column="named")
    writer = models.ForeignKey(Writer, models.CASCADE, db_column="by_writer")
    price = models.DecimalField(max_digits=9, decimal_places=2, default=0)
    weight = models.FloatField(null=True)
    is_out = models.BooleanField(default=False)
    about = models.JSONField(default=dict)
    seal = models.BinaryField(default=b"\x00\xff")
    code = models.UUIDField(default=uuid.uuid4)
    takes = models.DurationField(null=True)
    opens = models.TimeField(null=True)
    cover = models.FileField(default="")
    seen_at = models.DateTimeField(auto_now=True)
    tags = models.ManyToManyField(Tag)
    history = HistoricalRecords(m2m_fields=[tags])

    def __str__(self) -> str:
        return f"{self.title} for {self.price}"


class Visit(models.Model):
    """Its note has no history; keys of the history do not order it, and a base adds to it.

    What the base adds has names that something else has, too.
    """

    kind = models.CharField(max_length=50)
    note = models.CharField(max_length=50, default="")

    class Told(models.Model):
        address = models.CharField(max_length=50, default="here")
        device = models.UUIDField(default=uuid.UUID(int=5))
        note = models.CharField(max_length=50, null=True)
        reason = models.CharField(max_length=50, null=True)
        user = models.CharField(max_length=50, null=True)

        class Meta:
            abstract = True

    history = HistoricalRecords(
        excluded_fields=["note"],
        history_id_field=models.UUIDField(default=uuid.uuid4),
        custom_model_name=lambda name: f"{name}Past",
        table_name="visits of old",
        bases=[Told],
    )

    def __str__(self) -> str:
        return self.kind if self.kind.startswith("short") else f"{self.kind}: {self.note}"


class Place(models.Model):
    """Its history is inherited: a restaurant has its own, and a proxy, too."""

    name = models.CharField(max_length=50)
    history = HistoricalRecords(inherit=True)

    def __str__(self) -> str:
        return self.name


class Restaurant(Place):
    stars = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.name} {'*' * self.stars}"


class Favorite(Place):
    class Meta:
        proxy = True


class Building(models.Model):
    """It has no history but that of its towers."""

    street = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.street


class Tower(Building):
    height = models.IntegerField()
    history = HistoricalRecords()

    def __str__(self) -> str:
        return f"{self.street}, {self.height} m"
