"""Whoever changes what is sealed is found out; what auditrepr itself does to the log is not."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.seals import sealing, verifying
from auditrepr.models import AuditLog, SealEntry
from auditrepr.vendors.types import BEGINNING
from tests.app.models import Author
from tests.capturing import sql
from tests.running import run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _small_ranges(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AUDITREPR = {"SEAL": True}
    monkeypatch.setattr(sealing, "EVENTS", 4)
    AuditLog.objects.all().delete()


def authors(count: int) -> list[int]:
    before = AuditLog.objects.count()
    for n in range(count):
        Author.objects.create(name=f"{before + n}")
    return list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))


def verify(**options: Any) -> verifying.Verified:
    return verifying.verify("default", **options)


def test_the_job_seals_what_is_settled_in_ranges_without_a_gap():
    ids = authors(10)
    run()
    rows = SealEntry.objects.order_by("number").values_list("after_id", "upto_id", "events")
    assert list(rows) == [(BEGINNING, ids[3], 4), (ids[3], ids[7], 4), (ids[7], ids[9], 2)]
    assert run().idle
    found = verify()
    assert (found.differences, found.seals, found.events) == ([], 3, 10)
