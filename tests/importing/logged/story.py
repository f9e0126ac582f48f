"""Imports what django-auditlog has logged; tests/job/importing/test_import_models.py runs it.

Both record the same story: so what was imported can be compared with what our triggers have seen.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta

import pytest
from auditlog.context import set_actor
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

import auditrepr
from auditrepr.exceptions import RowNotImported, SourceUnavailable
from auditrepr.lineage import renames
from auditrepr.models import AuditLog, InstanceRepr
from auditrepr.sources import find
from auditrepr.sources.packages import auditlog
from tests.capturing import next_moment
from tests.importing import forgetting
from tests.importing.logged.models import Novel, Parcel, Tag, Writer
from tests.importing.together import begin, recorded, represented, switch

pytestmark = pytest.mark.django_db(transaction=True)

AS_STORED = "as django-auditlog stored it"


@pytest.fixture(autouse=True)
def empty() -> None:
    begin()
    LogEntry.objects.all().delete()


def imported() -> None:
    call_command("import_audit_log", "auditlog", verbosity=0)


def novels() -> None:
    writer = Writer.objects.create(name="Ann", secret="told to nobody")
    novel = Novel.objects.create(title="Gö", writer=writer, about={"a": [1, None, "ü"]}, weight=0.5)
    next_moment()
    writer.name = "Bea"
    writer.save()
    novel.price, novel.opens, novel.born = "9.9", time(9, 30), date(1815, 12, 10)
    novel.out_at, novel.is_out = datetime(2020, 5, 17, 12, tzinfo=UTC), True
    novel.save()
    Tag.objects.create(word="new")
    novel.price, novel.weight, novel.about = 10, 1e-3, None
    novel.save()
    novel.delete()
    Tag.objects.get().delete()


def test_what_was_serialized_is_what_our_triggers_have_seen() -> None:
    novels()
    seen = switch()
    imported()
    found = recorded()
    assert found["tag"] == seen["tag"]
    for theirs, ours in zip(found["novel"], seen["novel"], strict=True):
        if connection.vendor == "sqlite":  # JSON is text there, which may have other blanks
            for _, _, *rows in (theirs, ours):
                for row in filter(None, rows):
                    if row.get("about"):
                        row["about"] = json.loads(row["about"])
        assert theirs == ours
    assert len(seen["novel"]) == 4
    assert len(seen["tag"]) == 2


def test_whole_rows_are_exact_and_others_are_what_it_has_stored() -> None:
    novels()
    switch()
    Writer.objects.create(name="Eve")
    imported()
    found = represented()
    assert found["writer"] == [("Ann", "M"), ("Bea", "M"), ("Eve", "E")]
    assert found["novel"] == [
        ("Gö for 0.00", "E"), ("Gö for 9.90", "E"), ("Gö for 10.00", "E"), ("Gö for 10.00", "E"),
    ]  # fmt: skip
    assert found["tag"] == [("#new", "E"), ("#new", "E")]
    reasons = InstanceRepr.objects.filter(fidelity="M").values_list("reason", flat=True)
    assert set(reasons) == {AS_STORED}


def test_what_cannot_be_known_is_not_recorded() -> None:
    parcel = Parcel.objects.create(label="box", pin="1234", takes=timedelta(days=1))
    parcel.weight = 2
    parcel.save()
    seen = switch()
    imported()
    (_, _, ours, _), (_, _, theirs, _) = seen["parcel"][1], recorded()["parcel"][1]
    # Of the time of a creation, microseconds are missing.
    assert theirs == {name: ours[name] for name in ("id", "weight")}
    assert [key for key, *_ in recorded()["parcel"]] == [key for key, *_ in seen["parcel"]]
    assert represented()["parcel"] == [("BOX, 1 kg", "M"), ("BOX, 2 kg", "M")]


def test_a_text_that_may_be_masked_is_not_recorded() -> None:
    tag = Tag.objects.create(word="new")
    entry = LogEntry.objects.get()
    entry.serialized_data = {"pk": "new", "fields": {"word": "***"}}
    entry.save()
    Novel.objects.create(title="**star")
    switch()
    imported()
    found = recorded()
    assert found["tag"] == [(tag.pk, "I", {"word": "new"}, None)]
    assert "named" not in found["novel"][0][2]
    assert represented()["novel"] == [("**star for 0", "M")]


def test_values_that_do_not_fit_their_columns_are_not_recorded() -> None:
    Novel.objects.create(title="Go")
    entry = LogEntry.objects.get()
    odd = {
        "title": 5, "writer": ["Ann", "natural"], "price": "9.999", "weight": "heavy",
        "is_out": "yes", "code": "?", "opens": "09:30:00.123", "born": "1815",
        "out_at": "2020-05-17T12:00:00+02:00", "about": "a text",
    }  # fmt: skip
    entry.serialized_data = {"pk": 7, "fields": odd}
    entry.save()
    switch()
    imported()
    ((_, _, row, _),) = recorded()["novel"]
    about = row.pop("about")
    assert about in ("a text", '"a text"')
    assert row == {"id": 7}


def test_a_field_is_not_read_before_its_column_had_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Serialized data has the names of then: another field may have had this one."""
    tag = Tag.objects.create(word="new")
    Novel.objects.create(title="Go")
    next_moment()
    between = timezone.now()
    next_moment()
    Novel.objects.create(title="Or")
    tag.delete()
    switch()
    later = {"logged_novel": {"named": between, "price": between}}
    monkeypatch.setattr(auditlog, "named_since", lambda name, using: later)
    imported()
    (_, _, first, _), (_, _, second, _) = recorded()["novel"]
    assert {"named", "price"}.isdisjoint(first)
    assert {"named", "price", "weight"} <= second.keys()
    assert len(recorded()["tag"]) == 2


def test_the_context_says_who_from_where_and_what_has_changed() -> None:
    user = User.objects.create(username="ann")
    with set_actor(actor=user, remote_addr="10.0.0.1"):
        writer = Writer.objects.create(name="Ann", secret="told to nobody")
    entry = LogEntry.objects.get()
    entry.additional_data = {"order": None}
    entry.save()
    novel = Novel.objects.create(title="Go")
    tag = Tag.objects.create(word="new")
    switch()
    novel.tags.add(tag)
    (entry,) = LogEntry.objects.filter(object_pk=writer.pk, action=0)
    call_command("import_audit_log", "auditlog", verbosity=0)
    first = AuditLog.objects.get(table_name="logged_writer")
    assert first.actor == str(user.pk)
    assert first.context["imported_text"] == "Ann"
    assert first.context["remote_addr"].startswith("10.0.0.1")
    assert first.context["additional_data"] == {"order": None}
    assert first.context["changes"]["name"] == ["None", "Ann"]
    assert "secret" not in first.context["changes"]
    assert "nobody" not in str(first.context)


def test_tags_are_events_of_their_owner() -> None:
    novel = Novel.objects.create(title="Go")
    novel.tags.add(Tag.objects.create(word="new"))
    switch()
    imported()
    added = AuditLog.objects.filter(table_name="logged_novel").latest("pk")
    assert (added.action, added.row_data) == ("U", {})
    assert added.context["changes"]["tags"]["objects"] == ["#new"]
    assert represented()["novel"] == [("Go for 0.00", "E"), ("Go for 0", "M")]


def test_a_row_that_is_not_known_is_not_made_up() -> None:
    writer = Writer.objects.create(name="Ann")
    switch()
    imported()
    with pytest.raises(RowNotImported):
        auditrepr.as_of(Writer, AuditLog.objects.get(), pk=writer.pk)


def test_entries_of_a_model_that_is_gone_are_imported_by_its_usual_table() -> None:
    gone = ContentType.objects.create(app_label="logged", model="scroll")
    taken = ContentType.objects.create(app_label="logged_novel", model="tags")
    for kind in (gone, taken):
        LogEntry.objects.create(
            content_type=kind, object_pk="5", object_repr="The scroll", action=0, changes={}
        )
    switch()
    assert find("auditlog").left_out("default") == {"models that are not known": 1}
    imported()
    assert recorded() == {"scroll": [("5", "I", {}, None)]}
    assert represented()["scroll"] == [("The scroll", "M")]
    kinds = ContentType.objects.filter(pk__in=[gone.pk, taken.pk])
    kinds.delete()


def test_a_dry_run_says_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    writer = Writer.objects.create(name="Ann")
    seen = {"object_pk": writer.pk, "object_repr": "Ann", "action": 3, "changes": {}}
    LogEntry.objects.create(content_type=ContentType.objects.get_for_model(Writer), **seen)
    switch()
    call_command("import_audit_log", "auditlog", dry_run=True)
    lines = capsys.readouterr().out.splitlines()
    assert "  Left out: 1 event of other actions" in lines
    assert any("what they call the object stands for a row" in line for line in lines)
    assert any(line.split()[-3:] == ["Ann", "mixed", AS_STORED] or "Ann" in line for line in lines)


def test_without_entries_there_is_nothing_to_import() -> None:
    with pytest.raises(SourceUnavailable, match="no entries of these models"):
        find("auditlog").parts("default")


def test_who_was_erased_does_not_come_back_untold(capsys: pytest.CaptureFixture[str]) -> None:
    forgetting.tell("auditlog", Writer, capsys)


def test_an_excluded_field_is_left_out_of_changes_under_its_former_names_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for known in ("_KNOWN", "_RECENT"):
        monkeypatch.setattr(renames, known, {})
    auditrepr.track(renamed={"secret": ["hidden"]})(Writer)
    Writer.objects.create(name="Ann", secret="told to nobody")
    entry = LogEntry.objects.get()
    changes = dict(entry.changes_dict)
    changes["hidden"] = changes.pop("secret")  # what the field was called then
    entry.changes = changes if CONVERTED else json.dumps(changes)
    entry.save()
    switch()
    imported()
    context = AuditLog.objects.get().context
    assert context["changes"]["name"] == ["None", "Ann"]
    assert "nobody" not in str(context)


#: Since version 3, what was a text is JSON.
CONVERTED = any(field.name == "changes_text" for field in LogEntry._meta.fields)
NOT_JSON = [
    "{'name': ['x', 'y']}", '{"name": ["x", "cut o', '{"name": ["\\u0000", "y"]}',
    '{"name": ["\\ud800", "y"]}', '{"name": [NaN, "y"]}',
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_JSON)
def test_changes_that_are_not_json_do_not_stop_the_import(text: str) -> None:
    """Of entries that django-auditlog did not convert when they were upgraded to version 3."""
    of_writers = ContentType.objects.get_for_model(Writer)
    about = {"content_type": of_writers, "object_pk": "5", "object_repr": "Ann", "action": 1}
    about |= {"changes": None} if CONVERTED else {}
    for changes in (text, '{"name": ["x", "y"]}'):
        LogEntry.objects.create(**about, **{"changes_text" if CONVERTED else "changes": changes})
    switch()
    imported()
    broken, fine = AuditLog.objects.order_by("pk").values_list("context", flat=True)
    assert (broken["imported_text"], fine["imported_text"]) == ("Ann", "Ann")
    assert fine["changes"] == {"name": ["x", "y"]}
    if connection.vendor == "postgresql":
        assert "changes" not in broken
