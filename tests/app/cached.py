"""Models whose ``__str__`` uses a cache that live code keeps up to date."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.db import models

import auditrepr


@auditrepr.track
class Shelf(models.Model):
    name = models.CharField(max_length=20)

    def __str__(self) -> str:
        return cached(f"shelf-{self.pk}", lambda: f"{self.name} of {self.items.count()}")


@auditrepr.track
class Item(models.Model):
    """Says what is cached of itself, and of what it refers to."""

    name = models.CharField(max_length=20)
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True, related_name="items")

    def __str__(self) -> str:
        title = cached(f"item-{self.pk}", lambda: self.name)
        count = cached(
            f"items-{self.name.encode().hex()}", lambda: Item.objects.filter(name=self.name).count()
        )
        where = self.shelf if self.shelf_id else "no shelf"
        many = cache.get_or_set(f"beside-{self.pk}", lambda: self.beside())
        return f"{title} ({count}) on {where} beside {many}"

    def beside(self) -> list[str]:
        names = Item.objects.filter(shelf=self.shelf_id).order_by("pk")
        return list(names.values_list("name", flat=True))


def cached(key: str, make: Any) -> Any:
    """As many applications do it."""
    found = cache.get(key)
    if found is None:
        found = make()
        cache.set(key, found)
    return found
