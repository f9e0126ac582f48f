"""The other processes of a run that asked for several workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...models import StopReason
from ..runs.result import Progress, Result


class Crew(Protocol):
    """Starts workers, which help in the rounds of a run, and ends them."""

    def start(self, count: int, max_seconds: float | None) -> None:
        """Start this many workers, unless some are there already."""

    def progress(self) -> Progress:
        """Return what all of them have done so far."""

    def end(self, reason: StopReason) -> None:
        """Let each end after its batch, for this reason, and wait for that."""

    def results(self) -> Sequence[Result]:
        """Return the result of each that has ended."""


class Alone:
    """No other worker."""

    def start(self, count: int, max_seconds: float | None) -> None:
        pass

    def progress(self) -> Progress:
        return Progress(0, 0, 0, 0)

    def end(self, reason: StopReason) -> None:
        pass

    def results(self) -> Sequence[Result]:
        return ()
