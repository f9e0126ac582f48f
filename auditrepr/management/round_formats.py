"""Formats the state of a round as text, as JSON, and for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..job.rounds.state import Round


def lines(found: Round, span: Callable[[float], str]) -> Iterator[str]:
    """Yield the lines of text.

    :param span: puts seconds into words.
    """
    done = f"{found.done:,} of {found.planned:,} shares done, {len(found.held):,} held"
    if found.seconds_left is not None:
        done += f"; {found.rate:,.0f} event IDs per second, about {span(found.seconds_left)} left"
    yield done
    for share in found.held:
        yield f"events {share.first_id} to {share.last_id}: {share.holder or 'unknown process'}"


def document(found: Round | None) -> dict[str, Any] | None:
    """Return the JSON document."""
    if found is None:
        return None
    return {
        "command": found.command,
        "planned": found.planned,
        "done": found.done,
        "ids_per_second": found.rate,
        "seconds_left": found.seconds_left,
        "held": [
            {
                "holder": str(share.holder or ""),
                "first_id": share.first_id,
                "last_id": share.last_id,
            }
            for share in found.held
        ],
    }


def metrics(found: Round | None) -> dict[str, tuple[str, Any]]:
    """Return the help text and the value of each metric."""
    return {
        "shares_planned": (
            "Shares that the present round had when it was planned; 0 if there is none.",
            found.planned if found else 0,
        ),
        "shares_left": ("Shares of the round that are not done.", found.left if found else 0),
        "shares_held": ("Shares that workers hold.", len(found.held) if found else 0),
    }
