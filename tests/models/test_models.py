"""Tests how rows of auditrepr's own tables are named in lists."""

from __future__ import annotations

import pytest
from django.db.models import Model

from auditrepr.models import Checkpoint, Coverage, InstanceRepr, RebuildCursor


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (InstanceRepr(instance_repr="Ada"), "Ada"),
        (Checkpoint(settled_id=7), "watermark at event 7"),
        (RebuildCursor(reached_id=3, top_id=9), "rebuilt up to event 3 of 9"),
        (
            Coverage(table_name="app_author", since_event=5, reason="installed"),
            "app_author since 5 (installed)",
        ),
    ],
)
def test_they_are_called_by_what_they_say(row: Model, text: str) -> None:
    assert str(row) == text
