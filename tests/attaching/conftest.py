"""One of the other logs, which records from now on; afterwards, the log is our own again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from auditrepr.models import AuditLog
from tests.attaching.attached import detach
from tests.table_logs import SUPA_AUDIT, TableLog
from tests.two_logs import TABLES


@pytest.fixture
def supa_audit() -> Iterator[TableLog]:
    """supa_audit's log."""
    SUPA_AUDIT.create()
    SUPA_AUDIT.record(TABLES)
    AuditLog.objects.all().delete()
    yield SUPA_AUDIT
    detach()
    SUPA_AUDIT.drop()
