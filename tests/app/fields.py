"""A model with every field type of Django's core, and with third-party fields."""

from __future__ import annotations

import base64

from django.db import models
from django.db.models.functions import Upper

import auditrepr


class ScrambledField(models.TextField):
    """Clear in Python, scrambled in the database: stands for any encrypted field."""

    def from_db_value(self, value, expression, connection):
        return None if value is None else base64.b64decode(value).decode()

    def get_prep_value(self, value):
        return None if value is None else base64.b64encode(value.encode()).decode()


class PairField(models.Field):
    """A tuple in Python, a type that Django has no word for in the database."""

    def db_type(self, connection):
        return "varchar(50)"

    def from_db_value(self, value, expression, connection):
        return None if value is None else tuple(map(int, value.split("|")))

    def get_prep_value(self, value):
        return None if value is None else "|".join(map(str, value))


@auditrepr.track
class Everything(models.Model):
    big_integer = models.BigIntegerField(null=True)
    binary = models.BinaryField(null=True)
    boolean = models.BooleanField(null=True)
    char = models.CharField(max_length=200, null=True)
    date = models.DateField(null=True)
    date_time = models.DateTimeField(null=True)
    decimal = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    duration = models.DurationField(null=True)
    email = models.EmailField(null=True)
    file = models.FileField(null=True)
    file_path = models.FilePathField(null=True, path="/")
    float = models.FloatField(null=True)
    generic_ip = models.GenericIPAddressField(null=True)
    image_like = models.FileField(null=True, upload_to="images")
    integer = models.IntegerField(null=True)
    json = models.JSONField(null=True)
    positive_big = models.PositiveBigIntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    positive_small = models.PositiveSmallIntegerField(null=True)
    slug = models.SlugField(null=True)
    small = models.SmallIntegerField(null=True)
    text = models.TextField(null=True)
    time = models.TimeField(null=True)
    url = models.URLField(null=True)
    uuid = models.UUIDField(null=True)
    scrambled = ScrambledField(null=True)
    pair = PairField(null=True)
    renamed = models.CharField(max_length=50, null=True, db_column="odd Column é")
    upper = models.GeneratedField(
        expression=Upper("char"), output_field=models.TextField(), db_persist=True
    )

    def __str__(self) -> str:
        return f"{self.scrambled} {self.pair}"


@auditrepr.track
class ByUUID(models.Model):
    id = models.UUIDField(primary_key=True)
    friend = models.ForeignKey("self", models.SET_NULL, null=True)

    def __str__(self) -> str:
        return f"{self.id} of {self.friend_id and self.friend.id}"


@auditrepr.track
class ByName(models.Model):
    """A natural key, which an update may change."""

    name = models.CharField(max_length=50, primary_key=True)
    note = models.CharField(max_length=50, default="")

    def __str__(self) -> str:
        return f"{self.name}: {self.note}"


@auditrepr.track
class ByPair(models.Model):
    pk = models.CompositePrimaryKey("left", "right")
    left = models.IntegerField()
    right = models.CharField(max_length=20)
    note = models.CharField(max_length=50, default="")

    def __str__(self) -> str:
        return f"{self.left}/{self.right}: {self.note}"


class Shy(models.Manager["Own"]):
    def get_queryset(self):
        return super().get_queryset().filter(shown=True)


@auditrepr.track
class Own(models.Model):
    """Its own ``__init__`` and ``from_db``, and a default manager that hides rows."""

    name = models.CharField(max_length=50)
    shown = models.BooleanField(default=False)

    objects = Shy()

    class Meta:
        base_manager_name = "objects"

    def __str__(self) -> str:
        return f"{self.greeting} {self.loaded_name}"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.greeting = f"hello {self.name}"

    @classmethod
    def from_db(cls, db, field_names, values, **options):
        instance = super().from_db(db, field_names, values, **options)
        instance.loaded_name = instance.name
        return instance


class OwnProxy(Own):
    class Meta:
        proxy = True

    def __str__(self) -> str:
        return f"proxy of {self.name}"


@auditrepr.track
class PointsAtProxy(models.Model):
    to = models.ForeignKey(OwnProxy, models.CASCADE)

    def __str__(self) -> str:
        return str(self.to)
