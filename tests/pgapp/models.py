"""One model for every field type that only PostgreSQL has."""

from __future__ import annotations

from django.contrib.postgres import fields
from django.contrib.postgres.search import SearchVectorField
from django.db import models

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
