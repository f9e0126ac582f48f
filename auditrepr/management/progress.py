"""Draws the progress of a run on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ..job.runs.result import Progress
from .terminal import is_terminal


@contextmanager
def progress_bar(*, show: bool, done: str = "stored") -> Iterator[Callable[[Progress], None]]:
    """Yield a function that draws a bar on standard error, if that is a terminal.

    :param done: what has happened to the rows that it counts.
    """
    if not (show and is_terminal(sys.stderr)):
        yield lambda progress: None
        return
    shape = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    began = time.monotonic()
    with ExitStack() as stack:
        bars: list[Any] = []

        def draw(progress: Progress) -> None:
            if not bars:
                from tqdm import tqdm  # what cron starts need not import it

                bar = tqdm(total=progress.total, file=sys.stderr, bar_format=shape, mininterval=0)
                bars.append(stack.enter_context(bar))
            (bar,) = bars
            rate = progress.rows / max(time.monotonic() - began, 0.001)
            bar.total = progress.total  # it grows while others write
            bar.set_description_str(f"{progress.rows:,} {done}, {rate:,.0f}/s", refresh=False)
            bar.update(progress.done - bar.n)

        yield draw
