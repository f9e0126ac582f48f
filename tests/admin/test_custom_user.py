"""Tests the admin with a custom user model: other field names, other keys."""

from __future__ import annotations

import pytest

from tests.shop import Shop

PERSON = """
import uuid
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models

class Customer(models.Model):
    name = models.TextField()

class Person(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=True)
    objects = BaseUserManager()
    USERNAME_FIELD = "email"
"""
SETTINGS = """
AUTH_USER_MODEL = "people.Person"
INSTALLED_APPS += ["people", "auditrepr"]
MIDDLEWARE += ["auditrepr.AuditContextMiddleware"]
AUDITREPR = {"MODELS": ["people.*"], "EXCLUDE": {"people.Person": ["password"]}}
ALLOWED_HOSTS = ["testserver"]
"""
WALK = """
from django.contrib import admin
from django.core.management import call_command
from django.test import Client
from people.models import Customer, Person
admin.site.register([Customer, Person])
ann = Person.objects.create(email="ann@example.com", is_superuser=True)
client = Client()
client.force_login(ann)
assert client.post("/admin/people/customer/add/", {"name": "Bob"}).status_code == 302
call_command("backfill_reprs", verbosity=0)
from auditrepr.models import AuditLog
event = AuditLog.objects.get(table_name="people_customer")
print(event.actor == str(ann.pk), AuditLog.objects.by(ann).filter(pk=event.pk).exists())
for url in ("", f"?actor={ann.pk}", f"{event.pk}/change/", "?who=ANN@ex"):
    answer = client.get(f"/admin/auditrepr/auditlog/{url}")
    print(answer.status_code, "ann@example.com" in answer.content.decode())
said = answer.content.decode()
answer = client.get(f"/admin/people/person/{ann.pk}/change/")
print(f'auditlog/?actor={ann.pk}">What this user did</a>' in answer.content.decode())
print(f'actor={ann.pk}"><bdi>ann@example.com</bdi>' in said)
"""


@pytest.mark.proof
@pytest.mark.sqlite
def test_events_name_who_it_was_and_are_found_by_it(tmp_path):
    shop = Shop(tmp_path)
    shop.run("manage.py", "startapp", "people")
    (tmp_path / "people" / "models.py").write_text(PERSON)
    shop.add_settings(SETTINGS)
    (tmp_path / "db.sqlite3").unlink()  # a user model is chosen before the first migration
    shop.run("manage.py", "makemigrations", "-v0", "people")
    shop.run("manage.py", "migrate", "-v0")
    told = shop.run("manage.py", "shell", "-v0", "-c", WALK)
    assert told.splitlines() == ["True True", *["200 True"] * 4, "True", "True"]
