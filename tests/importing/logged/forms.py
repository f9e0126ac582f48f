"""Imports what django-auditlog has in other forms than the table; test_import_models.py runs it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.core.management import call_command
from django.db.models import Case, F, Value, When
from django.db.models.functions import Concat, Upper

from auditrepr.sources import find
from tests.capturing import next_moment
from tests.importing.logged.models import Day, Lap, Novel, Parcel, Tag, Writer
from tests.importing.together import begin, recorded, represented, switch

pytestmark = pytest.mark.django_db(transaction=True)


class Title(str, Enum):  # noqa: UP042 (its text is not its value)
    GO = "go"


EXPRESSIONS = [
    Upper("title"), Concat("title", Value(" (2)")), F("title"),
    Case(When(title="go", then=Value("went")), default=F("title")), Title.GO,
]  # fmt: skip


@pytest.fixture(autouse=True)
def empty() -> None:
    begin()
    LogEntry.objects.all().delete()


def imported() -> None:
    call_command("import_audit_log", "auditlog", verbosity=0)


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_the_text_of_an_expression_is_no_value(title: Any) -> None:
    novel = Novel.objects.create(title="gone")
    next_moment()
    novel.title = title
    novel.price = 5
    novel.save()
    Novel.objects.create(title=Upper(Value("go")))
    seen = switch()
    imported()
    found = recorded()["novel"]
    for (_, _, theirs, _), (_, _, ours, _) in zip(found, seen["novel"], strict=True):
        assert theirs.get("named", ours["named"]) == ours["named"]
    assert found[0][2]["named"] == "gone"
    assert "named" not in found[1][2]
    assert [fidelity for _, fidelity in represented()["novel"]][:2] == ["E", "M"]


def test_a_text_that_looks_like_a_member_is_a_value_if_the_changes_have_it() -> None:
    novel = Novel.objects.create(title="Node.js")
    novel.price = 5
    novel.save()  # of the title, the changes say nothing
    novel.title = "St.Gallen"
    novel.save()
    novel.delete()
    # A member that was stored as its name by mistake, and as its value since.
    other = Novel.objects.create(title="Title.GO")
    other.title = Title.GO
    other.save()
    seen = switch()
    imported()
    rows = [row.get("named") for _, _, row, _ in recorded()["novel"]]
    assert rows == ["Node.js", None, "St.Gallen", "St.Gallen", "Title.GO", None]
    for (_, _, theirs, _), (_, _, ours, _) in zip(recorded()["novel"], seen["novel"], strict=True):
        assert theirs.get("named", ours["named"]) == ours["named"]
    assert represented()["novel"][:3] == [
        ("Node.js for 0.00", "E"), ("Node.js for 5", "M"), ("St.Gallen for 5.00", "E"),
    ]  # fmt: skip


@pytest.mark.parametrize("title", ["Go (2)", "Go. Went", "a.b", "<b>(go)</b>", "CASE (2)", "(go)"])
def test_other_texts_are_values(title: str) -> None:
    Novel.objects.create(title=title)
    switch()
    imported()
    assert recorded()["novel"][0][2]["named"] == title


@pytest.mark.parametrize(
    "written", [str, lambda key: key.hex, lambda key: str(key).upper(), lambda key: f"{{{key}}}"]
)
def test_a_uuid_in_any_form_is_one_key(written: Callable[[uuid.UUID], str]) -> None:
    parcel = Parcel.objects.create(id=written(uuid.uuid4()), label="x", pin="1")
    parcel.weight = 3
    parcel.save()
    seen = switch()
    imported()
    assert [key for key, *_ in recorded()["parcel"]] == [key for key, *_ in seen["parcel"]]


def test_numbers_and_dates_in_any_form_are_one_key() -> None:
    for key in ("007", 8.0, " +9"):
        Writer.objects.create(id=key, name="Ann")
    for date in ("2020-1-5", datetime(2020, 1, 6, 12), "2020-01-07"):
        Day.objects.create(date=date)
    seen = switch()
    imported()
    for table in ("writer", "day"):
        assert [key for key, *_ in recorded()[table]] == [key for key, *_ in seen[table]]
        assert len(seen[table]) == 3


def test_keys_whose_text_is_ambiguous_are_left_out() -> None:
    Lap.objects.create(takes=timedelta(days=1, seconds=2))
    Writer.objects.create(name="Ann")
    switch()
    assert find("auditlog").left_out("default") == {"models that are not known": 1}
    imported()
    assert list(recorded()) == ["writer"]


def test_tags_between_do_not_hide_what_an_update_changed() -> None:
    novel = Novel.objects.create(title="go")
    novel.tags.add(Tag.objects.create(word="new"))
    novel.title = "went"
    novel.save()
    novel.tags.clear()
    novel.delete()
    seen = switch()
    imported()
    changed = [was for _, action, row, was in recorded()["novel"] if row]
    assert changed == [was for *_, was in seen["novel"]] == [None, {"named": "go"}, None]


def test_an_entry_without_a_row_between_does_hide_it() -> None:
    novel = Novel.objects.create(title="go")
    for title in ("goes", "went"):
        novel.title = title
        novel.save()
    entry = LogEntry.objects.filter(action=1).earliest("pk")
    entry.serialized_data = None
    entry.save()
    switch()
    imported()
    assert [was for *_, was in recorded()["novel"]] == [None, None, None]


@pytest.mark.parametrize("more", [["a", 1, None], "a text", 5, False, {}, [], {"a": [None]}])
def test_whatever_else_an_entry_says_is_kept(more: Any) -> None:
    Writer.objects.create(name="Ann")
    LogEntry.objects.update(additional_data=more)
    switch()
    imported()
    ((context,),) = recorded("context")["writer"]
    assert context["additional_data"] == more
