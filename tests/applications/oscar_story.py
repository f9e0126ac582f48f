"""A shop's first days, with django-oscar's own test data: ``nox --session applications``."""

from __future__ import annotations

import random

import pytest
from django.db import transaction
from oscar.core.loading import get_model
from oscar.test import factories

from tests.applications.telling import tell

#: Their rows are not objects of the shop; "oscar" are its test data's models without tables.
OTHERS = {"auditrepr", "oscar", "contenttypes", "sessions", "admin"}


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
def test_the_representations_of_a_shop_are_the_texts_of_its_objects():
    random.seed(3)
    told = tell(_shop, OTHERS)
    assert (told.events, told.exact) == (93, 93)
    assert told.mixed == {}
    assert told.raised == {}
