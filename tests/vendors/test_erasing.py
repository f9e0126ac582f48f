"""Tests the erasing facet: texts are found, and values replaced, and nothing else is touched."""

from __future__ import annotations

import pytest

from auditrepr.capture import append_only
from auditrepr.models import AuditLog, InstanceRepr
from auditrepr.vendors import Vendor
from auditrepr.vendors.sought import Sought, Stretch
from auditrepr.vendors.types import digest_of_erased, erased_on
from tests.app.models import Author, Book
from tests.capturing import drop_append_only

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _events() -> None:
    AuditLog.objects.all().delete()
    Author.objects.create(name='Zoë "Q"')
    Book.objects.create(title="Ink", price="0.10")
    Book.objects.update(price="0.20")


@pytest.mark.parametrize("text", ["zoë", "ZO", '"Q', "Q"])
def test_naming_finds_whatever_holds_a_text(vendor: Vendor, text: str):
    sought = Sought(map(Stretch.of, ["nothing", text]))
    found = AuditLog.objects.filter(vendor.naming(("context", "row_data"), sought))
    assert found.filter(table_name="app_author").count() == 1
    assert not found.filter(table_name="app_book").exists()


def test_naming_finds_nothing_if_nothing_is_sought(vendor: Vendor):
    assert not AuditLog.objects.filter(vendor.naming(("row_data",), Sought([]))).exists()


def test_values_are_replaced_and_the_others_stay(vendor: Vendor):
    event = AuditLog.objects.get(action="U")
    before = {**event.row_data}
    digest = digest_of_erased("2026-01-31")
    vendor.replace_values(event.pk, ["title"], ["price"], digest)
    event.refresh_from_db()
    assert event.row_data == before | {"title": digest}
    assert str(event.row_data["price"]) == str(before["price"])
    assert event.changed_from == {"price": digest}
    assert erased_on(event.row_data["title"]) == "2026-01-31"
    vendor.replace_values(event.pk, [], [], digest)
    event.refresh_from_db()
    assert event.changed_from == {"price": digest}


def test_a_digest_takes_the_place_of_an_object(vendor: Vendor):
    event = AuditLog.objects.latest("pk")
    digest = digest_of_erased("2026-01-31")
    AuditLog.objects.filter(pk=event.pk).update(row_data={"a": {"$blob": "00"}, "b": 1})
    vendor.replace_values(event.pk, ["a"], [], digest)
    event.refresh_from_db()
    assert event.row_data == {"a": digest, "b": 1}


def test_guards_of_this_version_are_not_outdated(vendor: Vendor):
    assert not vendor.guards_outdated()
    append_only.install("default")
    try:
        assert not vendor.guards_outdated()
    finally:
        drop_append_only()


def test_tidying_changes_no_row(vendor: Vendor):
    InstanceRepr.objects.create(audit_log_id=1, instance_repr="x", fidelity="E")
    vendor.tidy_search()
    assert InstanceRepr.objects.count() == 1
