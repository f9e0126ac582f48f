"""Tests the seal facet: the digest of a row, from all of its columns."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from auditrepr.job.seals.form import framed
from auditrepr.models import AuditLog
from auditrepr.vendors import Vendor
from auditrepr.vendors.base.seal import COLUMNS
from tests.app.models import Author
from tests.sealing import text

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def events() -> list[int]:
    """Three events, with whatever text and times; the last one is nearly empty."""
    AuditLog.objects.all().delete()
    Author.objects.create(name="Zoë 🙂 2:ab:")
    Author.objects.update(name="")
    AuditLog.objects.create(id=AuditLog.objects.latest("pk").pk + 7, table_name="", action="T")
    context: dict[str, Any] = {"user": "17", "reason": "ü", "n": [1.50, None, True]}
    AuditLog.objects.filter(action="U").update(
        context=context, writer="", transaction_id=2**40, snapshot="1:2:", previous_object_id="0"
    )
    return list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))


def test_a_digest_covers_every_column(vendor: Vendor, events: list[int]) -> None:
    assert {f.column for f in AuditLog._meta.concrete_fields} == set(COLUMNS)
    texts = vendor.rows(
        f"SELECT {', '.join(map(text, COLUMNS))} FROM auditrepr_auditlog"
        " ORDER BY auditrepr_auditlog.id"  # not by its text
    )
    digests = [sha256(framed(row)).digest() for row in texts]
    assert vendor.row_digests(events[0] - 1, events[-1]) == list(zip(events, digests, strict=True))


def test_a_range_has_its_end_and_not_its_beginning(vendor: Vendor, events: list[int]) -> None:
    first, second, third = events
    assert [pk for pk, _ in vendor.row_digests(first, second)] == [second]
    assert [pk for pk, _ in vendor.row_digests(second, third - 1)] == []
    assert [pk for pk, _ in vendor.row_digests(-(2**63), 2**63 - 1, 2)] == [first, second]


def test_null_and_empty_text_and_the_next_column_are_told_apart(vendor: Vendor) -> None:
    last = AuditLog.objects.latest("pk").pk
    seen = set()
    for object_id, previous in ((None, ""), ("", None), ("", ""), (":", ""), ("", ":"), ("1:", "")):
        AuditLog.objects.filter(pk=last).update(object_id=object_id, previous_object_id=previous)
        seen.add(vendor.row_digests(last - 1, last)[0][1])
    assert len(seen) == 6
