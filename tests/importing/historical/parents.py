"""Imports what children's histories say of their parents; test_import_models.py runs it."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from tests.capturing import next_moment
from tests.importing.historical.models import Building, Place, Restaurant, Tower
from tests.importing.together import Event, begin, recorded, switch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty() -> None:
    begin()


def actions(events: list[Event]) -> list[tuple[str, str]]:
    return [(key, action) for key, action, *_ in events]


def imported(table: str) -> list[tuple[str, str]]:
    """Return what the log has of a table after the import: of each event, key and action."""
    call_command("import_audit_log", "simple_history", verbosity=0)
    return actions(recorded()[table])


def tower(**key: int) -> Tower:
    made = Tower.objects.create(street="High Street", height=5, **key)
    next_moment()
    return made


def test_a_parent_that_is_kept_does_not_end() -> None:
    tower().delete(keep_parents=True)
    tower().delete()
    seen = switch()
    assert imported("building") == actions(seen["building"])
    assert [action for _, action in actions(seen["building"])] == ["I", "I", "D"]


def test_a_parent_that_was_kept_and_ends_after_our_beginning_does_so_once() -> None:
    kept = tower()
    kept.delete(keep_parents=True)
    seen = switch()
    Building.objects.all().delete()
    key = seen["building"][0][0]
    assert imported("building") == [(key, "I"), (key, "D")]


def test_a_parent_that_is_added_again_after_our_beginning_had_ended() -> None:
    first = tower(id=5)
    first.delete()
    switch()
    tower(id=5)
    assert imported("building") == [("5", "I"), ("5", "D"), ("5", "I")]


def test_a_parent_that_is_added_again_before_our_beginning_had_ended() -> None:
    tower(id=5).delete()
    next_moment()
    tower(id=5)
    seen = switch()
    assert imported("building") == actions(seen["building"])
    assert len(seen["building"]) == 3


def test_a_child_of_a_parent_that_exists_does_not_add_it_again() -> None:
    place = Place.objects.create(name="Corner")
    next_moment()
    Restaurant(place_ptr=place, name="Corner", stars=2).save()
    next_moment()
    Restaurant.objects.get().delete(keep_parents=True)
    next_moment()
    Restaurant(place_ptr=place, name="Square", stars=3).save()
    seen = switch()
    assert len(seen["place"]) == 2  # the first child changed nothing of it
    key = str(place.pk)
    assert imported("place") == [(key, "I"), (key, "U"), (key, "U")]


def test_a_child_is_added_with_its_parent_if_the_one_before_had_ended() -> None:
    place = Place.objects.create(name="Corner", id=5)
    next_moment()
    place.delete()
    next_moment()
    Restaurant.objects.create(id=5, name="Square", stars=2)
    seen = switch()
    assert imported("place") == actions(seen["place"])
    assert len(seen["place"]) == 3
