"""The books, authors and tags at the time when the dumps were made."""

from __future__ import annotations

from django.db import models


class Author(models.Model):
    name = models.TextField()
    motto = models.TextField(null=True)

    def __str__(self) -> str:
        if self.name == "?":
            raise ValueError("no name")
        return self.name


class Tag(models.Model):
    label = models.TextField()

    def __str__(self) -> str:
        return self.label


class Book(models.Model):
    title = models.TextField()
    author = models.ForeignKey(Author, models.CASCADE)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    tags = models.ManyToManyField(Tag)

    def __str__(self) -> str:
        tags = ", ".join(str(tag) for tag in self.tags.order_by("label"))
        return (
            f"{self.title} by {self.author} ({tags})" if tags else f"{self.title} by {self.author}"
        )
