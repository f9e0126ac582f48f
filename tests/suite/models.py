from __future__ import annotations

from django.db import models


class Shelf(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Jar(models.Model):
    shelf = models.ForeignKey(Shelf, models.CASCADE, related_name="jars")
    content = models.CharField(max_length=50)

    def __str__(self) -> str:
        return f"{self.content} on {self.shelf}"
