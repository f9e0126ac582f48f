"""Stores built representations together, and isolates those that the database refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from django.db import Error

from ...reprs import Failure, Outcome
from ...vendors import get_vendor
from ...vendors.types import Event

#: As :meth:`Vendor.store`: event ID, text, fidelity, reason.
Write = Callable[[list[tuple[int, str, str, str]]], int]


class Batch(Protocol):
    """Events that are to be stored together, in the order of their IDs."""

    @property
    def events(self) -> list[Event]: ...

    @property
    def reaches(self) -> int: ...  # all is done up to this ID once they are stored


def store(using: str, outcomes: Sequence[Outcome], write: Write) -> tuple[int, list[Outcome]]:
    """Write what was built, within the caller's transaction.

    The project's own index may refuse a long text, for example, or a constraint another.

    :returns: the number of rows written; and all outcomes, in the order of their IDs, with what the
        database refused as failures.
    :raises django.db.Error: if the error does not concern a value.
    """
    built = [outcome for outcome in outcomes if outcome.failure is None]
    if not built:
        return 0, list(outcomes)
    written = _write(using, built, write)
    if not isinstance(written, Error):
        return written, list(outcomes)
    return _one_by_one(using, outcomes, write)


def reached(batch: Batch, outcomes: Sequence[Outcome]) -> int:
    """Return the ID up to which all is done with these outcomes: maybe not the whole batch's."""
    whole = len(outcomes) == len(batch.events)
    return batch.reaches if whole else outcomes[-1].id


def failed(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes without a text to store that are to be retried."""
    return [outcome for outcome in outcomes if outcome.failure and not outcome.failure.final]


def final(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes that never had a text: ``str()`` raised as of the event, too."""
    return [outcome for outcome in outcomes if outcome.failure and outcome.failure.final]


def _one_by_one(using: str, outcomes: Sequence[Outcome], write: Write) -> tuple[int, list[Outcome]]:
    total, became = 0, [outcome for outcome in outcomes if outcome.failure]
    for outcome in outcomes:
        if outcome.failure is None:
            written = _write(using, [outcome], write)
            if isinstance(written, Error):
                became.append(Outcome(outcome.id, failure=Failure.of(written)))
            else:
                total += written
                became.append(outcome)
    return total, sorted(became, key=lambda outcome: outcome.id)


def _write(using: str, built: Sequence[Outcome], write: Write) -> int | Error:
    """Return the number of rows written, or the error if it concerns one of their values."""
    try:
        return write([_row(outcome) for outcome in built])
    except Error as error:
        if not get_vendor(using).refuses_value(error):
            raise
        return error


def _row(outcome: Outcome) -> tuple[int, str, str, str]:
    return outcome.id, outcome.text, str(outcome.fidelity), outcome.reason
