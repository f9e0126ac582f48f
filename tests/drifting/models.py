"""The models of a small shop after many migrations."""

from __future__ import annotations

from django.db import models


class Store(models.Model):
    """First Shop, in ``drifting_shop``; then in ``drifting_store``."""

    name = models.CharField(max_length=50)

    class Meta:
        db_table = "outlets"

    def __str__(self) -> str:
        return self.name


class Label(models.Model):
    text = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.text


class Item(models.Model):
    caption = models.CharField(max_length=50)  # first title, then label
    store = models.ForeignKey(Store, models.CASCADE, related_name="items")  # first shop
    code = models.CharField(max_length=20)  # first serial, while another column was code
    left = models.CharField(max_length=20)  # first right
    right = models.CharField(max_length=20)  # first left
    weight = models.IntegerField(default=0, db_column="grams")
    labels = models.ManyToManyField(Label)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return (
            f"{self.caption} {self.code} {self.left}<{self.right} {self.weight}g"
            f" in {self.store}: {', '.join(str(label) for label in self.labels.all())}"
        )


class Shop(models.Model):
    """Another model than the one that had this name and this table at first."""

    street = models.CharField(max_length=50)

    def __str__(self) -> str:
        return f"shop in {self.street}"


class Ticket(models.Model):
    """What it had to say has changed its type, column by column."""

    number = models.CharField(max_length=20, null=True)  # first an integer
    amount = models.IntegerField(null=True)  # first text
    short = models.CharField(max_length=5, null=True)  # first 200 characters
    moment = models.DateTimeField(null=True)  # first a date
    done = models.BooleanField(null=True)  # first text

    def __str__(self) -> str:
        return f"{self.number!r} {self.amount!r} {self.short!r} {self.moment!r} {self.done!r}"


class Reading(models.Model):
    """Each column was of another type, and its values are what the cast made of them."""

    data = models.JSONField(null=True)  # first text
    note = models.TextField(null=True)  # first JSON
    price = models.IntegerField(null=True)  # first a decimal
    count = models.IntegerField(null=True)  # first a boolean
    flag = models.BooleanField(null=True)  # first an integer
    moment = models.CharField(max_length=40, null=True)  # first a time
    size = models.CharField(max_length=40, null=True)  # first a float
    ratio = models.FloatField(null=True)  # first an integer
    whole = models.BigIntegerField(null=True)  # first called portion, a float

    def __str__(self) -> str:
        return str({field.name: getattr(self, field.name) for field in self._meta.fields})


class Person(models.Model):
    """Its key was an ID at first."""

    code = models.CharField(max_length=9, primary_key=True)
    name = models.CharField(max_length=20)

    def __str__(self) -> str:
        return f"{self.name} {[visit.number for visit in self.visits.order_by('number')]}"


class Visit(models.Model):
    person = models.ForeignKey(
        Person, models.CASCADE, to_field="code", related_name="visits", db_constraint=False
    )
    number = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.number} {self.person.name}"


class Late(models.Model):
    """Columns that came later, each with another kind of default."""

    name = models.CharField(max_length=20)
    constant = models.CharField(max_length=20, default="given")
    database = models.IntegerField(db_default=7)
    computed = models.DateTimeField(db_default=models.functions.Now())
    called = models.DateTimeField(auto_now_add=True)
    plain = models.JSONField(default=dict)
    nothing = models.CharField(max_length=20, null=True)
    blank = models.CharField(max_length=20, blank=True)
    store = models.ForeignKey(Store, models.CASCADE, null=True)
    reads = "name"

    def __str__(self) -> str:
        return f"{self.name}: {getattr(self, self.reads)}"
