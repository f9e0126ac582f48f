"""Tests ages in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from auditrepr.conf import Age


@pytest.mark.parametrize(
    ("words", "now", "then"),
    [
        ("90 days", "2024-03-31", "2024-01-01"),
        ("2 weeks", "2024-03-01", "2024-02-16"),
        ("1 month", "2024-03-31", "2024-02-29"),
        ("13 months", "2024-03-31", "2023-02-28"),
        ("1 YEAR", "2024-02-29", "2023-02-28"),
        (" 7  years ", "2024-03-01", "2017-03-01"),
        ("12 months", "2024-01-15", "2023-01-15"),
        ("999999 years", "2024-01-15", "0001-01-01"),
        ("999999 days", "2024-01-15", "0001-01-01"),
        ("2023 years", "2024-03-31", "0001-03-31"),
        ("2024 years", "2024-03-31", "0001-01-01"),
    ],
)
def test_a_time_that_was_so_long_before(words: str, now: str, then: str) -> None:
    found = Age.parse(words).before(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(then).replace(tzinfo=UTC)


def test_its_words() -> None:
    assert [str(Age.parse(words)) for words in ("1 days", "7 year")] == ["1 day", "7 years"]


@pytest.mark.parametrize(
    "words", ["90", "days", "0 days", "-1 day", "1.5 years", "1 fortnight", "1000000 days"]
)
def test_words_that_are_no_age(words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Age.parse(words)
