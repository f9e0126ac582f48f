"""What was built is stored together; a row that the database refuses costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.db import Error

from ..reprs import Failure, Outcome
from ..vendors import get_vendor

#: As :meth:`Vendor.store`: id of the audit row, text, fidelity, reason.
Write = Callable[[list[tuple[int, str, str, str]]], int]


def store(using: str, outcomes: Sequence[Outcome], write: Write) -> tuple[int, list[Outcome]]:
    """Write what was built of these, within the caller's transaction.

    As an index of the project's own may refuse a long text, or a constraint another.

    :returns: how many rows were written; and what became of all, in the order of their ids, with
        what the database refused as failures.
    :raises django.db.Error: if it is about no value.
    """
    built = [outcome for outcome in outcomes if outcome.failure is None]
    if not built:
        return 0, list(outcomes)
    written = _write(using, built, write)
    if not isinstance(written, Error):
        return written, list(outcomes)
    return _one_by_one(using, outcomes, write)


def failed(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those without a text to store."""
    return [outcome for outcome in outcomes if outcome.failure]


def _one_by_one(using: str, outcomes: Sequence[Outcome], write: Write) -> tuple[int, list[Outcome]]:
    total, became = 0, failed(outcomes)
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
    """How many rows were written; or the error, if it is about a value of theirs."""
    try:
        return write([_row(outcome) for outcome in built])
    except Error as error:
        if not get_vendor(using).refuses_value(error):
            raise
        return error


def _row(outcome: Outcome) -> tuple[int, str, str, str]:
    return outcome.id, outcome.text, str(outcome.fidelity), outcome.reason
