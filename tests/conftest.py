"""Which tests run on which database, and what the run could not try."""

from __future__ import annotations

import pytest
from django.db import connection


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests about the other database: they run when the tests run there."""
    about = {"sqlite", "postgresql"} - {connection.vendor}
    elsewhere = [item for item in items if any(map(item.get_closest_marker, about))]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]
