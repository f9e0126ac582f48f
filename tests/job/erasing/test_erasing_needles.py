"""Tests which texts count as one that is erased, and which only begin like it."""

# ruff: noqa: RUF001 - letters that look like others are what this is about

from __future__ import annotations

import html
import json
from typing import Any

import pytest

from auditrepr.job.erasing.needles import MARK, Needles, Words, texts_in

URL = "https://media.example.com/uploads/avatars/zoe-quill-of-elm-street.png"
NOTE = 'Asked for a refund of "Ink & Paper", and said that Zoë would come again on Monday'


@pytest.mark.parametrize(
    "said",
    [
        URL, f"see {URL}!", URL.upper(), URL[:50], f"{URL[:50]}…", f"{URL[:50]} ...",
        f"<img src='{URL[:50]}…' alt=''>", f"<p>{URL[:50]}</p>", json.dumps({"to": f"{URL[:50]}…"}),
        json.dumps({"to": [URL[:50]], "n": 1}), f"{URL[:50]} […] and more",
        f"({URL[:50]}...) and 1", f"[{URL[:50]}]",
        URL.encode().hex(), f"{URL.encode().hex()[:100]} in hex", repr(f"{URL[:50]}…".encode()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [Needles, Words])
def test_a_long_text_is_found_as_a_whole_and_cut(kind: type[Needles], said: str):
    needles = kind([URL])
    assert needles.within(said)
    assert not Needles([URL]).within(Needles([URL]).replaced(said))


@pytest.mark.parametrize(
    "said",
    [
        "https://media.example.com/uploads/avatars/bob.png",
        "see https://media.example.com/uploads/avatars/bob.png…",
        "https://media.example.com/uploads/avatars/zoe-quill-of-oak-street.png",
        json.dumps({"to": "https://media.example.com/uploads/avatars/bob.png"}),
    ],
)
@pytest.mark.parametrize("kind", [Needles, Words])
def test_what_continues_in_another_way_is_another_text(kind: type[Needles], said: str):
    assert not kind([URL]).within(said)
    assert kind([URL]).replaced([said]) == [said]


@pytest.mark.parametrize("cut", [45, 55, 70])
def test_a_cut_text_is_found_however_it_is_escaped(cut: int):
    part = f"{NOTE[:cut]}…"
    for said in (part, part.upper(), html.escape(part), json.dumps(part), repr(part), ascii(part)):
        assert Needles([NOTE]).within(f"x {said} y"), said
        assert Needles([NOTE]).replaced(said) == MARK
    other = f"{NOTE[:cut]}, whatever else"
    for said in (other, other.upper(), html.escape(other), json.dumps(other), ascii(other)):
        assert not Needles([NOTE]).within(said), said


def test_letters_that_are_alike_in_another_case_continue_in_the_same_way():
    text = "İstanbul, straße 17, in the house of ſister Kelvin and others"
    assert Needles([text]).within("i" + text[1:50].replace("K", "\u212a") + "…")


def test_entries_that_no_program_named_are_replaced():
    needles = Needles(["Zoe Quill"])
    assert needles.replaced_in({"Zoe Quill": 1, "zoe-quill": [{"zoe quill": 2}]}) == {
        MARK: 1,
        "zoe-quill": [{MARK: 2}],
    }


def test_texts_are_found_and_replaced_however_deeply_they_are_nested():
    def deep(text: str) -> Any:
        value: Any = [text]
        for _ in range(5000):  # more than Python's functions may be nested
            value = {"Zoe Quill": value} if text in value else {"a": value}
        return value

    needles, kept = Needles(["Zoe Quill"]), deep("Other")
    assert needles.within(deep("of Zoe Quill")) is True
    assert needles.within([kept, 1, None]) is True
    assert Needles(["Wilma"]).within(kept) is False
    assert list(texts_in([kept, deep("Zoe Quill")])) == ["Other", "Zoe Quill"]
    assert needles.replaced_in({"n": kept, "m": "Zoe Quill's"}) == {"n": MARK, "m": f"{MARK}'s"}
    assert Needles(["Wilma"]).replaced(kept) is kept
