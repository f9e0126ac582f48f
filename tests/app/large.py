"""Models with large rows, and with small rows that refer to large ones."""

from __future__ import annotations

from django.db import models

import auditrepr


@auditrepr.track
class Volume(models.Model):
    name = models.CharField(max_length=100)
    text = models.TextField(default="")

    def __str__(self) -> str:
        return self.name


@auditrepr.track
class Leaflet(models.Model):
    volume = models.ForeignKey(Volume, models.CASCADE)

    def __str__(self) -> str:
        return f"of {self.volume.name}"
