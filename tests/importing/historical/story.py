"""Imports what django-simple-history has recorded; test_import_models.py runs it.

Both record the same story: so what was imported can be compared with what our triggers have seen.
"""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from simple_history.utils import bulk_create_with_history, update_change_reason

from auditrepr.exceptions import SourceUnavailable
from auditrepr.job import importing
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog
from auditrepr.sources import find
from auditrepr.sources.packages import simple_history
from tests.capturing import next_moment
from tests.importing import forgetting
from tests.importing.historical.models import (
    Building,
    Favorite,
    Novel,
    Place,
    Restaurant,
    Tag,
    Tower,
    Visit,
    Writer,
)
from tests.importing.together import begin, recorded, represented, switch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty() -> None:
    begin()


def story() -> None:
    ann = Writer.objects.create(name="Ann", born=date(1815, 12, 10))
    novel = Novel.objects.create(title="Gö", writer=ann, about={"a": [1, None, "x"]}, weight=0.1)
    next_moment()
    ann.name = "Bea"
    ann.save()
    novel.price, novel.takes, novel.opens = "9.90", timedelta(days=1, seconds=2.5), time(9, 30)
    novel.is_out, novel.cover = True, "go.png"
    novel.save()
    Tag.objects.create(word="new")
    visit = Visit.objects.create(kind="short", note="nobody reads it")
    Visit.objects.create(kind="long", note="lost")
    visit.delete()
    place = Favorite.objects.create(name="Corner")
    Place.objects.create(name="Square")
    place.delete()
    restaurant = Restaurant.objects.create(name="Grill", stars=2)
    restaurant.name, restaurant.stars = "Grillo", 3
    restaurant.save()
    Tower.objects.create(street="High Street", height=50)
    Tower.objects.get().delete()
    restaurant.delete()
    novel.delete()


def imported(*sources: str) -> None:
    call_command("import_audit_log", *(sources or ["simple_history"]), verbosity=0)


def test_events_are_what_our_triggers_have_seen() -> None:
    story()
    seen = switch()
    imported()
    found = recorded()
    for event in seen["visit"]:
        del event[2]["note"]
    assert sorted(seen) == sorted(found)
    for table in seen:
        assert found[table] == seen[table], table
    assert len(seen["novel"]) == len(seen["restaurant"]) == 3
    assert len(seen["tower"]) == len(seen["building"]) == 2


def test_what_is_recorded_is_exact_and_what_is_not_is_mixed() -> None:
    story()
    switch()
    Writer.objects.create(name="Eve")
    imported()
    found = represented()
    assert found["writer"] == [("Ann", "E"), ("Bea", "E"), ("Eve", "E")]
    assert found["novel"] == [("Gö for 0.00", "E"), *[("Gö for 9.90", "E")] * 2]
    assert [fidelity for _, fidelity in found["visit"]] == ["E", "M", "E"]
    assert [text for text, _ in found["place"]] == [
        "Corner", "Square", "Corner", "Grill", "Grillo", "Grillo",
    ]  # fmt: skip
    # A part of it is in another table.
    assert {fidelity for _, fidelity in found["restaurant"]} == {"M"}
    assert [text for text, _ in found["restaurant"]] == ["Grill **", "Grillo ***", "Grillo ***"]


def test_the_context_says_who_and_why_and_what_bases_add() -> None:
    user = User.objects.create(username="ann")
    writer = Writer(name="Ann")
    writer._history_user = user
    writer._change_reason = "new"
    writer.save()
    Visit.objects.create(kind="short")
    Tag.objects.create(word="new")
    switch()
    imported()
    found = recorded("context", "actor")
    said, device = {"imported_from": "simple_history"}, str(uuid.UUID(int=5))
    assert found["writer"] == [(said | {"user": user.pk, "reason": "new"}, str(user.pk))]
    assert found["visit"] == [(said | {"address": "here", "device": device}, None)]
    assert found["tag"] == [(said, None)]
    update_change_reason(writer, "another")


def test_what_bases_add_has_names_of_its_own() -> None:
    user = User.objects.create(username="ann")
    visit = Visit(kind="short")
    visit._history_user = user
    visit.save()
    Visit.history.update(note="of the base", reason="told", user="robot")
    switch()
    imported()
    ((context, actor, row),) = recorded("context", "actor", "row_data")["visit"]
    assert actor == str(user.pk)
    said = {name: value for name, value in context.items() if name not in ("address", "device")}
    assert said == {
        "imported_from": "simple_history", "user": user.pk, "note": "of the base",
        "base_reason": "told", "base_user": "robot",
    }  # fmt: skip
    assert "note" not in row


def test_a_number_that_got_zeros_has_changed() -> None:
    novel = Novel.objects.create(title="Go", writer=Writer.objects.create(name="Ann"), about=1)
    for about in (1.0, {"a": 1}, {"a": 1.0}, {"a": True}, [1.0]):
        next_moment()
        novel.about = about
        novel.save()
    seen = switch()
    imported()
    assert str(recorded()["novel"]) == str(seen["novel"])


@pytest.mark.postgresql
def test_a_change_with_an_earlier_time_that_both_have_is_not_imported_again() -> None:
    writer = Writer.objects.create(name="Ann")
    switch()
    Tag.objects.create(word="new")
    writer.name = "Bea"
    writer._history_date = datetime(2001, 1, 1, tzinfo=UTC)
    with transaction.atomic():
        writer.save()
    imported()
    assert [row["name"] for _, _, row, _ in recorded()["writer"]] == ["Ann", "Bea"]


def test_outside_of_a_transaction_such_a_change_is_there_twice_and_true() -> None:
    """Nothing says that the two are one: an equal change may have come before."""
    writer = Writer.objects.create(name="Ann")
    switch()
    writer.name = "Bea"
    writer._history_date = datetime(2001, 1, 1, tzinfo=UTC)
    writer.save()
    imported()
    assert represented()["writer"] == [("Ann", "E"), ("Bea", "E"), ("Bea", "E")]
    *_, (_, action, _, changed) = recorded()["writer"]
    assert (action, changed) == ("U", {"name": "Ann"})


def test_keys_of_a_history_that_do_not_order_it_leave_it_to_the_times() -> None:
    for number in range(8):
        Visit.objects.create(kind=f"short {number}")
        next_moment()
    Visit.objects.all().first().delete()
    seen = switch()
    options: dict[str, Any] = {"lock": DatabaseLock("default"), "batch_size": 3}
    request = importing.Request("default", ["simple_history"])
    assert importing.run(request, **options, stop=lambda: True).left == 6
    imported()
    kinds = [(action, row["kind"]) for _, action, row, _ in seen["visit"]]
    assert [(action, row["kind"]) for _, action, row, _ in recorded()["visit"]] == kinds


def test_a_bulk_create_shares_a_time_and_keeps_its_order() -> None:
    bulk_create_with_history([Writer(name=f"{number}") for number in range(5)], Writer)
    seen = switch()
    imported()
    assert recorded()["writer"] == seen["writer"]
    assert len(seen["writer"]) == 5


def test_a_time_that_was_set_by_hand_keeps_the_order_of_the_table() -> None:
    writer = Writer.objects.create(name="Ann")
    writer._history_date = datetime(2001, 1, 1, tzinfo=UTC)
    writer.name = "Bea"
    writer.save()
    seen = switch()
    imported()
    assert recorded()["writer"] == seen["writer"]
    times = list(AuditLog.objects.order_by("pk").values_list("occurred_at", flat=True))
    assert times[1] == writer._history_date


def test_a_column_is_not_recorded_before_it_was_added(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer.objects.create(name="Ann")
    next_moment()
    between = timezone.now()
    next_moment()
    writer.born = "1815-12-10"
    writer.save()
    switch()
    later = {"historical_historicalwriter": {"born": between}}
    monkeypatch.setattr(simple_history, "later_columns", lambda name, using: later)
    imported()
    (_, _, first, _), (_, _, second, _) = recorded()["writer"]
    assert "born" not in first
    assert second["born"] == "1815-12-10"


def test_a_dry_run_says_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    story()
    novel = Novel.objects.create(title="Two", writer=Writer.objects.get())
    novel.tags.add("new")
    Writer.history.filter(name="Ann").update(history_type="?")
    switch()
    call_command("import_audit_log", "simple_history", dry_run=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "Left out" in line] == [
        "  Left out: 1 event of historical_historicalwriter, ?",
        "  Left out: 1 event of historical_historicalnovel_tags, a many-to-many history",
    ]
    (place,) = [line for line in lines if line.startswith("  historical_place ")]
    assert "6 events" in place


def test_tables_are_chosen_and_none_is_an_error() -> None:
    source = find("simple_history")
    names = [part.name for part in source.parts("default", ["historical_place"])]
    assert names == [
        "historical_historicalplace",
        "historical_historicalrestaurant, historical_place",
        "historical_historicalfavorite",
    ]
    with pytest.raises(SourceUnavailable, match="no model has a history"):
        source.parts("default", ["elsewhere"])


def test_a_parent_without_a_history_has_that_of_its_children() -> None:
    Building.objects.create(street="Low Street")
    tower = Tower.objects.create(street="High Street", height=50)
    Building.objects.filter(pk=tower.pk).delete()
    seen = switch()
    imported()
    assert recorded()["building"] == [
        event for event in seen["building"] if event[0] == str(tower.pk)
    ]


def test_who_was_erased_does_not_come_back_untold(capsys: pytest.CaptureFixture[str]) -> None:
    forgetting.tell("simple_history", Writer, capsys)


def test_what_an_update_changed_is_true_if_two_histories_have_a_table() -> None:
    restaurant = Restaurant.objects.create(name="a", stars=1)
    next_moment()
    place = Place.objects.get()
    place.name = "b"
    place.save()  # in the history of places
    next_moment()
    restaurant.name = "c"
    restaurant.save()  # in that of restaurants
    next_moment()
    restaurant.name = "d"
    restaurant.save()
    seen = switch()
    imported()
    found = recorded()["place"]
    assert [row for _, _, row, _ in found] == [row for _, _, row, _ in seen["place"]]
    assert [said for *_, said in found] == [None, None, None, {"name": "c"}]


def test_an_import_of_one_model_does_not_need_the_history_of_another() -> None:
    Writer.objects.create(name="Ann")
    seen = switch()
    only = {"models": ["historical.Writer"], "verbosity": 0}
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE historical_historicaltag RENAME TO gone")
        try:
            call_command("import_audit_log", "simple_history", dry_run=True, **only)
            call_command("import_audit_log", "simple_history", **only)
        finally:
            cursor.execute("ALTER TABLE gone RENAME TO historical_historicaltag")
    assert recorded()["writer"] == seen["writer"]
