"""Countries (ISO 3166-1 and 3166-3), subdivisions (ISO 3166-2), languages (ISO 639-3).

And organizations of countries.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

import auditrepr


@auditrepr.track
class Country(models.Model):
    """A current or former country."""

    alpha_2 = models.CharField("two-letter code", max_length=2, db_index=True)
    alpha_3 = models.CharField("three-letter code", max_length=3, db_index=True)
    numeric = models.CharField("numeric code", max_length=3, blank=True)
    name = models.CharField(max_length=100)
    common_name = models.CharField(max_length=100, blank=True)
    official_name = models.CharField(max_length=100, blank=True)
    flag = models.CharField(max_length=2, blank=True)
    former_code = models.CharField(
        max_length=4, blank=True, help_text="The code that ISO 3166-3 keeps for what it was."
    )
    withdrawn = models.CharField(
        max_length=10, blank=True, help_text="The year or the day on which its code ended."
    )

    class Meta:
        verbose_name_plural = "countries"
        ordering = ["name"]

    def __str__(self) -> str:
        name = self.common_name or self.name
        return f"{name} (until {self.withdrawn[:4]})" if self.withdrawn else name


@auditrepr.track
class Succession(models.Model):
    """A former country, and a country that took over its code."""

    predecessor = models.ForeignKey(Country, models.CASCADE, related_name="successions")
    successor = models.ForeignKey(Country, models.CASCADE, related_name="inheritances")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["predecessor", "successor"], name="gazetteer_once")
        ]

    def __str__(self) -> str:
        return f"{self.predecessor} → {self.successor}"


@auditrepr.track
class Organization(models.Model):
    """An organization, and the countries that belong to it."""

    name = models.CharField(max_length=100, unique=True)
    members = models.ManyToManyField(Country, related_name="organizations", blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


@auditrepr.track
class Subdivision(models.Model):
    """A state, province, district ... of a country, perhaps within another one."""

    code = models.CharField(max_length=6, unique=True)
    name = models.CharField(max_length=100)
    type = models.CharField(max_length=50)
    country = models.ForeignKey(Country, models.CASCADE, related_name="subdivisions")
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="subdivisions"
    )

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.name}, {self.parent or self.country}"


@auditrepr.track
class Language(models.Model):
    """A living or extinct language."""

    class Scope(models.TextChoices):
        INDIVIDUAL = "I", "individual language"
        MACROLANGUAGE = "M", "macrolanguage"
        SPECIAL = "S", "special code"

    class Type(models.TextChoices):
        ANCIENT = "A", "ancient"
        CONSTRUCTED = "C", "constructed"
        EXTINCT = "E", "extinct"
        HISTORICAL = "H", "historical"
        LIVING = "L", "living"
        SPECIAL = "S", "special code"

    alpha_3 = models.CharField("three-letter code", max_length=3, unique=True)
    alpha_2 = models.CharField("two-letter code", max_length=2, blank=True)
    bibliographic = models.CharField("bibliographic code", max_length=3, blank=True)
    name = models.CharField(max_length=100)
    common_name = models.CharField(max_length=100, blank=True)
    inverted_name = models.CharField(max_length=100, blank=True)
    scope = models.CharField(max_length=1, choices=Scope)
    type = models.CharField(max_length=1, choices=Type)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.common_name or self.name


class Step(models.Model):
    """A completed part of the demo, which is not repeated."""

    name = models.TextField(primary_key=True)
    done_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name
