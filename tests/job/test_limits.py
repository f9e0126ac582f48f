"""Tests that ``auto`` batches reach a size that takes about half a second, within bounds."""

from __future__ import annotations

from itertools import pairwise

import pytest

from auditrepr.job.limits import FIRST, LEAST, MOST, SECONDS, BatchSize


def sizes(seconds_a_row: float, batches: int = 20) -> list[int]:
    """The sizes of successive full batches, each row of which takes so long."""
    size = BatchSize("auto")
    found = [size.rows]
    for _ in range(batches):
        size.learn(size.rows, size.rows * seconds_a_row)
        found.append(size.rows)
    return found


def test_a_batch_comes_to_take_half_a_second():
    assert sizes(0.001)[-1] == SECONDS / 0.001
    assert sizes(0.0002)[-1] == SECONDS / 0.0002


def test_it_stays_within_bounds_and_grows_by_steps():
    assert sizes(10)[-1] == LEAST
    fast = sizes(1e-9)
    assert (fast[0], fast[-1]) == (FIRST, MOST)
    assert all(later <= 2 * earlier for earlier, later in pairwise(fast))


def test_a_short_batch_does_not_change_the_size():
    size = BatchSize("auto")
    size.learn(3, 2.0)
    assert size.rows == FIRST


def test_one_that_was_cut_short_says_that_full_ones_take_too_long():
    size = BatchSize("auto")
    size.learn(FIRST // 2, 10 * SECONDS, cut=True)
    assert size.rows == max(LEAST, FIRST // 20)


@pytest.mark.parametrize("seconds", [0.001, 60])
def test_a_size_that_was_asked_for_stays(seconds):
    size = BatchSize(7)
    size.learn(7, seconds)
    assert size.rows == 7
