"""A table of another program, which does not keep its key unique; tests make it for themselves."""

from __future__ import annotations

from django.db import models

import auditrepr


@auditrepr.track
class Ware(models.Model):
    number = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50)

    class Meta:
        managed = False

    def __str__(self) -> str:
        return self.name


@auditrepr.track
class Sticker(models.Model):
    """What refers to such a table, which no constraint can."""

    ware = models.ForeignKey(
        Ware, models.DO_NOTHING, null=True, db_constraint=False, related_name="stickers"
    )
    price = models.IntegerField(default=0)

    def __str__(self) -> str:
        try:
            return f"{self.ware}: {self.price}"
        except (Ware.DoesNotExist, Ware.MultipleObjectsReturned) as error:
            return f"{type(error).__name__}: {self.price}"
