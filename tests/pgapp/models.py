"""One model for every field type that only PostgreSQL has."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres import fields
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Upper

import auditrepr


@auditrepr.track
class PostgresEverything(models.Model):
    array = fields.ArrayField(models.DecimalField(max_digits=9, decimal_places=3), null=True)
    nested = fields.ArrayField(fields.ArrayField(models.CharField(max_length=9)), null=True)
    times = fields.ArrayField(models.DateTimeField(), null=True)
    integers = fields.IntegerRangeField(null=True)
    big_integers = fields.BigIntegerRangeField(null=True)
    decimals = fields.DecimalRangeField(null=True)
    dates = fields.DateRangeField(null=True)
    date_times = fields.DateTimeRangeField(null=True)
    search = SearchVectorField(null=True)

    def __str__(self) -> str:
        return f"{self.array} {self.dates}"


class WithExtensions(models.Model):
    """Of types that an extension brings: a test makes its table, where there are such."""

    id = models.BigIntegerField(primary_key=True)
    pairs = fields.HStoreField(null=True)
    word = models.TextField(null=True)

    class Meta:
        managed = False
        db_table = "pgapp_withextensions"

    def __str__(self) -> str:
        return f"{self.pairs} {self.word}"


@auditrepr.track
class WithVirtual(models.Model):
    """A column that PostgreSQL computes whenever it is read: a trigger does not see it."""

    name = models.TextField()
    other = models.IntegerField(default=0)
    loud = models.GeneratedField(
        expression=Upper("name"), output_field=models.TextField(), db_persist=False
    )

    class Meta:
        required_db_features = {"supports_virtual_generated_columns"}

    def __str__(self) -> str:
        return f"{self.loud}"


class JsonAsWritten(models.Field):
    """A column of the type ``json``, as other programs make it; Django makes ``jsonb``."""

    def db_type(self, connection: Any) -> str:
        return "json"


@auditrepr.track
class Lossy(models.Model):
    """Of types whose values PostgreSQL's ``jsonb`` does not hold as they are."""

    document = JsonAsWritten(null=True)
    floats = fields.ArrayField(fields.ArrayField(models.FloatField()), null=True)

    def __str__(self) -> str:
        return f"{self.document} {self.floats}"
