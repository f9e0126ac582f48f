"""Tests that texts are erased in every column that may hold one, however deeply it is nested."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

import auditrepr
from auditrepr.job.erasing.needles import MARK, texts_in
from auditrepr.job.erasing.preview import preview
from auditrepr.job.erasing.run import Asked
from auditrepr.job.erasing.target import ObjectTarget
from auditrepr.models import AuditLog, BackfillRun, Erasure
from tests.app.fields import Everything
from tests.app.models import Author, Book
from tests.capturing import sql
from tests.erasing import actor_erased, backfill, dump, erased

pytestmark = [pytest.mark.proof, pytest.mark.django_db(transaction=True)]

NAME = "Zoltan Quillfeather"
#: More than Python's functions may be nested, and less than what reads JSON refuses.
LEVELS = 600


def deleted_author() -> int:
    author = Author.objects.create(name=NAME)
    key = author.pk
    author.delete()
    return key


def deep(text: str) -> Any:
    value: Any = text
    for _ in range(LEVELS):
        value = {"a": [value]} if value == text else {"a": value}
    return value


def write(column: str, value: Any) -> int:
    """An event of another object, as another program may write it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO auditrepr_auditlog"
            f" (table_name, object_id, action, {column}, statement_at, occurred_at)"
            " VALUES ('app_book', '5000', 'I', %s, %s, %s)",
            [json.dumps(value), timezone.now(), timezone.now()],
        )
    return AuditLog.objects.latest("pk").pk


@pytest.mark.postgresql
def test_writers_are_erased():
    sql(f"SET application_name = 'psql of {NAME}'")
    Book.objects.create(title="Ink")
    key = deleted_author()
    sql("RESET application_name")
    backfill()
    role = AuditLog.objects.latest("pk").writer.partition(" (")[0]
    found = preview(Asked(ObjectTarget.of("default", Author, key, ())))
    assert found.contexts == 3
    assert erased(Author, key).record.contexts == 3
    assert "quillfeather" not in dump()
    assert {event.writer for event in AuditLog.objects.all()} == {f"{role} (psql of {MARK})"}


def test_hosts_of_runs_and_who_erased_before_are_erased():
    key = deleted_author()
    backfill()
    host = f"laptop-of-{NAME}"
    holder = BackfillRun.objects.get().holder
    BackfillRun.objects.update(host=host, holder={**holder, "host": host})
    Erasure.objects.create(subject="actor", by=f"zq@{host}", finished_at=timezone.now())
    done = erased(Author, key).record
    assert "quillfeather" not in dump()
    run = BackfillRun.objects.get()
    assert run.holder == {**holder, "host": f"laptop-of-{MARK}"}
    assert run.host == f"laptop-of-{MARK}"
    assert Erasure.objects.earliest("pk").by == f"zq@laptop-of-{MARK}"
    assert done.others == 2


def test_who_erases_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("getpass.getuser", lambda: NAME)
    done = erased(Author, deleted_author()).record
    assert done.by.startswith(NAME)


@pytest.mark.parametrize("column", ["row_data", "changed_from", "context"])
def test_a_value_that_is_nested_deeply_is_erased(column: str):
    event = write(column, {"deep": deep(NAME), "other": deep("Other"), "name": f"of {NAME}"})
    key = deleted_author()
    backfill()
    erased(Author, key)
    assert "quillfeather" not in dump()
    left = getattr(AuditLog.objects.get(pk=event), column)
    assert left.keys() == {"deep", "other", "name"}
    assert column == "context" or left["deep"] == left["name"]
    assert list(texts_in(left["other"])) == ["Other"]


def test_a_deep_value_of_others_stays():
    event = write("context", {"deep": deep("Other"), "reason": f"for {NAME}"})
    erased(Author, deleted_author())
    left = AuditLog.objects.get(pk=event).context
    assert left["reason"] == f"for {MARK}"
    assert list(texts_in(left["deep"])) == ["Other"]


def test_deep_values_of_the_erased_are_erased():
    with auditrepr.context(user="17", said=deep(NAME)):
        one = Everything.objects.create(json=deep("Wilma Berg"), char=None)
    key = one.pk
    one.delete()
    actor_erased("17")
    assert "quillfeather" not in dump()
    erased(Everything, key)
    assert "wilma" not in dump()
