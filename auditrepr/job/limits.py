"""How many rows make a batch."""

from __future__ import annotations

from typing import Literal

#: As many rows as take about so many seconds: a batch is long enough that what it costs by itself
#: does not count, and short enough that a run can stop, and a lock is held for a moment only.
AUTO: Literal["auto"] = "auto"
SECONDS = 0.5
#: The first batch, and how small and large the others become. What a batch needs is in memory.
FIRST, LEAST, MOST = 1000, 50, 4000

Asked = int | Literal["auto"]


class BatchSize:
    """The size of the next batch: what was asked for, or what the last ones suggest."""

    def __init__(self, asked: Asked) -> None:
        self.auto = asked == AUTO
        self.rows = FIRST if asked == AUTO else asked

    def learn(self, rows: int, seconds: float, *, cut: bool = False) -> None:
        """A batch of so many rows took so long; a short one says nothing of full ones.

        :param cut: unless it was cut short because it took too long.
        """
        if self.auto and (rows >= self.rows or cut):
            fitting = int(rows * SECONDS / max(seconds, 0.001))
            self.rows = max(LEAST, min(fitting, 2 * self.rows, MOST))
