from __future__ import annotations

from typing import Any

import pytest
from django.utils.timezone import now

from auditrepr.models import AuditLog
from auditrepr.readers.changes import VALUE_LENGTH, changes, fields, model_label
from auditrepr.utils.text import visible

pytestmark = pytest.mark.django_db


def updated(old: dict[str, Any], row: dict[str, Any], table: str = "app_book") -> AuditLog:
    return AuditLog(table_name=table, action="U", row_data=row, changed_from=old, occurred_at=now())


def said(old: dict[str, Any], row: dict[str, Any], table: str = "app_book") -> list[str]:
    return [str(change) for change in changes(updated(old, row, table))]


def test_changes_stand_in_the_order_of_the_models_fields_under_their_names() -> None:
    old = {"published": "1818-01-01", "author_id": 2, "title": "A"}
    row = {"title": "B", "author_id": 3, "published": None, "id": 1}
    assert said(old, row) == [
        "title: A → B",
        "author: 2 → 3",
        "published: 1818-01-01 → (none)",
    ]


def test_nothing_and_empty_are_told_apart() -> None:
    assert said({"title": None}, {"title": ""}) == ["title: (none) → (empty)"]


def test_choices_go_by_their_labels() -> None:
    found = changes(updated({"action": "I"}, {"action": "D"}, table="auditrepr_auditlog"))
    assert [str(change) for change in found] == ["action: added → deleted"]


def test_a_column_that_no_field_has_goes_by_its_own_name() -> None:
    assert said({"gone": 1}, {"gone": [1]}) == ["gone: 1 → [1]"]
    assert said({"gone": True}, {"gone": False}, "nowhere") == ["gone: True → False"]
    assert model_label("nowhere") == "nowhere"


def test_a_column_that_the_row_no_longer_has_is_not_left_out() -> None:
    assert said({"gone": 1}, {"title": "A"}) == ["gone: 1 → (none)"]


def test_long_values_are_cut_around_their_first_difference() -> None:
    same = "x" * 500
    [text] = said({"title": f"{same}old{same}"}, {"title": f"{same}new{same}"})
    assert text.startswith("title: …xxx")
    assert "xold" in text
    assert "→ …xxx" in text
    assert "xnew" in text
    assert len(text) < 2 * VALUE_LENGTH + 30


def test_a_value_that_only_grew_shows_where() -> None:
    [text] = said({"title": "x" * 500}, {"title": "x" * 500 + "!"})
    assert text.endswith("x!")


def test_an_event_without_changes_says_nothing_and_still_has_fields() -> None:
    added = AuditLog(
        table_name="app_author", action="I", row_data={"id": 1, "name": "Ada"}, occurred_at=now()
    )
    assert changes(added) == []
    assert [(f.label, f.before, f.after, f.changed) for f in fields(added)] == [
        ("ID", "", "1", True),
        ("name", "", "Ada", True),
    ]
    assert fields(AuditLog(table_name="app_author", action="T", occurred_at=now())) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb", r"a\nb"),
        ("a\u202eb", r"a\u202eb"),
        ("a\ud800b", r"a\ud800b"),
        ("👩\u200d👧 a\u200cb", "👩\u200d👧 a\u200cb"),
        ("עברית", "עברית"),
    ],
)
def test_what_acts_unseen_is_written_out_and_what_joins_stays(text: str, shown: str) -> None:
    assert visible(text) == shown
