"""Ten models of a trading company, each of which refers to another one."""

from __future__ import annotations

import pghistory
from django.db import models


class Named(models.Model):
    name = models.CharField(max_length=100)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Belonging(Named):
    """Its text has another object's name in it."""

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.name} of {self.owner.name}"  # type: ignore[attr-defined]


def every() -> tuple[pghistory.Tracker, ...]:
    return pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent()


@pghistory.track(*every())
class Region(Named):
    pass


@pghistory.track(*every())
class Country(Belonging):
    owner = models.ForeignKey(Region, models.CASCADE)


@pghistory.track(*every())
class City(Belonging):
    owner = models.ForeignKey(Country, models.CASCADE)


@pghistory.track(*every())
class Company(Belonging):
    owner = models.ForeignKey(City, models.CASCADE)


@pghistory.track(*every())
class Department(Belonging):
    owner = models.ForeignKey(Company, models.CASCADE)


@pghistory.track(*every())
class Person(Belonging):
    owner = models.ForeignKey(Department, models.CASCADE)


@pghistory.track(*every())
class Product(Named):
    owner = models.ForeignKey(Company, models.CASCADE)


@pghistory.track(*every())
class Purchase(Belonging):
    owner = models.ForeignKey(Person, models.CASCADE)


@pghistory.track(*every())
class Item(Belonging):
    owner = models.ForeignKey(Product, models.CASCADE)


@pghistory.track(*every())
class Payment(Belonging):
    owner = models.ForeignKey(Purchase, models.CASCADE)


ALL: list[type[Named]] = [
    Region, Country, City, Company, Department, Person, Product, Purchase, Item, Payment,
]  # fmt: skip
