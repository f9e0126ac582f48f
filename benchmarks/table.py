"""Tables for terminals and Markdown alike."""

from __future__ import annotations

from collections.abc import Sequence

Cell = str | int | float | None


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a table: the first column is text, the others are figures."""
    lines = [list(head), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    rule = ["-" * width if n == 0 else "-" * (width - 1) + ":" for n, width in enumerate(widths)]
    print(f"\n### {title}\n")
    for line in (lines[0], rule, *lines[1:]):
        cells = [
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def times(ratio: float) -> str:
    """Return a ratio as text."""
    return f"{ratio:.2f}×" if ratio < 10 else f"{ratio:.0f}×"


def milliseconds(seconds: float) -> str:
    """Return a duration as text."""
    return f"{seconds * 1000:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def _text(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if cell >= 100 else f"{cell:,.1f}"
    return f"{cell:,}" if isinstance(cell, int) else cell
