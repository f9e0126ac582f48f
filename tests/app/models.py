"""The plain models that most tests need."""

from __future__ import annotations

from django.db import models

import auditrepr


@auditrepr.track
class Author(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


@auditrepr.track
class Tag(models.Model):
    label = models.CharField(max_length=50, unique=True)

    def __str__(self) -> str:
        return self.label


@auditrepr.track(exclude=["secret"])
class Book(models.Model):
    title = models.CharField(max_length=200)
    author = models.ForeignKey(Author, models.CASCADE, null=True, related_name="books")
    price = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    published = models.DateField(null=True)
    secret = models.CharField(max_length=50, blank=True, default="")
    tags = models.ManyToManyField(Tag)

    def __str__(self) -> str:
        return f"{self.title} ({self.author})" if self.author_id else self.title


from . import (  # noqa: E402
    asking,  # noqa: F401
    cached,  # noqa: F401
    cascades,  # noqa: F401
    families,  # noqa: F401
    fields,  # noqa: F401
    hostile,  # noqa: F401
    large,  # noqa: F401
    lately,  # noqa: F401
    legacy,  # noqa: F401
    making,  # noqa: F401
    managing,  # noqa: F401
    moment,  # noqa: F401
    odd_keys,  # noqa: F401
    pairs,  # noqa: F401
    playlists,  # noqa: F401
    racks,  # noqa: F401
    relations,  # noqa: F401
    saving,  # noqa: F401
    stubborn,  # noqa: F401
    tracked,  # noqa: F401
    trays,  # noqa: F401
    troubled,  # noqa: F401
)
