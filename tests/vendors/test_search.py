"""Tests the search facet: an index that finds representations by their text."""

from __future__ import annotations

import pytest

from auditrepr.models import Fidelity
from auditrepr.vendors import Vendor
from auditrepr.vendors.types import SearchIndex, Window
from tests.pages import event

pytestmark = pytest.mark.django_db

EVERYWHERE = Window()
MOST = 10


@pytest.fixture
def index(vendor: Vendor) -> SearchIndex:
    """The best index, over a few representations; one comes after it was created."""
    vendor.execute(vendor.remove_search_sql())
    for pk, text in enumerate(["Order of Ann", "Orders", "Invoice of Ann", "order 100%"], start=1):
        event(pk, text=text)
    best = vendor.best_search_index()
    vendor.execute(vendor.search_sql(best))
    event(5, text="Order of Bea")
    return best


def found(
    vendor: Vendor,
    index: SearchIndex,
    text: str,
    window: Window = EVERYWHERE,
    *,
    forward: bool = True,
    most: int = MOST,
) -> list[int] | None:
    """What the index finds; sorted, if it has no order of its own."""
    ids = vendor.search(index, text, window, forward, most)
    return ids if ids is None or index.in_order else sorted(ids)


def ordered(ids: list[int], index: SearchIndex, *, forward: bool) -> list[int]:
    return ids if forward or not index.in_order else ids[::-1]


def test_an_index_is_there_from_its_creation_to_its_removal(vendor: Vendor) -> None:
    vendor.execute(vendor.remove_search_sql())
    assert vendor.search_index() is None
    best = vendor.best_search_index()
    vendor.execute(vendor.search_sql(best))
    assert vendor.search_index() == best
    vendor.execute(vendor.remove_search_sql())
    assert vendor.search_index() is None
    vendor.execute(vendor.remove_search_sql())


@pytest.mark.parametrize("forward", [True, False])
def test_it_finds_how_representations_begin_whatever_the_case(
    vendor: Vendor, index: SearchIndex, forward: bool
) -> None:
    expected = ordered([1, 2, 4, 5], index, forward=forward)
    assert found(vendor, index, "order", forward=forward) == expected


def test_it_finds_any_part_if_it_says_so(vendor: Vendor, index: SearchIndex) -> None:
    assert found(vendor, index, "of Ann") == ([1, 3] if index.anywhere else [])


def test_what_is_special_in_a_pattern_stands_for_itself(vendor: Vendor, index: SearchIndex) -> None:
    assert found(vendor, index, "order 100%") == [4]
    assert found(vendor, index, "ord_r") == []
    assert found(vendor, index, 'order"') == []


def test_the_windows_ends_are_not_part_of_it(vendor: Vendor, index: SearchIndex) -> None:
    assert found(vendor, index, "order", Window(after=1, before=5)) == [2, 4]
    assert found(vendor, index, "order", Window(after=2)) == [4, 5]
    assert found(vendor, index, "order", Window(before=2)) == [1]


@pytest.mark.parametrize("forward", [True, False])
def test_more_than_the_limit_are_cut_in_order_or_none_at_all(
    vendor: Vendor, index: SearchIndex, forward: bool
) -> None:
    nearest = [1, 2] if forward else [5, 4]
    expected = nearest if index.in_order else None
    assert found(vendor, index, "order", forward=forward, most=2) == expected
    assert found(vendor, index, "order", most=4) == [1, 2, 4, 5]


def test_it_is_of_no_use_for_what_it_cannot_find_and_says_so(
    vendor: Vendor, index: SearchIndex
) -> None:
    assert found(vendor, index, "o") in (None, [1, 2, 4, 5])


def test_it_keeps_in_step_with_what_is_stored(vendor: Vendor, index: SearchIndex) -> None:
    vendor.replace([(1, "Receipt", Fidelity.EXACT.value, "")])
    assert found(vendor, index, "receipt") == [1]
    assert found(vendor, index, "order") == [2, 4, 5]


def changed(pk: int, old: str, new: str) -> None:
    values = {"row_data": {"title": new}, "changed_from": {"title": old}}
    event(pk, table_name="app_book", action="U", **values)


@pytest.fixture
def filled(vendor: Vendor) -> None:
    """Values of a few updates, and an index of them."""
    vendor.execute(vendor.remove_search_sql())
    for pk, old in enumerate(["Turkey", "100% wool", "turkeys", "else"], start=1):
        changed(pk, old, f"new {old}")
    event(9)
    vendor.fill_values(1, 4)
    vendor.fill_values(0, 9)


def test_values_are_scanned_to_where_it_says(vendor: Vendor, filled: None) -> None:
    everything, end = vendor.scan_values("turkey", EVERYWHERE, False, 10)
    assert (sorted(everything), end) == ([1, 3], None)
    assert vendor.scan_values("turkey", EVERYWHERE, False, 3) == ([3], 3)
    assert vendor.scan_values("turkey", EVERYWHERE, True, 2) == ([1], 2)
    assert vendor.scan_values("turkey", Window(1, 3), True, 2) == ([], None)
    assert vendor.scan_values("100% w", EVERYWHERE, True, 10) == ([2], None)
    assert vendor.scan_values("10__", EVERYWHERE, True, 10) == ([], None)
    assert vendor.scan_values("title", EVERYWHERE, True, 10) == ([], None)


def test_values_are_found_by_their_index(vendor: Vendor, filled: None) -> None:
    assert not vendor.values_index()
    if not vendor.best_search_index().anywhere:
        return  # without what it needs, there is none
    vendor.execute(vendor.values_sql())
    assert vendor.values_index()
    changed(11, "Turkey", "again")
    vendor.fill_values(9, 11)
    assert sorted(vendor.search_values("turkey", EVERYWHERE, True, MOST) or []) == [1, 3, 11]
    assert sorted(vendor.search_values("NEW turkey", Window(1, 11), True, MOST) or []) == [3]
    assert vendor.search_values("100% wool", EVERYWHERE, True, MOST) == [2]
    assert vendor.search_values("1%0", EVERYWHERE, True, MOST) in ([], None)
    vendor.execute(vendor.remove_search_sql())
    assert not vendor.values_index()
