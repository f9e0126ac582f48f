"""What an update has changed is known across changes of the object's key, or not said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from auditrepr.job import importing
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog

pytestmark = [pytest.mark.usefixtures("other_log"), pytest.mark.django_db(transaction=True)]

BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def select(using: str) -> str:
    return (
        "SELECT number AS position, table_name, object_id, previous_object_id, action, row_data,"
        " occurred_at FROM old_log"
    )


def without_keys(using: str) -> str:
    return select(using).replace("previous_object_id, ", "")


@pytest.fixture
def sources() -> dict[str, Any]:
    return {"SOURCES": {"ours": select, "keyless": without_keys}}


Change = tuple[str, int | tuple[int, int], str]  # action, the key or how it changed, the name


def changed(*changes: Change, at: tuple[int, ...] = (), source: str = "ours") -> list[Any]:
    """What each update of a history has changed.

    :param at: the seconds at which the changes come; by default, each has its own.
    """
    adapt = connection.ops.adapt_datetimefield_value
    for n, (action, key, name) in enumerate(changes):
        was, now = key if isinstance(key, tuple) else (None, key)
        row = json.dumps({"id": now, "name": name})
        when = adapt(BEGIN + timedelta(seconds=at[n] if at else n))
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO old_log (number, table_name, object_id, previous_object_id, action,"
                " row_data, occurred_at) VALUES (%s, 'app_author', %s, %s, %s, %s, %s)",
                [n, str(now), None if was is None else str(was), action, row, str(when)],
            )
    importing.run(importing.Request("default", [source]), lock=DatabaseLock("default"))
    rows = AuditLog.objects.filter(action="U").order_by("pk")
    return list(rows.values_list("changed_from", flat=True))


def test_a_changed_key_is_followed_to_the_same_object() -> None:
    assert changed(
        ("I", 4, "a"), ("U", (4, 5), "b"), ("U", 5, "c"), ("U", (5, 6), "c"), ("U", (6, 7), "d")
    ) == [{"id": 4, "name": "a"}, {"name": "b"}, {"id": 5}, {"id": 6, "name": "c"}]  # fmt: skip


def test_another_object_that_had_the_key_before_is_not_the_same() -> None:
    assert changed(("I", 5, "gone"), ("I", 4, "a"), ("D", 5, "gone"), ("U", (4, 5), "a")) == [
        {"id": 4}
    ]


def test_another_object_that_has_the_key_afterwards_is_not_the_same() -> None:
    assert changed(
        ("I", 4, "a"), ("U", (4, 5), "a"), ("I", 4, "new"), ("U", 4, "newer"), ("U", 5, "b")
    ) == [{"id": 4}, {"name": "new"}, {"name": "a"}]  # fmt: skip


def test_a_key_that_is_named_without_being_changed_is_none() -> None:
    assert changed(("I", 4, "a"), ("U", (4, 4), "b"), ("U", (4, 4), "c")) == [
        {"name": "a"}, {"name": "b"},
    ]  # fmt: skip


@pytest.mark.parametrize("apart", [0, 1])
def test_each_row_gets_the_key_of_the_next_one(apart: int) -> None:
    """In one statement: the row that was at a key leaves it after another one has come."""
    shift: list[Change] = [("U", (1, 2), "a"), ("U", (2, 3), "b")]
    again: list[Change] = [("U", (2, 3), "a"), ("U", (3, 4), "b")]
    at = (0, 1, 2, 2 + apart, 3, 4, 4 + apart, 6, 7)
    history = [("I", 1, "a"), ("I", 2, "b"), *shift, ("U", 2, "a2"), *again, ("U", 3, "a3")]
    found = changed(*history, at=at[: len(history)])
    # Where two rows have met, the event before is not certain; whatever is said is true.
    assert found == [{"id": 1}, None, None, {"id": 2, "name": "a2"}, None, None]


def test_the_other_way_round_nothing_is_in_doubt() -> None:
    assert changed(
        ("I", 1, "a"), ("I", 2, "b"), ("U", (2, 3), "b"), ("U", (1, 2), "a"), at=(0, 1, 2, 2)
    ) == [{"id": 2}, {"id": 1}]  # fmt: skip


def test_what_comes_after_a_deletion_is_another_object() -> None:
    """A log that does not name former keys has an update there, of which nothing is known."""
    assert changed(("I", 5, "gone"), ("D", 5, "gone"), ("U", 5, "a"), ("U", 5, "b")) == [
        None, {"name": "a"},
    ]  # fmt: skip


def test_likewise_in_a_log_that_cannot_name_them() -> None:
    assert changed(
        ("I", 5, "gone"), ("D", 5, "gone"), ("U", 5, "a"), ("U", 5, "b"), source="keyless"
    ) == [None, {"name": "a"}]  # fmt: skip
