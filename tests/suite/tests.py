"""The test suite of the application; each test expects an empty log and leaves events in it."""

from __future__ import annotations

from django.core.management import call_command
from django.test import TestCase, TransactionTestCase

from auditrepr import capture
from auditrepr.models import AuditLog, InstanceRepr
from tests.apart import statements_apart

from .models import Jar, Shelf


def fill() -> None:
    shelf = Shelf.objects.create(name="Top")
    Jar.objects.bulk_create([Jar(shelf=shelf, content="Plum"), Jar(shelf=shelf, content="Fig")])
    shelf.delete()


def check() -> None:
    """What is so in every test, whatever those before it did."""
    assert not AuditLog.objects.exists()
    assert {state.status for state in capture.inspect("default")} == {capture.Status.OK}
    with statements_apart():
        fill()
        assert "".join(AuditLog.objects.values_list("action", flat=True)) == "IIIDDD"
        Shelf.objects.create(name="Low")
    call_command("backfill_reprs", verbosity=0)
    assert InstanceRepr.objects.filter(instance_repr="Low").count() == 1


class InATransaction(TestCase):
    def test_one(self) -> None:
        check()

    def test_representations_are_exact(self) -> None:
        # After a flush without post_migrate, capture has not been checked.
        check()
        assert set(InstanceRepr.objects.values_list("fidelity", "reason")) == {("E", "")}


class Flushed(TransactionTestCase):
    def test_one(self) -> None:
        check()

    def test_two(self) -> None:
        check()


class FlushedWithSequences(Flushed):
    reset_sequences = True


class FlushedWithItsContents(Flushed):
    serialized_rollback = True


class FlushedInPart(Flushed):
    """Django flushes only these applications' tables, and sends no ``post_migrate``."""

    available_apps = ["auditrepr", "tests.suite"]
