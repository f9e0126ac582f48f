"""Models with every kind of relation, whose ``__str__`` follows them."""

from __future__ import annotations

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models

import auditrepr


class OpenManager(models.Manager["Line"]):
    def get_queryset(self):
        return super().get_queryset().filter(hidden=False)


class FewQuerySet(models.QuerySet["Line"]):
    def few(self):
        return self.filter(quantity__lt=3)


@auditrepr.track
class Order(models.Model):
    ref = models.CharField(max_length=20, unique=True)
    parent = models.ForeignKey("self", models.SET_NULL, null=True, related_name="children")
    labels = models.ManyToManyField("Label", related_name="orders")
    billed = models.ManyToManyField(
        "self", through="Invoice", through_fields=("order", "by_ref"), symmetrical=False
    )
    remarks = GenericRelation("Remark")

    def __str__(self) -> str:
        lines = ", ".join(str(line) for line in self.lines.all())
        labels = "+".join(label.name for label in self.labels.all())
        # A set without an order comes as the server has its rows, which cleaning up may change.
        remarks = "/".join(sorted(remark.text for remark in self.remarks.all()))
        large = self.lines.filter(quantity__gte=10)
        big = [line.item for line in large.order_by("-quantity", "id")]
        parent = self.parent.ref if self.parent_id else "-"
        return f"{self.ref}<{parent}: {lines} [{labels}] ({remarks}) {big} {self.lines.count()}"


@auditrepr.track
class Label(models.Model):
    name = models.CharField(max_length=20)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name}: {', '.join(sorted(order.ref for order in self.orders.all()))}"


@auditrepr.track
class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    item = models.CharField(max_length=20)
    quantity = models.IntegerField(default=1)
    hidden = models.BooleanField(default=False)

    objects = OpenManager()
    with_hidden = FewQuerySet.as_manager()

    class Meta:
        ordering = ["item", "quantity", "id"]

    def __str__(self) -> str:
        return f"{self.quantity}x{self.item} of {self.order.ref}"


@auditrepr.track
class Invoice(models.Model):
    """Reverse one-to-one, and a foreign key to a field that is no primary key."""

    order = models.OneToOneField(Order, models.CASCADE)
    by_ref = models.ForeignKey(
        Order, models.CASCADE, to_field="ref", related_name="+", null=True, db_constraint=False
    )
    number = models.IntegerField()

    def __str__(self) -> str:
        return f"#{self.number} for {self.order.ref} ({self.by_ref.pk if self.by_ref else '-'})"


@auditrepr.track
class Remark(models.Model):
    # No constraint: this app has no migrations, so its tables come before those that do.
    content_type = models.ForeignKey(ContentType, models.CASCADE, db_constraint=False)
    object_id = models.PositiveBigIntegerField()
    target = GenericForeignKey()
    text = models.CharField(max_length=50)

    def __str__(self) -> str:
        name = getattr(self.target, "ref", None) or getattr(self.target, "name", "nothing")
        return f"{self.text} on {name}"


@auditrepr.track
class Badge(models.Model):
    number = models.PositiveIntegerField(primary_key=True)
    dots = GenericRelation("Dot")

    def __str__(self) -> str:
        return f"badge {self.number} {[dot.pk for dot in self.dots.all()]}"


@auditrepr.track
class Toll(models.Model):
    """Has no room for a longer key."""

    amount = models.DecimalField(max_digits=3, decimal_places=0, primary_key=True)


class NumberAsText(models.CharField):
    """Leaves it to the database to say what is no number."""

    def db_type(self, connection):
        return "integer"


@auditrepr.track
class Hydrant(models.Model):
    number = NumberAsText(max_length=9, primary_key=True)


@auditrepr.track
class Dot(models.Model):
    """Its key of the object is too small for some of them."""

    content_type = models.ForeignKey(ContentType, models.CASCADE, db_constraint=False)
    object_id = models.PositiveSmallIntegerField()
    target = GenericForeignKey()


@auditrepr.track
class Pin(models.Model):
    """Its key of the object may be no key at all."""

    content_type = models.ForeignKey(ContentType, models.CASCADE, null=True, db_constraint=False)
    object_id = models.CharField(max_length=50, null=True)
    target = GenericForeignKey()

    def __str__(self) -> str:
        return f"on {self.target}"


@auditrepr.track
class Crossing(models.Model):
    """Leads to another one by two columns, which are not its key."""

    street = models.CharField(max_length=20)
    number = models.IntegerField()
    note = models.CharField(max_length=20)
    next_street = models.CharField(max_length=20, null=True)
    next_number = models.IntegerField(null=True)
    next = models.ForeignObject(
        "self", models.DO_NOTHING, ["next_street", "next_number"], ["street", "number"], null=True
    )

    class Meta:
        unique_together = [("street", "number")]

    def __str__(self) -> str:
        return f"{self.note} then {self.next.note if self.next_street else '-'}"


@auditrepr.track
class RatedPlace(models.Model):
    name = models.CharField(max_length=50)
    owner = models.ForeignKey("Author", models.SET_NULL, null=True)

    def __str__(self) -> str:
        return f"{self.name} of {self.owner}"


@auditrepr.track
class Diner(RatedPlace):
    stars = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {'*' * self.stars} ({self.owner})"


@auditrepr.track
class Pizzeria(Diner):
    oven = models.CharField(max_length=20)

    def __str__(self) -> str:
        return f"{self.name} {'*' * self.stars} with {self.oven} ({self.owner})"


@auditrepr.track
class Kiosk(RatedPlace):
    """Is in a set by a column of its own, and may be read by an index of its parent's."""

    keeper = models.ForeignKey("Author", models.CASCADE, null=True, related_name="kiosks")


@auditrepr.track
class Trattoria(Pizzeria):
    """Its row has parts in the tables of all that it inherits from."""

    pasta = models.CharField(max_length=20)

    def __str__(self) -> str:
        return f"{super().__str__()} and {self.pasta}"
