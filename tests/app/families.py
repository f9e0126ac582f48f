"""Multi-table inheritance: with another key than the parent's, with two parents, and by a text."""

from __future__ import annotations

from django.db import models

import auditrepr


@auditrepr.track
class Contact(models.Model):
    phone = models.CharField(max_length=50)


@auditrepr.track
class Employee(Contact):
    """Its key is not that of its contact."""

    number = models.AutoField(primary_key=True)
    contact = models.OneToOneField(Contact, models.CASCADE, parent_link=True)
    desk = models.CharField(max_length=50)


@auditrepr.track
class Payer(models.Model):
    payer_id = models.AutoField(primary_key=True)
    iban = models.CharField(max_length=50)


@auditrepr.track
class Reader(models.Model):
    reader_id = models.AutoField(primary_key=True)
    nick = models.CharField(max_length=50)


@auditrepr.track
class Subscriber(Payer, Reader):
    """Its key is the payer's; the reader's is another one."""


@auditrepr.track
class ByMail(models.Model):
    mail = models.CharField(max_length=50, primary_key=True)

    def __str__(self) -> str:
        return f"{self.mail[:2].upper()} in {self.mail[-2:].upper()}"


@auditrepr.track
class Member(ByMail):
    note = models.CharField(max_length=50)
