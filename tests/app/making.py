"""Models that take part in making their instances, and look at what these hold."""

from __future__ import annotations

from django.db import models
from django.db.models.base import ModelBase

import auditrepr
from tests.app.conversion import Named, Owner


class Marking(ModelBase):
    """Adds to each instance."""

    def __call__(cls, *args, **kwargs):
        instance = super().__call__(*args, **kwargs)
        instance.shown = f"<{instance.name}>"
        return instance


class Sharing(ModelBase):
    """Keeps an instance that it has made, and adds to it."""

    last: dict[object, object] = {}

    def __call__(cls, *args, **kwargs):
        instance = cls.last[cls] = super().__call__(*args, **kwargs)
        return instance


class Marked(Named, metaclass=Marking):
    name = models.CharField(max_length=30)

    def __str__(self) -> str:
        return self.shown


class Shared(Named, metaclass=Sharing):
    name = models.CharField(max_length=30)
    owner = models.ForeignKey(Owner, models.CASCADE, null=True)

    def __str__(self) -> str:
        return f"{self.name} {self.owner}"


class Touching(Named):
    """Changes the object of its relation as soon as it is there."""

    name = models.CharField(max_length=30)
    owner = models.ForeignKey(Owner, models.CASCADE, null=True)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.owner_id:
            self.owner.name = self.owner.name.upper()

    def __str__(self) -> str:
        return f"{self.name} of {self.owner.name if self.owner else None}"


class WithSide(Named):
    """Gives itself another side if it has none, and knows its sides from the beginning."""

    name = models.CharField(max_length=30)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.pk:
            models.prefetch_related_objects([self], "parts")
            for part in self.parts.all():
                part.name = part.name.upper()
            if not hasattr(self, "side"):
                self.side = InnerSide(of=self, name="default")

    def __str__(self) -> str:
        return f"{self.name} {self.side.name} {[part.name for part in self.parts.all()]}"


class InnerSide(Named):
    of = models.OneToOneField(WithSide, models.CASCADE, related_name="side")
    name = models.CharField(max_length=30)


class InnerPart(Named):
    of = models.ForeignKey(WithSide, models.CASCADE, related_name="parts")
    name = models.CharField(max_length=30)


class Looking(Named):
    """Lacks a column in the log."""

    first = models.CharField(max_length=30, default="f")
    hidden = models.CharField(max_length=30, default="h")
    name = models.CharField(max_length=30)
    owner = models.ForeignKey(Owner, models.CASCADE, null=True, related_name="looking")


class Whole(models.Model):
    first = models.CharField(max_length=30, default="f")
    hidden = models.CharField(max_length=30, default="h")


for model in (Marked, Shared, Touching, WithSide, InnerSide, InnerPart, Whole):
    auditrepr.track(model)
auditrepr.track(exclude=["hidden"])(Looking)
