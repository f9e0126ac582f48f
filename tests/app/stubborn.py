"""A model whose fields have values and choices that do not behave as Django's do."""

from __future__ import annotations

from django.db import models

import auditrepr


class Array(list):
    """Is compared item by item, as arrays of numbers are, and is neither true nor false."""

    def __eq__(self, other):
        return Array([one == other for one in self])

    def __bool__(self):
        raise ValueError("the truth value of an array is ambiguous")


class Silent:
    def __init__(self, value):
        self.value = value

    def __str__(self):
        raise ValueError("there is no text")

    __repr__ = __str__


class OfItsOwn(models.TextField):
    kind = Silent

    def from_db_value(self, value, expression, connection):
        return self.kind(value)

    def get_prep_value(self, value):
        return value.value if isinstance(value, Silent) else "".join(value)


class ArrayOfLetters(OfItsOwn):
    kind = Array


class WithoutLabels(models.CharField):
    """Has choices that it does not name, as django-countries' field of several countries."""

    @property
    def flatchoices(self):
        return None

    @flatchoices.setter
    def flatchoices(self, value):
        pass


#: Django's checks ask for choices, too, at any time.
table_is_there = False


def owners():
    """Return choices that are read from a table."""
    those = Stubborn.objects.order_by("pk") if table_is_there else ()
    return [(one.name, one.name.upper()) for one in those]


@auditrepr.track
class Stubborn(models.Model):
    name = models.CharField(max_length=30)
    array = ArrayOfLetters()
    silent = OfItsOwn()
    kind = WithoutLabels(max_length=30, choices=[("a", "A")])
    owner = models.CharField(max_length=30, choices=owners)

    def __str__(self) -> str:
        return self.name
