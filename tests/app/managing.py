"""Models whose managers raise, filter, filter late, or make their own objects."""

from __future__ import annotations

from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.query import ModelIterable
from django.db.models.sql import Query

import auditrepr

#: How often the managers of this module were asked.
asked: list[str] = []


class Scoped(models.Manager[Any]):
    """Raises, as where no tenant is active."""

    def get_queryset(self):
        asked.append("scoped")
        raise RuntimeError("no tenant is active")


class Shown(models.Manager[Any]):
    def get_queryset(self):
        asked.append("shown")
        return super().get_queryset().filter(gone=False)


class LateQuery(Query):
    """Filters when it is compiled, as some packages for soft deletion do."""

    late = True

    def get_compiler(self, *args, **options):
        query = self.clone()
        query.late = False
        if self.late and not self.is_sliced:
            query.add_q(models.Q(gone=False))
        return Query.get_compiler(query, *args, **options)


class LateQuerySet(models.QuerySet[Any]):
    def __init__(self, model=None, query=None, using=None, hints=None):
        super().__init__(model, query or LateQuery(model), using, hints)


class OwnIterable(ModelIterable):
    def __iter__(self):
        for one in super().__iter__():
            one.title = f"own {one.name}"
            yield one


class Making(models.Manager[Any]):
    def get_queryset(self):
        queryset = super().get_queryset()
        queryset._iterable_class = OwnIterable
        return queryset


class Posing(models.Manager[Any]):
    def get_queryset(self):
        return Pose.everything.all()


class Named(models.Model):
    name = models.CharField(max_length=20)
    gone = models.BooleanField(default=False)

    everything = models.Manager()
    title = ""

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title or self.name


@auditrepr.track
class Tenanted(Named):
    """What refers to it goes through Django's own base manager."""

    objects = Scoped()


@auditrepr.track
class Hidden(Named):
    """What refers to it goes through a base manager that filters."""

    objects = Shown()

    class Meta:
        base_manager_name = "objects"


@auditrepr.track
class Made(Named):
    objects = Making()

    class Meta:
        base_manager_name = "objects"


def _said(instance: Any, name: str) -> str:
    try:
        return str(getattr(instance, name))
    except (models.ObjectDoesNotExist, RuntimeError) as error:
        return type(error).__name__


@auditrepr.track
class Holder(models.Model):
    name = models.CharField(max_length=20)
    tenanted = models.ForeignKey(Tenanted, models.DO_NOTHING, null=True, db_constraint=False)
    hidden = models.ForeignKey(Hidden, models.DO_NOTHING, null=True, db_constraint=False)
    made = models.ForeignKey(Made, models.DO_NOTHING, null=True, db_constraint=False)
    type = models.ForeignKey(ContentType, models.CASCADE, null=True)
    key = models.PositiveIntegerField(null=True)
    target = GenericForeignKey("type", "key")

    def __str__(self) -> str:
        relations = [_said(self, name) for name in ("hidden", "made", "target")]
        if self.tenanted_id:
            relations.append(str(self.tenanted))
        late = self.late
        return (
            f"{self.name} {relations} {late.count()} {[str(one) for one in late.order_by('pk')]}"
            f" {late.exists()} {sorted(str(one) for one in late.all())}"
            f" {[one.name for one in self.shown.order_by('-name', 'pk')]}"
            f" {sorted(str(one) for one in self.own.all())}"
            f" {sorted(str(one) for one in self.posing.all())} {self.posing.order_by('pk').last()}"
        )


@auditrepr.track
class Late(Named):
    holder = models.ForeignKey(Holder, models.CASCADE, related_name="late")
    objects = models.Manager.from_queryset(LateQuerySet)()


@auditrepr.track
class ShownPart(Named):
    holder = models.ForeignKey(Holder, models.CASCADE, related_name="shown")
    objects = Shown()


@auditrepr.track
class OwnPart(Named):
    holder = models.ForeignKey(Holder, models.CASCADE, related_name="own")
    objects = Making()


@auditrepr.track
class PosingPart(Named):
    holder = models.ForeignKey(Holder, models.CASCADE, related_name="posing")
    objects = Posing()

    class Meta:
        default_manager_name = "objects"


class Pose(PosingPart):
    title = "pose"

    class Meta:
        proxy = True
        default_manager_name = "everything"

    def __str__(self) -> str:
        return f"{self.title} of {self.holder.name} {self.name}"
