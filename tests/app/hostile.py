"""Models that break before their ``__str__`` is called, each for some of its rows."""

from __future__ import annotations

import time

from django.db import connection, models, transaction

import auditrepr

ERRORS = {error.__name__: error for error in (ValueError, KeyError, SystemExit, KeyboardInterrupt)}


def query(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


SLOW = {
    "postgresql": "SELECT pg_sleep(20)",
    "sqlite": (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000000)"
        " SELECT max(i) FROM n"
    ),
}


def raise_what_it_names(value):
    if value == "hangs":
        time.sleep(20)
    if value == "queries wrongly":
        query("SELECT 1 FROM nowhere")
    if value == "queries for long":
        query(SLOW[connection.vendor])
    if value in ERRORS:
        raise ERRORS[value]("hostile")
    return value


class HostileField(models.CharField):
    """What it cannot read is named by the value."""

    def from_db_value(self, value, expression, connection):
        return raise_what_it_names(value)


class Descriptor:
    """Refuses a value when the instance is made."""

    def __init__(self, field):
        self.field = field

    def __get__(self, instance, owner=None):
        return self if instance is None else instance.__dict__[self.field.attname]

    def __set__(self, instance, value):
        instance.__dict__[self.field.attname] = raise_what_it_names(value)


class GuardedField(models.CharField):
    descriptor_class = Descriptor


@auditrepr.track
class HostileToRead(models.Model):
    name = HostileField(max_length=30)

    def __str__(self):
        return self.name


@auditrepr.track
class HostileDescriptor(models.Model):
    name = GuardedField(max_length=30)

    def __str__(self):
        return self.name


@auditrepr.track
class HostileInit(models.Model):
    name = models.CharField(max_length=30)

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        raise_what_it_names(self.name)

    def __str__(self):
        return self.name


@auditrepr.track
class HostileFromDb(models.Model):
    name = models.CharField(max_length=30)

    def __str__(self):
        return self.name

    @classmethod
    def from_db(cls, db, field_names, values):
        if values[-1] == "None":
            return None
        raise_what_it_names(values[-1])
        return super().from_db(db, field_names, values)


@auditrepr.track
class Remembering(models.Model):
    """Looks at its values, and at the table, as soon as it is there."""

    name = models.CharField(max_length=30)
    secret = models.CharField(max_length=30)
    asks = models.BooleanField()

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.known = raise_what_it_names(self.name)
        if self.name == "begins":
            with transaction.atomic():
                self.known = "begins"
        if self.name == "shows":
            self.known += f" {self.secret}"
        if self.asks:
            self.known += f" of {query('SELECT count(*) FROM app_remembering')[0]}"

    def __str__(self):
        return self.known


class LeadsTo(models.Model):
    """Is represented by the object that it leads to."""

    class Meta:
        abstract = True

    def __str__(self):
        return f"to {self.to}"


def leading_to(model):
    fields = {"to": models.ForeignKey(model, models.DO_NOTHING, null=True), "__module__": __name__}
    return auditrepr.track(type(f"To{model.__name__}", (LeadsTo,), fields))


HOSTILE = [HostileToRead, HostileDescriptor, HostileInit, HostileFromDb]
LEADING = {model: leading_to(model) for model in HOSTILE}
