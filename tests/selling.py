"""A shop that has audited all it sells for two days: its models, its admin, and what happened."""

from __future__ import annotations

from pathlib import Path

from environ import Env

from tests.shop import Shop

MODELS = """
from django.db import models

class Tag(models.Model):
    label = models.CharField(max_length=20)

    def __str__(self):
        return self.label

class Customer(models.Model):
    name = models.CharField(max_length=50)
    email = models.EmailField(blank=True)
    tags = models.ManyToManyField(Tag, blank=True)

    def __str__(self):
        return self.name

class Order(models.Model):
    number = models.CharField(max_length=20)
    customer = models.ForeignKey(Customer, models.CASCADE)
    status = models.CharField(max_length=20, default="new")

    def __str__(self):
        return f"{self.number} of {self.customer}"

class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    item = models.CharField(max_length=50)
    quantity = models.PositiveIntegerField(default=1)

    def __str__(self):
        return f"{self.quantity} × {self.item}"
"""
ADMIN = """
from django.contrib import admin
from auditrepr.admin import AuditHistoryMixin
from .models import Customer, Line, Order, Tag

admin.site.register([Customer, Line, Tag])

@admin.register(Order)
class OrderAdmin(AuditHistoryMixin, admin.ModelAdmin):
    related = ["lines"]
"""
SETTINGS = """
INSTALLED_APPS += ["auditrepr"]
MIDDLEWARE += ["auditrepr.AuditContextMiddleware"]
AUDITREPR = {
    "MODELS": ["shop.*", "auth.User"],
    "EXCLUDE": {"auth.User": ["password", "last_login"]},
}
"""
YESTERDAY = """
from django.contrib.auth.models import User
from auditrepr import context
from shop.models import Customer, Line, Order, Tag

ann = User.objects.create_superuser("ann", password="demo")
bob = User.objects.create_user("bob", is_staff=True)
vip, late = (Tag.objects.create(label=label) for label in ("vip", "late payer"))
with context(user=ann, request_id="a1a1a1a1a1a1"):
    chloe = Customer.objects.create(name="Chloé Dupont", email="chloe@example.org")
    dan = Customer.objects.create(name="Dan Okafor")
    for number, customer in [("A-7", chloe), ("A-8", dan)]:
        order = Order.objects.create(number=number, customer=customer)
        Line.objects.create(order=order, item="teapot")
        Line.objects.create(order=order, item="cup", quantity=6)
with context(user=bob, reason="married"):
    Customer.objects.filter(pk=chloe.pk).update(name="Chloé Martin")
"""
A_DAY_PASSES = """
from datetime import timedelta
from django.db.models import F
from auditrepr.models import AuditLog
AuditLog.objects.update(occurred_at=F("occurred_at") - timedelta(days=1))
"""
TODAY = """
from django.contrib.auth.models import User
from auditrepr import context
from shop.models import Customer, Line, Order, Tag

ann, bob = User.objects.order_by("pk")
with context(user=ann, reason="stands in for me"):
    bob.is_superuser = True
    bob.save()
with context(user=bob, reason="sent twice", request_id="b2b2b2b2b2b2"):
    Order.objects.get(number="A-7").delete()
    Order.objects.filter(number="A-8").update(status="sent")
    Line.objects.filter(order__number="A-8", item="cup").update(quantity=5)
with context(user=ann, reason="pays at once"):
    Customer.objects.get(name="Chloé Martin").tags.set(Tag.objects.all())
for name in ("Gus Ito", "Hal Jones"):
    customer = Customer.objects.create(name=name, email="old@example.org")
    Customer.objects.filter(pk=customer.pk).update(name=name.upper(), email="new@example.org")
for name in ("Eve Adler", "Finn Berg"):
    gone = Customer.objects.create(name=name, email="gone@example.org")
    with context(user=bob, reason="asked for it"):
        gone.delete()
"""


class AuditedShop(Shop):
    """The shop, in the database of this URL."""

    def __init__(self, folder: Path, url: str) -> None:
        databases = {"default": Env.db_url_config(url)}
        super().__init__(folder, MODELS, "", f"DATABASES = {databases!r}\n")
        (folder / "shop" / "admin.py").write_text(ADMIN)
        self.add_settings(SETTINGS)
        self.run("manage.py", "migrate", "-v0")
        for part in (YESTERDAY, A_DAY_PASSES, TODAY):
            self.run("manage.py", "shell", "-v0", "-c", part)
        self.run("manage.py", "backfill_reprs", "-v0")
