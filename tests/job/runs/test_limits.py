"""Tests that ``auto`` batches reach a size that takes half a second of CPU, within bounds."""

from __future__ import annotations

from itertools import pairwise

import pytest

from auditrepr.job.runs.limits import EARLY, FIRST, LEAST, MOST, SECONDS, BatchSize, Spent


def sizes(cpu_a_row: float, waiting: float = 1, batches: int = 20) -> list[int]:
    """The sizes of successive full batches, each row of which takes so much CPU.

    :param waiting: how many times as long it takes by the clock.
    """
    size = BatchSize("auto")
    found = [size.rows]
    for _ in range(batches):
        cpu = size.rows * cpu_a_row
        size.learn(size.rows, Spent(cpu * waiting, cpu))
        found.append(size.rows)
    return found


def test_a_batch_comes_to_take_half_a_second():
    assert sizes(0.001)[-1] == SECONDS / 0.001
    assert sizes(0.0002)[-1] == SECONDS / 0.0002


@pytest.mark.parametrize("waiting", [2, 4, 7.9])
def test_it_is_as_large_on_a_busy_machine(waiting: float):
    assert sizes(0.0005, waiting) == sizes(0.0005)


def test_but_takes_no_longer_than_it_may_by_the_clock():
    rows = sizes(0.0005, waiting=80)[-1]
    assert rows == EARLY / (80 * 0.0005)
    assert rows > LEAST


def test_a_batch_that_only_waits_is_bounded_too():
    size = BatchSize("auto")
    size.learn(FIRST, Spent(10 * EARLY, 0.0))
    assert size.rows == FIRST // 10


def test_it_stays_within_bounds_and_grows_by_steps():
    assert sizes(10)[-1] == LEAST
    fast = sizes(1e-9)
    assert (fast[0], fast[-1]) == (FIRST, MOST)
    assert all(later <= 2 * earlier for earlier, later in pairwise(fast))


def test_a_short_batch_does_not_change_the_size():
    size = BatchSize("auto")
    size.learn(3, Spent(2.0, 2.0))
    assert size.rows == FIRST


def test_one_that_was_cut_short_says_that_full_ones_take_too_long():
    size = BatchSize("auto")
    size.learn(FIRST // 2, Spent(10 * SECONDS, 10 * SECONDS), cut=True)
    assert size.rows == max(LEAST, FIRST // 20)


@pytest.mark.parametrize("seconds", [0.001, 60])
def test_a_size_that_was_asked_for_stays(seconds):
    size = BatchSize(7)
    size.learn(7, Spent(seconds, seconds))
    assert size.rows == 7
