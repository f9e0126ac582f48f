"""Models whose code changes the objects that it is given."""

from __future__ import annotations

from django.db import models

import auditrepr


@auditrepr.track
class Tray(models.Model):
    name = models.CharField(max_length=20)


@auditrepr.track
class Piece(models.Model):
    tray = models.ForeignKey(Tray, models.CASCADE, related_name="pieces")
    data = models.JSONField()


@auditrepr.track(exclude=["tray"])
class Scrap(models.Model):
    tray = models.ForeignKey(Tray, models.CASCADE)
    name = models.CharField(max_length=20)

    def __str__(self):
        return f"{self.name} of {self.tray}" if self.name == "asks" else self.name
