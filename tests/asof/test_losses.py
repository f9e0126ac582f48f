"""Tests values that PostgreSQL's ``jsonb`` changes: they are never exact."""

from __future__ import annotations

import pytest

from auditrepr.models import AuditLog
from auditrepr.reprs import build
from auditrepr.vendors.types import Event
from tests.capturing import sql

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

ORDER = "the log does not keep the order of the keys, or keys that come twice, in document"
SIGN = "the log does not keep the sign of a zero in floats"


@pytest.mark.parametrize(
    ("document", "floats", "reasons"),
    [
        ("""'{"b": 1, "a": 2, "a": 3}'""", "NULL", [ORDER]),
        ("NULL", "'{{1, -0.0}}'", [SIGN]),
        ("""'{"a": 1}'""", "'{{0}}'", [ORDER, SIGN]),
        ("NULL", "'{{1, NULL}, {2, 3}}'", []),
        ("NULL", "NULL", []),
    ],
)
def test_what_the_log_may_not_hold_as_the_table_does_is_mixed(
    document: str, floats: str, reasons: list[str]
) -> None:
    sql(f"INSERT INTO pgapp_lossy (document, floats) VALUES ({document}, {floats})")
    from tests.pgapp.models import Lossy

    live = str(Lossy.objects.get())
    (outcome,) = build([Event.of(AuditLog.objects.get())], "default")
    assert outcome.reason.splitlines() == reasons
    if not reasons:
        assert outcome.text == live
