"""Tests what is read from the text of a statement."""

from __future__ import annotations

import pytest

from auditrepr.utils.sql import unlocked

SELECT = 'SELECT x FROM "a" ORDER BY x LIMIT 1'


@pytest.mark.parametrize(
    "clause",
    [
        "FOR UPDATE",
        'for no key update of "a", b nowait',
        "FOR SHARE\n SKIP LOCKED",
        'FOR KEY SHARE OF "a" FOR UPDATE OF b SKIP LOCKED',
    ],
)
def test_what_locks_rows_is_left_out(clause):
    for end in ("", "; \n"):
        assert unlocked(f"{SELECT} {clause}{end}") == f"{SELECT}{end}"


@pytest.mark.parametrize(
    "end", ["", "OFFSET 2", "AS update", "WHERE x = 's FOR UPDATE'", "-- FOR UP"]
)
def test_nothing_else_is(end):
    assert unlocked(f"{SELECT} {end}") == f"{SELECT} {end}"
