"""Tests erasing: nothing of the person is left, what is left stays true, and seals verify."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

import auditrepr
from auditrepr.job.erasing.needles import MARK
from auditrepr.job.erasing.run import Asked, Erased, erase
from auditrepr.job.erasing.target import ActorTarget, ObjectTarget
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog, BackfillRun, Erasure, InstanceRepr, ReprFailure
from tests.app.models import Author, Book, Tag

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "Zoë O'Quill"


def erased(model: Any, pk: Any, *columns: str, **how: Any) -> Erased:
    target = ObjectTarget.of("default", model, pk, columns)
    return erase(Asked(target, **how), lock=DatabaseLock("default"))


def actor_erased(actor: str) -> Erased:
    target = ActorTarget("default", actor)
    return erase(Asked(target), lock=DatabaseLock("default"))


def backfill(**options: Any) -> None:
    call_command("backfill_reprs", verbosity=0, **options)


def dump() -> str:
    """All that auditrepr's tables hold, as text."""
    found = []
    for model in apps.get_app_config("auditrepr").get_models():
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')
            found += [f"{model._meta.db_table} {row!r}" for row in cursor.fetchall()]
    return "\n".join(found)


def texts() -> list[tuple[str, str]]:
    rows = InstanceRepr.objects.order_by("pk")
    return list(rows.values_list("instance_repr", "fidelity"))


def test_a_deleted_object_leaves_nothing():
    author = Author.objects.create(name=NAME)
    Author.objects.filter(pk=author.pk).update(name=NAME.upper())
    book = Book.objects.create(title="Ink", author=author)
    copy = Book.objects.create(title=f"Letters to {NAME}")
    with auditrepr.context(user="admin", reason=f"as {NAME} asked"):
        Book.objects.filter(pk=copy.pk).update(price=2)
    backfill()
    BackfillRun.objects.create(
        started_at="2026-01-01T00:00Z", host="h", pid=1, error=json.dumps(NAME)
    )
    key = author.pk
    Author.objects.filter(pk=key).delete()
    backfill()
    assert "Quill" in dump()
    done = erased(Author, key)
    assert "quill" not in dump().lower()
    assert "zo" not in dump().lower().replace("zone", "")
    assert done.record.finished_at and not done.stopped
    backfill(rescan=True)
    call_command("rebuild_reprs", verbosity=0)
    assert "quill" not in dump().lower()
