"""Models for the tests of tracking and installation: inheritance, shared tables, odd names."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower, Upper

import auditrepr


@auditrepr.track(exclude=["note"])
class Noted(models.Model):
    """Tracked on behalf of whatever inherits from it."""

    note = models.CharField(max_length=50, blank=True, default="")

    class Meta:
        abstract = True


class Letter(Noted):
    text = models.CharField(max_length=50)


class Postcard(Noted):
    note = None  # has no such field: there is nothing to leave out
    picture = models.CharField(max_length=50)


class Parcel(models.Model):
    """Not tracked itself: a proxy is."""

    weight = models.IntegerField(default=0)


@auditrepr.track
class HeavyParcel(Parcel):
    class Meta:
        proxy = True


class Premises(models.Model):
    """Not tracked itself: the rows of a tracked child are partly here."""

    name = models.CharField(max_length=50)
    secret = models.CharField(max_length=50, blank=True, default="")
    shown = models.ManyToManyField(Parcel, related_name="+")
    hidden = models.ManyToManyField(Parcel, related_name="+")


@auditrepr.track(exclude=["secret", "hidden"])
class Restaurant(Premises):
    stars = models.IntegerField(default=0)


class Account(models.Model):
    """Three generated columns, one of them through another, would give the number away."""

    number = models.CharField(max_length=50)
    label = models.CharField(max_length=50)
    shouted = models.GeneratedField(
        expression=Upper("number"), output_field=models.CharField(max_length=50), db_persist=True
    )
    whispered = models.GeneratedField(
        expression=Lower("shouted"), output_field=models.CharField(max_length=50), db_persist=True
    )
    numbered = models.GeneratedField(
        expression=models.Q(number__gt=""), output_field=models.BooleanField(), db_persist=True
    )
    labeled = models.GeneratedField(
        expression=Upper("label"), output_field=models.CharField(max_length=50), db_persist=True
    )

    class Meta:
        managed = False


class Ledger(models.Model):
    total = models.IntegerField(db_column="sum", default=0)
    pin = models.CharField(max_length=50, db_column="PIN", default="")

    class Meta:
        db_table = "Ledger Order"


class LegacyLedger(models.Model):
    """The same table in another program's words."""

    code = models.CharField(max_length=50, db_column="PIN")

    class Meta:
        managed = False
        db_table = "Ledger Order"


class Swappable(models.Model):
    class Meta:
        swappable = "TESTS_SWAPPED"


class ReadableLog(models.Model):
    """A model of one's own over the log itself."""

    class Meta:
        managed = False
        db_table = "auditrepr_auditlog"


class AuthorView(models.Model):
    """Over a view, which tests make for themselves."""

    name = models.CharField(max_length=100)

    class Meta:
        managed = False
        db_table = "app_author_view"


class Awkward(models.Model):
    """Django cannot flush such a table on SQLite, so tests make it for themselves."""

    name = models.CharField(max_length=100, db_column="it's a Näme")

    class Meta:
        managed = False
        db_table = "O'Brien's Önly table"
