"""Tests the pages about erasures: what is unfinished, and nothing of what was erased."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from auditrepr.job.erasing import records
from auditrepr.job.erasing.target import ActorTarget, ObjectTarget
from auditrepr.job.monitoring.status import of
from auditrepr.management.status_formats import document, prometheus
from auditrepr.models import Erasure
from tests.app.models import Author
from tests.erasing import erased
from tests.pages import RUNS, page, reader, staff, words

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["reader"]

PAGE = "/admin/auditrepr/erasure/"


def begun(*columns: str) -> Erasure:
    """An erasure that was cut short, of an author."""
    key = Author.objects.create(name="Zoë Quill").pk
    return records.begin(ObjectTarget.of("default", Author, key, columns))


@pytest.mark.proof
def test_the_list_says_when_by_whom_and_how_much_and_not_of_whom(reader: Client):
    author = Author.objects.create(name="Zoë Quill")
    key = author.pk
    author.delete()
    done = erased(Author, key).record
    begun()
    text = words(page(reader, PAGE))
    assert f"done object Author {done.by} 2 0 0 0 0" in text
    assert "unfinished object Author" in text
    assert "Quill" not in text
    assert "secret" not in text.lower()


def test_an_unfinished_one_says_how_to_continue(reader: Client):
    one = begun("name")
    text = words(page(reader, f"{PAGE}{one.pk}/change/"))
    assert "manage.py erase_from_audit_log --object app.Author:PK --columns name" in text
    assert "PK or USER stands for whom it was about" in text
    assert "Ended at" not in text
    records.finish(one)
    text = words(page(reader, f"{PAGE}{one.pk}/change/"))
    assert "erase_from_audit_log" not in text
    assert "State: done" in text
    assert "Ended at" in text


def test_the_command_has_what_is_known_of_the_options():
    actor = records.begin(ActorTarget("default", "17", ["user_name", "the reason"]))
    assert actor.command("other") == (
        "manage.py erase_from_audit_log --actor USER --columns 'the reason' user_name"
        " --database other"
    )
    gone = Erasure(subject="object", table_name="no_longer", started_at=timezone.now())
    assert gone.command("default").endswith("--object no_longer:PK --database default")


def test_nothing_is_changed_here(reader: Client):
    one = begun()
    assert reader.get(f"{PAGE}add/").status_code == 403
    assert reader.post(f"{PAGE}{one.pk}/change/", {"by": "x"}).status_code == 403
    assert reader.post(f"{PAGE}{one.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Erasure.objects.get() == one


@pytest.mark.proof
def test_who_may_view_erasures_sees_them_and_the_link():
    begun()
    without = staff("view_backfillrun", name="without")
    assert without.get(PAGE).status_code == 403
    assert "Show all erasures" not in page(without, RUNS)
    viewer = staff("view_backfillrun", "view_erasure")
    assert f'href="{PAGE}"' in page(viewer, RUNS)
    assert viewer.get(PAGE).status_code == 200


def test_the_page_speaks_german(reader: Client, settings: Any):
    settings.LANGUAGE_CODE = "de"
    one = begun()
    with override("de"):
        assert "unfertig" in words(page(reader, PAGE))
        text = words(page(reader, f"{PAGE}{one.pk}/change/"))
        assert "PK oder USER steht für das Objekt oder die Person" in text
        assert "Alle Tilgungen anzeigen" in words(page(reader, RUNS))


@pytest.mark.proof
def test_monitoring_knows_of_one_that_is_unfinished():
    def metric() -> float:
        (line,) = [
            line for line in prometheus.metrics([of("default")]) if "erasing_seconds{" in line
        ]
        return float(line.split()[-1])

    assert metric() == 0
    one = begun()
    Erasure.objects.update(started_at="2026-01-01T00:00Z")
    assert metric() > 86_400
    assert document.document(of("default"))["erasing_since"] is not None
    records.finish(one)
    assert metric() == 0
    assert document.document(of("default"))["erasing_since"] is None
