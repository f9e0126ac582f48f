from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.db.models import CharField, Field
from django.test import Client

from auditrepr.admin.event_lines import describe
from auditrepr.models import AuditLog
from auditrepr.readers.changes import Nothing, changes
from auditrepr.readers.values import said, said_apart, words
from tests.app.changing import CHANGED
from tests.app.fields import Everything, ScrambledField
from tests.app.models import Author, Book
from tests.app.relations import Invoice, Line, Order
from tests.app.saving import Notice
from tests.capturing import next_moment
from tests.pages import LOG, page, reader
from tests.pages import words as text_of

__all__ = ["reader"]
pytestmark = pytest.mark.django_db


def last(action: str = "U") -> AuditLog:
    return AuditLog.objects.filter(action=action).order_by("pk").last()


def told(event: AuditLog) -> list[str]:
    return [str(change) for change in changes(event, words([event], "default")[0])]


@pytest.mark.proof
def test_foreign_keys_go_by_what_their_objects_were_called_at_the_event(reader: Client) -> None:
    mary, percy = (Author.objects.create(name=name) for name in ("Mary Godwin", "Percy"))
    book = Book.objects.create(title="Frankenstein", author=percy)
    Book.objects.filter(pk=book.pk).update(author=mary)
    event = last()
    Author.objects.filter(pk=mary.pk).update(name="Mary Shelley")
    percy.delete()
    assert told(event) == ["author: Percy → Mary Godwin"]
    assert "author: Percy → Mary Godwin" in text_of(page(reader))
    assert "Author Percy Mary Godwin" in text_of(page(reader, f"{LOG}{event.pk}/change/"))


def test_a_foreign_key_to_a_field_that_is_no_primary_key_is_followed_too() -> None:
    one, two = (Order.objects.create(ref=ref) for ref in ("A-1", "B-2"))
    invoice = Invoice.objects.create(order=one, by_ref=one, number=1)
    Invoice.objects.filter(pk=invoice.pk).update(by_ref=two)
    [change] = told(last())
    assert change.startswith("by ref: A-1<")
    assert "→ B-2<" in change


def test_two_objects_of_the_same_name_are_told_apart_by_their_keys() -> None:
    one, two = (Author.objects.create(name="John Smith") for _ in range(2))
    book = Book.objects.create(title="x", author=one)
    Book.objects.filter(pk=book.pk).update(author=two)
    assert told(last()) == [f"author: John Smith ({one.pk}) → John Smith ({two.pk})"]


def test_a_key_of_which_nothing_is_known_stays_a_number() -> None:
    order = Order.objects.create(ref="A-1")
    line = Line.objects.create(order=order, item="x")
    event = AuditLog.objects.create(
        table_name="app_line",
        object_id=str(line.pk),
        action="U",
        row_data={"id": line.pk, "order_id": order.pk, "item": "x", "quantity": 1, "hidden": True},
        changed_from={"order_id": 4711, "hidden": False},
    )
    assert told(event)[0].startswith("order: 4711 → A-1<")


def test_yes_and_no_stand_for_booleans() -> None:
    line = Line.objects.create(order=Order.objects.create(ref="A-1"), item="x")
    Line.objects.filter(pk=line.pk).update(hidden=True)
    assert told(last()) == ["hidden: no → yes"]


def test_a_row_that_no_longer_fits_its_table_is_shown_as_it_was_logged() -> None:
    event = AuditLog.objects.create(
        table_name="app_line",
        object_id="1",
        action="U",
        row_data={"id": 1, "quantity": "many"},
        changed_from={"quantity": "few"},
    )
    assert told(event) == ["quantity: few → many"]


def test_times_stand_in_the_readers_zone(settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    moment = datetime(2026, 7, 1, 22, 30, 0, 250_000, tzinfo=UTC)
    field = AuditLog._meta.get_field("occurred_at")
    assert said(field, moment) == "2026-07-02 00:30:00+02:00"
    assert said(field, moment, precise=True) == "2026-07-02 00:30:00.250000+02:00"
    assert said(Book._meta.get_field("published"), date(1818, 1, 1)) == "1818-01-01"


def test_bytes_and_structures_are_written_out() -> None:
    field = Book._meta.get_field("title")
    assert said(field, b"\x00\xff") == "00 ff"
    assert said(field, {"ä": [1]}) == '{"ä": [1]}'


def test_a_text_that_was_empty_is_called_so() -> None:
    author = Author.objects.create(name="")
    Author.objects.filter(pk=author.pk).update(name="Mary")
    assert told(last()) == ["name: (empty) → Mary"]


def test_choices_are_shown_by_label_and_other_values_as_they_are() -> None:
    field = CharField(choices=[("n", "new"), ("p", "paid")])
    assert [said(field, value) for value in ("n", "p", "z")] == ["new", "paid", "z"]


def test_changes_are_what_the_fields_give_on_each_database() -> None:
    one = Everything.objects.create(**{name: old for name, (old, _) in CHANGED.items()})
    for name, (_, new) in CHANGED.items():
        setattr(one, name, new)
    one.save()
    found = last().changes
    assert found.pop("upper") == ("", "X")
    assert found == CHANGED
    kinds = {name: tuple(map(type, pair)) for name, pair in found.items()}
    assert kinds == {name: tuple(map(type, pair)) for name, pair in CHANGED.items()}


def test_changes_hold_what_no_field_can_read_as_it_is_logged() -> None:
    one = Everything.objects.create(integer=1)
    event = AuditLog.objects.create(
        table_name="app_everything",
        object_id=str(one.pk),
        action="U",
        row_data={"id": one.pk, "uuid": "no uuid", "gone": 2},
        changed_from={"uuid": "none", "gone": 1},
    )
    assert event.changes == {"uuid": ("none", "no uuid"), "gone": (1, 2)}


def test_code_that_reads_a_value_leaves_nothing_in_a_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def from_db_value(field: Field[Any, Any], value: Any, *_: Any) -> Any:
        return cache.get_or_set("scrambled", value)

    one = Everything.objects.create(scrambled="ab")
    one.scrambled = "cd"
    one.save()
    monkeypatch.setattr(ScrambledField, "from_db_value", from_db_value)
    old, new = last().changes["scrambled"]
    assert old != new
    assert cache.get("scrambled") is None


@pytest.mark.sqlite
def test_json_whose_keys_come_in_another_order_says_so(reader: Client) -> None:
    """It is an event, since what is stored has changed, and ``str()`` may print it."""
    one = Everything.objects.create(json={"a": 1, "b": [{"c": 1, "d": 2}]})
    one.json = {"b": [{"d": 2, "c": 1}], "a": 1}
    one.save()
    event = last()
    assert [change.split(" → ")[1] for change in told(event)] == ["the same, keys in another order"]
    assert "the same, keys in another order" in text_of(page(reader, f"{LOG}{event.pk}/change/"))
    old, new = event.changes["json"]
    assert old == new
    assert list(old) != list(new)


@pytest.mark.sqlite
@pytest.mark.parametrize("now", [{"a": 1.0, "b": 2}, {"a": True, "b": 2}, {"b": [2], "a": 1}])
def test_json_that_says_something_else_is_no_other_order(now: dict[str, Any]) -> None:
    one = Everything.objects.create(json={"a": 1, "b": 2})
    one.json = now
    one.save()
    assert "the same" not in told(last())[0]


def test_two_times_of_one_second_have_microseconds(settings) -> None:
    event = AuditLog.objects.create(
        table_name="app_notice",
        object_id="1",
        action="U",
        row_data={"id": 1, "begins": "2026-07-01T22:30:00.25+00:00", "created": None},
        changed_from={"begins": "2026-07-01T22:30:00.5+00:00"},
    )
    assert told(event) == [
        "begins: 2026-07-01 22:30:00.500000+00:00 → 2026-07-01 22:30:00.250000+00:00"
    ]
    field = Notice._meta.get_field("begins")
    one, other = (datetime(2026, 7, 1, second=0, microsecond=n, tzinfo=UTC) for n in (1, 2))
    assert said_apart(field, one, other) == (
        *("2026-07-01 00:00:00.000001+00:00", "2026-07-01 00:00:00.000002+00:00"),
    )
    assert said_apart(field, one, None) == ("2026-07-01 00:00:00+00:00", "(none)")


#: Values that differ, by field; and how both are shown, in one style, on every page.
CLOSE: dict[str, tuple[Any, Any, str]] = {
    "date_time": (
        *(datetime(2026, 7, 1, 22, 30, 0, n, UTC) for n in (0, 250_000)),
        "2026-07-01 22:30:00.000000+00:00 → 2026-07-01 22:30:00.250000+00:00",
    ),
    "time": (time(9), time(9, 0, 0, 5), "09:00:00.000000 → 09:00:00.000005"),
    "duration": (
        timedelta(1),
        timedelta(1, microseconds=5),
        "1 day, 0:00:00 → 1 day, 0:00:00.000005",
    ),
    "decimal": (Decimal("1.5"), Decimal("1.5000000001"), "1.5000000000 → 1.5000000001"),
    "float": (0.3, 0.1 + 0.2, "0.3 → 0.30000000000000004"),
    "json": (1, True, "1 → true"),
    "binary": (b"\0", b"\0\0", "00 → 00 00"),
    "text": ("a\nb", r"a\nb", r"a\nb → a\\nb"),
    "char": ("a\x1b", r"a\x1b", r"a\x1b ('a\x1b') → a\x1b ('a\\x1b')"),
    "slug": ("Chlo\u00e9", "Chloe\u0301", r"Chlo\xe9 → Chloe\u0301"),
    "url": (
        "https://paypal.com",
        "https://p\u0430ypal.com",
        r"https://paypal.com → https://p\u0430ypal.com",
    ),
    "file_path": ("vip", "v\u200bip", r"vip → v\u200bip"),
    "email": ("ann@x", "bob@x", "ann@x → bob@x"),
}


@pytest.mark.proof
@pytest.mark.parametrize("name", CLOSE)
def test_two_values_that_are_close_are_told_apart_everywhere(name: str, reader: Client) -> None:
    old, new, shown = CLOSE[name]
    one = Everything.objects.create(**{name: old})
    next_moment()
    setattr(one, name, new)
    one.save()
    event = last()
    label = name.replace("_", " ")
    assert told(event)[0] == f"{label}: {shown}"
    assert f"{label}: {shown}" in text_of(page(reader)), "in the list"
    if "\n" in str(old):
        return  # the other pages have room for lines
    before, after = shown.split(" → ")
    html = page(reader, f"{LOG}{event.pk}/change/")
    assert f"{label.capitalize()} {before} {after}" in text_of(html), "on the event's page"
    Everything.objects.filter(pk=one.pk).update(**{name: old})
    asked = f"table_name={event.table_name}&object_id={one.pk}&event={event.pk}"
    html = page(reader, f"{LOG}object/as-of/?{asked}&to=2100-01-01")
    assert f"{label.capitalize()} {after} {before}" in text_of(html), "side by side"
    html = page(reader, f"{LOG}object/put-back/?{asked}")
    assert f"{label.capitalize()} {before} {after}" in text_of(html), "before it is put back"


def test_objects_of_names_that_look_alike_are_told_apart(reader: Client) -> None:
    one, two = (Author.objects.create(name=name) for name in ("Ann", "\u0410nn"))
    book = Book.objects.create(title="x", author=one)
    Book.objects.filter(pk=book.pk).update(author=two)
    assert told(last()) == [r"author: Ann → \u0410nn"]
    assert r"author: Ann → \u0410nn" in text_of(page(reader))


def test_what_is_the_same_is_not_told_apart() -> None:
    begins = Notice._meta.get_field("begins")
    when = datetime(2026, 7, 1, 0, 0, 0, 5, tzinfo=UTC)
    assert said_apart(begins, when, when) == ("2026-07-01 00:00:00+00:00",) * 2
    later = when + timedelta(days=1)
    assert said_apart(begins, when, later) == (
        *("2026-07-01 00:00:00+00:00", "2026-07-02 00:00:00+00:00"),
    )


def test_a_value_that_its_field_cannot_read_lets_the_other_one_be_shown_as_logged() -> None:
    event = AuditLog.objects.create(
        table_name="app_notice",
        object_id="1",
        action="U",
        row_data={"id": 1, "begins": "2026-07-01T22:30:00.25+00:00"},
        changed_from={"begins": "soon"},
    )
    describe([event], "default")
    for found in (told(event), [str(one) for one in event.changes_in_words]):
        assert found == ["begins: soon → 2026-07-01T22:30:00.25+00:00"]


def test_no_value_cannot_be_mistaken_for_a_value() -> None:
    title = Book._meta.get_field("title")
    for value, text in ((None, "(none)"), ("", "(empty)")):
        assert said(title, value) == text
        assert isinstance(said(title, value), Nothing)
        assert said(title, text) == f"“{text}”"
        assert not isinstance(said(title, text), Nothing)


def test_a_text_keeps_its_lines_and_nothing_else_that_cannot_be_seen() -> None:
    title = Book._meta.get_field("title")
    assert said(title, "a\r\nb\tc\x1b\u202e") == "a\r\nb\tc\\x1b\\u202e"
    event = AuditLog.objects.create(
        table_name="app_author",
        object_id="1",
        action="U",
        row_data={"id": 1, "name": "a\nb"},
        changed_from={"name": "a"},
    )
    assert told(event) == [r"name: a → a\nb"]
