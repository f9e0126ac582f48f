"""Tests that all threads share one vendor for each alias, whatever the settings are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.utils.connection import ConnectionDoesNotExist

from auditrepr.exceptions import DatabaseUndefined, UnsupportedDatabase
from auditrepr.vendors import Vendor, get_vendor, supports
from auditrepr.vendors.base.facet import Facet
from tests.app.models import Author
from tests.vendors.recording import elsewhere

ELSEWHERE = {"postgresql": "sqlite", "sqlite": "postgresql"}


def test_there_is_one_vendor_for_each_alias(vendor: Vendor) -> None:
    assert get_vendor("default") is vendor
    assert get_vendor("other") is get_vendor("other") is not vendor
    assert (vendor.using, get_vendor("other").using) == ("default", "other")


@pytest.mark.django_db
def test_threads_share_the_vendor_and_not_the_connection(vendor: Vendor) -> None:
    def ask() -> tuple[Vendor, Any]:
        found = get_vendor("default")
        return found, found.connection

    with ThreadPoolExecutor(1) as thread:
        theirs, their_connection = thread.submit(ask).result()
    assert theirs is vendor
    assert their_connection is not vendor.connection
    assert vendor.connection is connections["default"]


@pytest.mark.django_db(transaction=True)
def test_each_thread_asks_in_its_own_transaction(vendor: Vendor) -> None:
    before = vendor.reach().visible
    elsewhere(lambda: Author.objects.create(name="Ann"))
    assert vendor.reach().visible > before


def test_an_alias_whose_database_is_another_has_another_vendor(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(type(connections["default"]), "vendor", ELSEWHERE[connection.vendor])
        other = get_vendor("default")
        assert type(other) is not type(vendor)
    assert get_vendor("default") is vendor


def test_a_database_that_is_not_supported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert supports(connection)
    monkeypatch.setattr(type(connections["default"]), "vendor", "oracle")
    assert not supports(connection)
    with pytest.raises(UnsupportedDatabase, match="oracle"):
        get_vendor("default")


def test_where_the_settings_leave_a_database_empty_the_others_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = connections["default"].settings_dict | {"ENGINE": "django.db.backends.dummy"}
    monkeypatch.setattr(connections["default"], "settings_dict", empty)
    monkeypatch.setattr(connections["default"], "vendor", "unknown")
    with pytest.raises(DatabaseUndefined, match=r'"default".* names no .*: --database other\.'):
        get_vendor("default")


def test_an_unknown_alias_is_an_error() -> None:
    with pytest.raises(ConnectionDoesNotExist):
        get_vendor("nowhere")


@pytest.mark.django_db
def test_the_short_ways_to_ask_give_rows_values_and_columns() -> None:
    facet = Facet("default")
    numbers = "SELECT 1 AS n, 'a' UNION ALL SELECT 2, 'b' ORDER BY n"
    nothing = "SELECT 1 WHERE 1 = 0"
    assert facet.rows(numbers) == [(1, "a"), (2, "b")]
    assert (facet.row(numbers), facet.row(nothing)) == ((1, "a"), None)
    assert (facet.value(numbers), facet.value(nothing)) == (1, None)
    assert (facet.column(numbers), facet.column(nothing)) == ([1, 2], [])
    assert facet.value("SELECT %s", ["x%"]) == "x%"
    facet.execute(["CREATE TABLE made (id integer)", "INSERT INTO made VALUES (1)"])
    assert facet.value("SELECT count(*) FROM made") == 1
