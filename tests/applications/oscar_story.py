"""A shop's first days, told with django-oscar's own test data: ``nox --session applications``."""

from __future__ import annotations

import random

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import transaction
from oscar.core.loading import get_model
from oscar.test import factories

from auditrepr.making import TODAY
from auditrepr.models import AuditLog, Fidelity, ReprFailure
from auditrepr.tracking import log_name
from tests.oracle import Oracle

#: Their rows are not objects of the shop; "oscar" are its test data's models without tables.
OTHERS = {"auditrepr", "oscar", "contenttypes", "sessions", "admin"}

#: A category asks its tree for whatever lies above it; an offer's condition and benefit make
#: another object of themselves, which nobody knows, to ask that for its name.
ASK_AGAIN = ("catalogue_category", "offer_condition", "offer_benefit")


def _models():
    models = [model for model in apps.get_models() if model._meta.app_label not in OTHERS]
    return [model for model in models if model._meta.managed and not model._meta.proxy]


def _shop() -> None:
    product, order = get_model("catalogue", "Product"), None
    ann = factories.UserFactory(username="ann")
    for number in range(3):
        with transaction.atomic():
            article = factories.create_product(
                title=f"p{number}", upc=f"u{number}", attributes={"colour": f"c{number}"}
            )
            factories.create_stockrecord(article, num_in_stock=10, partner_name=f"partner{number}")
        with transaction.atomic():
            order = factories.create_order(
                number=f"N{number}", user=ann, shipping_address=factories.ShippingAddressFactory()
            )
    factories.create_voucher()
    factories.create_offer(name="spring")
    books = factories.CategoryFactory(name="books")
    books.add_child(name="poems", slug="poems")
    factories.ProductReviewFactory()
    factories.WishListFactory(owner=ann)
    product.objects.update(title="all the same")
    books.name = "print"
    books.save()
    get_model("basket", "Line").objects.update(quantity=4)
    for gone in (order, product.objects.order_by("pk").last(), ann):
        with transaction.atomic():
            gone.delete()


@pytest.mark.django_db(transaction=True)
def test_what_is_stored_of_a_shop_is_what_its_objects_said():
    AuditLog.objects.all().delete()
    random.seed(3)
    models = _models()
    oracle = Oracle(models)
    with oracle.listening():
        _shop()
    call_command("backfill_reprs", verbosity=0)
    assert not AuditLog.objects.pending().exists()
    assert not ReprFailure.objects.exists()
    tables = [log_name(model._meta.db_table) for model in models]
    events = AuditLog.objects.filter(table_name__in=tables).with_reprs()
    assert {event.pk for event in events} == set(oracle.expected)
    stored = [(event, event.instance_repr) for event in events]
    exact = [(event, one) for event, one in stored if one.fidelity == Fidelity.EXACT]
    mixed = {
        event.table_name: one.reason for event, one in stored if one.fidelity == Fidelity.MIXED
    }
    assert [one.instance_repr for _, one in exact] == [oracle.expected[e.pk] for e, _ in exact]
    assert (len(stored), len(exact)) == (93, 90)
    assert mixed == dict.fromkeys(ASK_AGAIN, TODAY)
