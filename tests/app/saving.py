"""A model whose ``save()`` and ``clean()`` check and change it."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models

import auditrepr


@auditrepr.track
class Notice(models.Model):
    title = models.CharField(max_length=100)
    body = models.TextField(blank=True, default="")
    slug = models.CharField(max_length=100, blank=True, default="")
    data = models.JSONField(null=True, blank=True)
    file = models.FileField(blank=True, default="")
    begins = models.DateTimeField(null=True)
    created = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)
    tags = models.ManyToManyField("Tag")

    def __str__(self) -> str:
        return self.title

    def save(self, **options) -> None:
        if self.title == "unsaved":
            raise ValidationError({"title": "This title cannot be saved."})
        self.slug = self.title.lower()
        super().save(**options)

    def clean(self) -> None:
        if self.title == "forbidden":
            raise ValidationError("This title is forbidden.")
        if self.title == "broken":
            raise RuntimeError("clean() is broken")
