"""Tests that texts which look the same are written so that a reader sees the difference."""

from __future__ import annotations

import time

import pytest

from auditrepr.readers.changes import apart
from auditrepr.readers.lookalikes import LONGEST, told_apart


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("Chlo\u00e9 M", "Chloe\u0301 M", (r"Chlo\xe9 M", r"Chloe\u0301 M")),
        ("\u212b", "\u00c5", (r"\u212b", r"\xc5")),
        ("Ann", "\u0410nn", ("Ann", r"\u0410nn")),
        ("Ann", "\u0391nn", ("Ann", r"\u0391nn")),
        ("\u0410\u0391", "\u0391\u0410", (r"\u0410\u0391", r"\u0391\u0410")),
        ("co-op", "co\u2011op", ("co-op", r"co\u2011op")),
        ("it's", "it\u2019s", ("it's", r"it\u2019s")),
        ("vip", "v\u200bip\u00ad", ("vip", r"v\u200bip\xad")),
        ("\u2764", "\u2764\ufe0f", ("\u2764", "\u2764\\ufe0f")),
        ("a b\u00e9", "\u0430\u00a0b\u00e9", ("a b\u00e9", "\\u0430\\xa0b\u00e9")),
    ],
)
def test_characters_in_which_they_differ_are_escaped(
    one: str, other: str, shown: tuple[str, str]
) -> None:
    assert told_apart(one, other) == shown
    assert told_apart(other, one) == shown[::-1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        ("Chlo\u00e9", "Chloe"),
        ("M\u00fcller", "M\u00f6ller"),
        ("a b", "a\u00a0b"),  # pages mark blanks
        ("\u00e9 a", "\u00e9  a"),
        ("\u043c\u0438\u0440", "\u043f\u0438\u0440"),
        ("\u00e9", "\u00e9"),
        ("", "\u00e9"),
    ],
)
def test_what_can_be_seen_stays(one: str, other: str) -> None:
    assert told_apart(one, other) == (one, other)


def test_long_texts_cost_little() -> None:
    same = "\u00e9" * 2_000_000
    began = time.process_time()
    assert told_apart(f"{same}A{same}", f"{same}\u0410{same}")[1].count(r"\u0410") == 1
    other = "\u0410" * (LONGEST + 1)
    assert told_apart("A" * (LONGEST + 1), other)[1] == other
    assert time.process_time() - began < 2


def test_texts_that_read_the_same_stand_next_to_their_values() -> None:
    assert apart(("Ann", "Ann"), (5, 6)) == ("Ann (5)", "Ann (6)")
    assert apart(("x", "x"), ("1", 1)) == ("x ('1')", "x (1)")
    assert apart(("Ann", "Ann"), (5, 5)) == ("Ann", "Ann")
    assert apart(("Ann", "\u0410nn"), (5, 6)) == ("Ann", r"\u0410nn")
