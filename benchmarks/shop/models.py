"""Tables as in real projects: 8 to 20 columns, rows of 300 to 800 bytes as JSON."""

from __future__ import annotations

from django.db import models

import auditrepr


@auditrepr.track
class Country(models.Model):
    code = models.CharField(max_length=2)
    code3 = models.CharField(max_length=3)
    name = models.CharField(max_length=100)
    official_name = models.CharField(max_length=200)
    currency = models.CharField(max_length=3)
    population = models.BigIntegerField()
    area = models.DecimalField(max_digits=12, decimal_places=2)
    vat = models.DecimalField(max_digits=5, decimal_places=2)

    def __str__(self) -> str:
        return self.name


@auditrepr.track
class Customer(models.Model):
    country = models.ForeignKey(Country, models.PROTECT)
    name = models.CharField(max_length=100)
    email = models.EmailField()
    phone = models.CharField(max_length=40)
    street = models.CharField(max_length=100)
    postcode = models.CharField(max_length=20)
    city = models.CharField(max_length=100)
    credit = models.DecimalField(max_digits=12, decimal_places=2)
    active = models.BooleanField()
    since = models.DateField()

    def __str__(self) -> str:
        return f"{self.name}, {self.country}"


class BaseInvoice(models.Model):
    # No constraint: what it costs would hide what the triggers cost.
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+", db_constraint=False)
    number = models.CharField(max_length=20)
    status = models.CharField(max_length=20)
    reference = models.CharField(max_length=60)
    note = models.TextField()
    currency = models.CharField(max_length=3)
    net = models.DecimalField(max_digits=12, decimal_places=2)
    tax = models.DecimalField(max_digits=12, decimal_places=2)
    total = models.DecimalField(max_digits=12, decimal_places=2)
    paid = models.BooleanField()
    placed_on = models.DateField()
    shipped_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"Invoice {self.number} of {self.placed_on}: {self.total} {self.currency}"

    def with_relations(self) -> str:
        """Return a text that reads two levels of foreign keys."""
        return f"{self}, {self.customer.name} ({self.customer.country.name})"


class BaseLabel(models.Model):
    name = models.CharField(max_length=40)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


@auditrepr.track
class Label(BaseLabel):
    pass


@auditrepr.track
class Invoice(BaseInvoice):
    # No constraint, as above: a deletion would look for pairs, which the others' tables lack.
    labels = models.ManyToManyField(Label, related_name="invoices", db_constraint=False)


class BareInvoice(BaseInvoice):
    """Without any trigger."""


class GenericInvoice(BaseInvoice):
    """With a hand-written trigger."""


class GenericLog(models.Model):
    """The table of the hand-written trigger, with the columns and the one index of such a table."""

    table_name = models.TextField()
    object_id = models.TextField()
    action = models.CharField(max_length=1)
    old_data = models.JSONField(null=True)
    new_data = models.JSONField(null=True)
    occurred_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["table_name", "object_id"])]
