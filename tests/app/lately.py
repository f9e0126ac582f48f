"""Models whose ``__str__`` needs rows that are written later or were deleted earlier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models
from django.db.models import QuerySet, Sum

import auditrepr


def handling(article: Article) -> str:
    try:
        return article.sheet.text
    except Sheet.DoesNotExist:
        raise ValueError("no sheet") from None


WAYS: dict[str, Callable[[Article], Any]] = {
    "a set": lambda article: article.titles.get(language="en").text,
    "its own query": lambda article: QuerySet(Title).get(article=article, language="en").text,
    "first": lambda article: article.titles.filter(language="en").first().text,
    "first of a query": lambda article: QuerySet(Title).filter(article=article).first().text,
    "a sum": lambda article: str(1 + article.titles.aggregate(n=Sum("weight"))["n"]),
    "a relation": lambda article: article.parent.code,
    "a relation's": lambda article: article.parent and str(article.parent),
    "another side": lambda article: article.sheet.text,
    "handling": handling,
    "a bug": lambda article: article.cdoe,
}


@auditrepr.track
class Article(models.Model):
    way = models.CharField(max_length=20)
    code = models.CharField(max_length=20, default="")
    parent = models.ForeignKey("self", models.DO_NOTHING, null=True, db_constraint=False)

    def __str__(self) -> str:
        return f"{self.code} {WAYS[self.way](self) + ''}"


@auditrepr.track
class Title(models.Model):
    article = models.ForeignKey(Article, models.CASCADE, related_name="titles")
    language = models.CharField(max_length=2, default="en")
    text = models.CharField(max_length=20)
    weight = models.IntegerField(default=1)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.text} of {self.article.code}"


@auditrepr.track
class Sheet(models.Model):
    article = models.OneToOneField(Article, models.CASCADE)
    text = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.text
