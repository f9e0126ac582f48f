"""Models that django-pghistory tracks in different ways."""

from __future__ import annotations

import pghistory
import pgtrigger
from django.db import models


def every() -> tuple[pghistory.Tracker, ...]:
    """Trackers of all changes; each belongs to one model."""
    return pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent()


@pghistory.track(*every())
class Writer(models.Model):
    name = models.CharField(max_length=50)
    born = models.DateField(null=True)

    def __str__(self) -> str:
        return self.name


# By default, deletions are not tracked; labels are free.
# Two trackers record each update twice.
@pghistory.track(
    pghistory.InsertEvent("made"),
    pghistory.UpdateEvent("edited 100%"),
    pghistory.UpdateEvent("again"),
)
class Novel(models.Model):
    title = models.CharField(max_length=50)
    writer = models.ForeignKey(Writer, models.CASCADE)
    price = models.DecimalField(max_digits=9, decimal_places=2, default=0)

    def __str__(self) -> str:
        return f"{self.title} by {self.writer}"


# Beside the whole one, one with few fields, and one whose events are no history.
@pghistory.track(*every(), model_name="ShopWhole")
@pghistory.track(pghistory.UpdateEvent("renamed"), fields=["name"], model_name="ShopName")
@pghistory.track(
    pghistory.UpdateEvent("opened", condition=pgtrigger.Q(new__is_open=True)),
    pghistory.ManualEvent("seen"),
    model_name="ShopOpened",
)
class Shop(models.Model):
    name = models.CharField(max_length=50)
    is_open = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name


# The note is not tracked.
@pghistory.track(*every(), exclude=["note"])
class Visit(models.Model):
    shop = models.ForeignKey(Shop, models.CASCADE)
    note = models.CharField(max_length=50, default="")
    kind = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.kind if self.kind.startswith("short") else f"{self.kind}: {self.note}"


from . import keys, trading  # noqa: E402, F401


# An update that changes nothing else is not tracked.
@pghistory.track(
    pghistory.InsertEvent(), pghistory.UpdateEvent(condition=pgtrigger.AnyChange(exclude_auto=True))
)
class Stamped(models.Model):
    name = models.CharField(max_length=50)
    seen_at = models.DateTimeField(auto_now=True)


class Kiosk(models.Model):
    name = models.CharField(max_length=50)
    is_open = models.BooleanField(default=False)


# A model of somebody else's is tracked by a proxy.
@pghistory.track(
    pghistory.InsertEvent(), pghistory.UpdateEvent(condition=pgtrigger.AnyChange("name"))
)
class TrackedKiosk(Kiosk):
    class Meta:
        proxy = True
