"""A log of a project's own, empty, which the settings name as a source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from auditrepr.models import AuditLog
from tests import old_log


@pytest.fixture
def sources() -> dict[str, Any]:
    """The settings; a module may have others."""
    return old_log.SOURCES


@pytest.fixture
def other_log(settings: Any, sources: dict[str, Any]) -> Iterator[None]:
    """The old log, in place of what was recorded so far."""
    settings.AUDITREPR = sources
    AuditLog.objects.all().delete()
    old_log.create()
    yield
    old_log.drop()
