"""More audited tables: as many as ``BENCHMARK_TABLES`` leaves for them."""

from __future__ import annotations

import os

from django.db import models

import auditrepr

SHOP = 3  # of its tables are audited, too


class Filler(models.Model):
    name = models.CharField(max_length=100)
    code = models.CharField(max_length=20)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    active = models.BooleanField()
    created_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


for number in range(int(os.environ.get("BENCHMARK_TABLES", SHOP)) - SHOP):
    auditrepr.track(type(f"Filler{number}", (Filler,), {"__module__": __name__}))
