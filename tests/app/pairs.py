"""Models with each kind of many-to-many field."""

from __future__ import annotations

from django.contrib.contenttypes.fields import GenericRelation
from django.db import models

import auditrepr


@auditrepr.track
class Person(models.Model):
    name = models.CharField(max_length=50)
    friends = models.ManyToManyField("self")
    mentors = models.ManyToManyField(
        "self", verbose_name="taught by", symmetrical=False, related_name="pupils"
    )

    def __str__(self) -> str:
        return self.name


@auditrepr.track
class Club(models.Model):
    name = models.CharField(max_length=50, primary_key=True)
    members = models.ManyToManyField(Person, through="Membership", related_name="clubs")
    guests = models.ManyToManyField(Person, related_name="+")

    def __str__(self) -> str:
        return self.name


@auditrepr.track
class Membership(models.Model):
    """The project's own, with a text of its own."""

    club = models.ForeignKey(Club, models.CASCADE)
    person = models.ForeignKey(Person, models.CASCADE)
    since = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.person} since {self.since}"


@auditrepr.track
class Basket(models.Model):
    """A generic key of text has another text for its key than its own column, on some databases."""

    id = models.UUIDField(primary_key=True)
    pins = GenericRelation("Pin")
