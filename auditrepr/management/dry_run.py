"""Formats the events of a dry run, and what would be stored for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..lineage import recent_renames
from ..models import AuditLog
from ..reprs import Outcome
from ..utils.phrases import timestamp
from ..utils.text import visible
from ..vendors.types import Event


def described(event: Event, outcome: Outcome, using: str) -> dict[str, Any]:
    """Return one event of a dry run, as in the JSON output."""
    model = recent_renames(using).model(event)
    return {
        "id": event.id,
        "time": timestamp(event.occurred_at),
        "action": str(AuditLog.Action(event.action).label),
        "model": model._meta.label if model else event.table_name,
        "object": event.object_id,
        "representation": None if outcome.failure else outcome.text,
        "fidelity": None if outcome.failure else str(outcome.fidelity.name).lower(),
        "reason": outcome.reason,
        "final": bool(outcome.failure and outcome.failure.final),
        "error": outcome.failure
        and f"{outcome.failure.error_class}: {outcome.failure.message}".strip(": "),
    }


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the events of a dry run as lines with aligned columns."""
    columns = ("id", "time", "action", "model", "object")
    head = {name: name for name in columns} | {"representation": "representation"}
    cells = [
        {name: visible(str(row[name])) for name in columns} for row in (rows and [head, *rows])
    ]
    widths = {name: max((len(line[name]) for line in cells), default=0) for name in columns}
    for line, row in zip(cells, [head, *rows], strict=False):
        start = "  ".join(line[name].ljust(widths[name]) for name in columns)
        yield f"{start}  {_outcome(row)}"


def _outcome(row: dict[str, Any]) -> str:
    if row.get("final"):
        return f"(str() raised as of the event: {row['error']})"
    if row.get("error"):
        return f"(cannot be built: {row['error']})"
    why = f" (mixed: {row['reason']})" if row.get("fidelity") == "mixed" else ""
    return f"{row['representation']}{why}"
