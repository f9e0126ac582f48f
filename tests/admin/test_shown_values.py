"""Tests values on pages: complete, unambiguous, and short enough to read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client

from auditrepr.admin.event_lines import clock, clocks
from auditrepr.admin.values import FOLDED, SHOWN, change_line, values_of
from auditrepr.readers.changes import FieldChange, Nothing
from auditrepr.readers.pairs import PairChange
from tests.app.saving import Notice
from tests.pages import LOG, page, reader, words

__all__ = ["reader"]


def shown(before: str, after: str) -> tuple[str, str]:
    found = values_of(FieldChange("body", before, after, changed=True))
    return found["before"], found["after"]


def value(html: str) -> str:
    return f'<bdi class="value">{html}</bdi>'


def mark(text: str) -> str:
    return f'<span class="quiet">{text}</span>'


def test_a_text_of_several_lines_is_shown_as_lines() -> None:
    assert shown("a\nb", "a\nc") == (value("a\nb"), value("a\nc"))


def test_blanks_at_the_ends_are_visible() -> None:
    before, after = shown(" a b\t", "a\n\n")
    assert before == value(f"{mark('·')}a b{mark('⇥')}")
    assert after == value(f"a{mark('↵')}\n{mark('↵')}\n")
    assert shown("   ", "x")[0] == value(3 * mark("·"))


def test_changed_blanks_and_line_ends_are_visible() -> None:
    before, after = shown("a b\r\nc", "a  b\nc")
    assert before == value(f"a{mark('·')}b{mark('␍')}{mark('↵')}\nc")
    assert after == value(f"a{mark('·')}{mark('·')}b{mark('↵')}\nc")
    assert "⍽" in shown("a b", "a\xa0b")[1]
    assert shown("a\u2002b", "a\u2003b")[1] == value("a" + mark(r"\u2003") + "b")
    line = change_line(FieldChange("body", "a b", "a  b", changed=True))
    assert line == f"body: a{mark('·')}b → a{mark('·')}{mark('·')}b"


def test_no_value_looks_unlike_any_value() -> None:
    change = FieldChange("body", Nothing("(none)"), "(none)", changed=True)
    nothing = '<em class="quiet">(none)</em>'
    assert shown(change.before, change.after) == (nothing, value("(none)"))
    assert change_line(change) == f"body: {nothing} → (none)"
    assert shown("", "") == ("", "")


def test_markup_does_not_act() -> None:
    for html in (*shown(" <b>\n", "&amp;"), *shown("<b> x", "<b>  x")):
        assert "<b>" not in html
    assert "&amp;amp;" in shown("x", "&amp;")[1]
    assert "<b>" not in change_line(FieldChange("<b>", "<b> ", "x" * 500 + "<b>", changed=True))


def test_a_long_value_opens_in_place_where_it_differs() -> None:
    same = "word " * FOLDED
    before, after = shown(f"{same}old", f"{same}new")
    summary = after.split("</summary>")[0]
    assert "new" in summary
    assert len(summary) < FOLDED
    assert f"({len(same) + 3} characters)" in summary
    assert f"{same}new" in after
    assert "<details>" not in shown("x" * FOLDED, "")[0]
    assert "<details>" in before


def test_a_value_of_megabytes_never_gets_into_the_page() -> None:
    html = shown("x" * 5_000_000, Nothing("(none)"))[0]
    assert "(5000000 characters)" in html
    assert len(html) < 2 * SHOWN


def test_times_have_microseconds_only_where_two_would_be_equal() -> None:
    one, other, third = (
        datetime(2026, 1, 31, 12, 0, s, n, UTC) for s, n in ((0, 1), (0, 2), (1, 3))
    )
    assert clock(third) == "2026-01-31 12:00:01+00:00"
    assert clocks([one, other, third]) == [
        "2026-01-31 12:00:00.000001+00:00",
        "2026-01-31 12:00:00.000002+00:00",
        "2026-01-31 12:00:01+00:00",
    ]


@pytest.mark.django_db
def test_an_events_page_shows_them(reader: Client) -> None:
    notice = Notice.objects.create(title="x", body="one\ntwo")
    Notice.objects.update(body="one\r\ntwo ", data=None, file="")
    history = page(reader, f"{LOG}object/?table_name=app_notice&object_id={notice.pk}")
    assert rf"body: one\ntwo → one\r\ntwo{mark('·')}" in history
    event = history.split(f"{LOG}")[-1].split("/")[0]
    html = page(reader, f"{LOG}{event}/change/")
    assert value("one" + mark("↵") + "\ntwo") in html
    assert "exact: built only from data as of this event" in words(html)


def test_the_value_of_an_added_or_a_deleted_row_has_no_arrow() -> None:
    assert change_line(FieldChange("code", "", "FR ", changed=True)).startswith("code: FR<")
    assert change_line(FieldChange("code", "FR", "", changed=True)) == "code: FR"


def test_a_sign_stays_with_what_it_stands_for() -> None:
    signed = PairChange("tags", ["+ vip", "- late payer"])
    assert str(signed) == "tags: +\N{NO-BREAK SPACE}vip, -\N{NO-BREAK SPACE}late payer"
