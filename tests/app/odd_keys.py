"""Models whose keys a database may write in another way than Python."""

from __future__ import annotations

from django.db import models

import auditrepr


@auditrepr.track
class ByAmount(models.Model):
    amount = models.DecimalField(max_digits=9, decimal_places=3, primary_key=True)
    note = models.CharField(max_length=50, default="")


@auditrepr.track
class ByFlag(models.Model):
    flag = models.BooleanField(primary_key=True)


@auditrepr.track
class ByBytes(models.Model):
    mark = models.BinaryField(primary_key=True)


@auditrepr.track
class ByFloat(models.Model):
    level = models.FloatField(primary_key=True)


@auditrepr.track
class ByMany(models.Model):
    pk = models.CompositePrimaryKey("amount", "flag", "level")
    amount = models.DecimalField(max_digits=9, decimal_places=3)
    flag = models.BooleanField()
    level = models.FloatField()


@auditrepr.track
class AmountNote(models.Model):
    amount = models.ForeignKey(ByAmount, models.DO_NOTHING, db_constraint=False)

    def __str__(self) -> str:
        return f"note of {self.amount.note}"
