"""Models whose events say otherwise which row they are of, or come from several event models."""

from __future__ import annotations

import pghistory
from django.contrib.postgres.functions import RandomUUID
from django.db import models


def every() -> tuple[pghistory.Tracker, ...]:
    return pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent()


def nullable() -> pghistory.ObjForeignKey:
    """A reference that is lost with the object."""
    return pghistory.ObjForeignKey(null=True, on_delete=models.SET_NULL)


class Named(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


@pghistory.track(*every(), obj_field=nullable())
class Kept(Named):
    pass


# With the object, the events lose all that says which one it was.
@pghistory.track(*every(), fields=["name"], obj_field=nullable(), model_name="PlateEvent")
class Nameplate(Named):
    pass


@pghistory.track(*every())
class Instant(Named):
    at = models.DateTimeField(primary_key=True)


@pghistory.track(*every(), obj_field=None)
class Unreferred(Named):
    pass


# Deletions have an event model of their own.
@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), model_name="SplitEvent")
@pghistory.track(pghistory.DeleteEvent(), model_name="SplitGone")
class Split(Named):
    pass


# Updates have, and the names alone are tracked once more.
@pghistory.track(
    pghistory.InsertEvent(), pghistory.DeleteEvent(), model_name="ScatteredEnds", fields=["id"]
)
@pghistory.track(pghistory.UpdateEvent(), model_name="ScatteredChanges")
@pghistory.track(pghistory.UpdateEvent("named"), fields=["name"], model_name="ScatteredNames")
class Scattered(Named):
    about = models.CharField(max_length=50, default="")


class Numbered(pghistory.models.Event):
    """A base of event models whose key has a column of another name."""

    pgh_id = models.BigAutoField(primary_key=True, db_column="the number")

    class Meta:
        abstract = True


@pghistory.track(*every(), base_model=Numbered)
class Otherwise(Named):
    pass


class Unnumbered(pghistory.models.Event):
    """A base of event models whose key does not say which event came first."""

    pgh_id = models.UUIDField(primary_key=True, db_default=RandomUUID())

    class Meta:
        abstract = True


@pghistory.track(*every(), base_model=Unnumbered)
class Jumbled(Named):
    pass
