"""The demo's history of the world, with rougher changes added."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat, Upper

from auditrepr.asof.states.states import BESIDE
from management.gazetteer import steps
from management.gazetteer.models import Country, Language, Subdivision
from tests.applications.telling import tell

OTHERS = {"auditrepr", "contenttypes", "sessions", "admin", "auth"}


def _story() -> None:
    for part in steps.remaining():
        steps.take(part)
    _rename()
    _turn_round()
    _take_back()
    _delete()


def _rename() -> None:
    """By the ORM, in bulk, and in raw SQL: a country, and with it what lies in it."""
    france = Country.objects.get(alpha_2="FR")
    france.common_name = "La France"
    france.save()
    Country.objects.filter(alpha_2__in=["DE", "AT"]).update(common_name=Upper("name"))
    peaks = list(Subdivision.objects.filter(country__alpha_2="CH"))
    for canton in peaks:
        canton.name = f"Canton {canton.name}"
    Subdivision.objects.bulk_update(peaks, ["name"])
    Subdivision.objects.filter(country=france).update(name=Concat(F("name"), Value(" (F)")))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE gazetteer_language SET name = 'so-called ' || name WHERE type = 'C'")


def _turn_round() -> None:
    """Run one statement for a parent, the places within it, and the places next to it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE gazetteer_subdivision SET name = 'new ' || name, parent_id ="
            " (SELECT id FROM gazetteer_subdivision WHERE code = 'GB-SCT') WHERE code LIKE 'GB-%%'"
            " AND code <> 'GB-SCT'"
        )
    Subdivision.objects.filter(code="GB-SCT").update(name="Alba")


def _take_back() -> None:
    """What is rolled back leaves no event; what comes before and after it in a transaction does."""
    with transaction.atomic():
        Country.objects.filter(alpha_2="IT").update(common_name="Italia")
        inner = transaction.savepoint()
        Country.objects.filter(alpha_2="IT").update(common_name="Nowhere")
        transaction.savepoint_rollback(inner)
        Subdivision.objects.filter(code="IT-62").update(name="Latium")


def _delete() -> None:
    """By the ORM with what hangs on it, in bulk, and in raw SQL: subdivisions, then a country."""
    with transaction.atomic():
        Subdivision.objects.filter(country__alpha_2="ES", parent__isnull=False).delete()
        Subdivision.objects.filter(country__alpha_2="ES").delete()
        Country.objects.get(alpha_2="ES").delete()
    Language.objects.filter(type="A").delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM gazetteer_language WHERE type = 'E'")


@pytest.mark.django_db(transaction=True)
def test_the_representations_of_the_gazetteer_are_the_texts_of_its_objects():
    told = tell(_story, OTHERS)
    assert (told.events, told.raised) == (14_483, {})
    if connection.vendor == "postgresql":
        assert (told.exact, told.mixed) == (14_483, {})
    else:
        # How many changed in one millisecond is a matter of speed.
        assert told.mixed == {} or told.mixed == {"gazetteer_subdivision": {BESIDE}}
