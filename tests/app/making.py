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


class Mapping(ModelBase):
    """Makes one instance of each row, as identity maps do."""

    known: dict[object, object] = {}

    def __call__(cls, *args, **kwargs):
        key = args[0] if args else kwargs.get("id")
        if key is None:
            return super().__call__(*args, **kwargs)
        if (cls, key) not in cls.known:
            cls.known[cls, key] = super().__call__(*args, **kwargs)
        return cls.known[cls, key]


class Marked(Named, metaclass=Marking):
    name = models.CharField(max_length=30)

    def __str__(self) -> str:
        return self.shown


class Shared(Named, metaclass=Sharing):
    name = models.CharField(max_length=30)
    owner = models.ForeignKey(Owner, models.CASCADE, null=True)

    def __str__(self) -> str:
        return f"{self.name} {self.owner}"


class Mapped(Named, metaclass=Mapping):
    name = models.CharField(max_length=30)
    near = models.ForeignKey("self", models.CASCADE, null=True, related_name="around")

    def __str__(self) -> str:
        around = [one.name for one in self.around.order_by("pk")]
        every = [one.name for one in Mapped.objects.order_by("pk")]
        return f"{self.name} {self.near and self.near.name} {around} {every}"


class Single(Named):
    """Is one object in the process, whatever row it was made of last."""

    name = models.CharField(max_length=30)

    def __new__(cls, *args, **kwargs):
        if "one" not in vars(cls):
            cls.one = super().__new__(cls)
            cls.one.sign = "!"
        return cls.one

    def __str__(self) -> str:
        return f"{self.name}{self.sign}"


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


for model in (Marked, Shared, Mapped, Single, Touching, WithSide, InnerSide, InnerPart, Whole):
    auditrepr.track(model)
auditrepr.track(exclude=["hidden"])(Looking)
