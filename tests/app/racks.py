"""Models whose code slices related sets, changes their members, or reads them in its own way."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Prefetch

import auditrepr


class Part(models.Model):
    name = models.CharField(max_length=20)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Ordered(Part):
    class Meta:
        abstract = True
        ordering = ["pk"]


@auditrepr.track
class Rack(Part):
    friends = models.ManyToManyField("self")


@auditrepr.track
class Color(Part):
    shades = models.JSONField(default=list)


@auditrepr.track
class Folio(Ordered):
    rack = models.ForeignKey(Rack, models.CASCADE, related_name="folios")
    color = models.ForeignKey(Color, models.CASCADE, null=True)
    rank = models.IntegerField(default=0)
    data = models.JSONField(default=list)


@auditrepr.track
class Slip(Part):
    """Belongs to one folio."""

    folio = models.OneToOneField(Folio, models.CASCADE)


@auditrepr.track
class Loaned(Folio):
    """Keeps a part of its rows in the table of folios, and makes its instances itself."""

    on = models.ForeignKey(Rack, models.CASCADE, related_name="loaned")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shown = f"<{self.name}>"


@auditrepr.track
class Stamped(Ordered):
    """Changes a value in place when an instance is made."""

    rack = models.ForeignKey(Rack, models.CASCADE, related_name="stamped")
    data = models.JSONField(default=list)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.data.append("stamp")
        self.shown = len(self.data)


class Marking(models.Manager[Any]):
    """Fetches some of the marks along with the pages."""

    def get_queryset(self):
        marks = Mark.objects.filter(hidden=False).order_by("pk")
        return super().get_queryset().prefetch_related(Prefetch("marks", queryset=marks))


class MarkingApart(models.Manager[Any]):
    def get_queryset(self):
        marks = Prefetch("marks", queryset=Mark.objects.order_by("-pk"), to_attr="last_first")
        return super().get_queryset().prefetch_related(marks)


class MarkingAll(models.Manager[Any]):
    def get_queryset(self):
        return super().get_queryset().prefetch_related("marks", Prefetch("rack"))


class MarkingDeeply(models.Manager[Any]):
    """Fetches sets of members' relations, too."""

    def get_queryset(self):
        return super().get_queryset().prefetch_related("marks__page", "rack__folios")


class MarkingNothing(models.Manager[Any]):
    def get_queryset(self):
        return super().get_queryset().prefetch_related("no_marks")


@auditrepr.track
class Page(Ordered):
    rack = models.ForeignKey(Rack, models.CASCADE, related_name="pages")

    objects = Marking()
    apart = MarkingApart()
    with_all = MarkingAll()
    deeply = MarkingDeeply()
    with_nothing = MarkingNothing()


@auditrepr.track
class Mark(Ordered):
    page = models.ForeignKey(Page, models.CASCADE, related_name="marks")
    hidden = models.BooleanField(default=False)


class Iterating(models.QuerySet[Any]):
    """Leaves some out, and changes what is left."""

    def iterator(self, chunk_size: int | None = None):
        for one in super().iterator(chunk_size=chunk_size or 100):
            if not one.name.startswith("x"):
                one.name = one.name.upper()
                yield one


class FewIterating(models.QuerySet[Any]):
    def _iterator(self, use_chunked_fetch: bool, chunk_size: int | None):
        yield from reversed([*super()._iterator(use_chunked_fetch, chunk_size)])


class CutShort(models.QuerySet[Any]):
    """Has methods of its own where Django answers without a query."""

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(slice(1) if isinstance(key, slice) else key)

    def count(self) -> int:
        return super().count() * 10

    def exists(self) -> bool:
        return not super().exists()


class Turned(models.Manager[Any]):
    def get_queryset(self):
        return super().get_queryset().order_by("rank").reverse()


@auditrepr.track
class Good(Ordered):
    rack = models.ForeignKey(Rack, models.CASCADE, related_name="goods")
    rank = models.IntegerField(default=0)

    objects = models.Manager()
    iterating = Iterating.as_manager()
    few = FewIterating.as_manager()
    short = CutShort.as_manager()
    turned = Turned()


@auditrepr.track
class TurnedGood(Part):
    rack = models.ForeignKey(Rack, models.CASCADE, related_name="turned")
    rank = models.IntegerField(default=0)

    objects = Turned()
