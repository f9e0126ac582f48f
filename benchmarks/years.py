"""A large log that is sealed, partitioned, pruned, erased in and verified, as after some years."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from auditrepr.models import AuditLog

from . import data
from .measure import measured
from .table import show

CUSTOMER = 17
NAME = "Wilhelmina Achterberg"
#: Events whose texts must be the same in the end, at most.
SAMPLE = 1_000
#: The smallest size that partitions may have.
SMALLEST = 10_000


def years(sizes: Sequence[int], repeat: int) -> None:
    """Do all of it once, with the last of the sizes, half of which is pruned."""
    size = sizes[-1]
    rows: list[list[Any]] = []

    def step(name: str, work: Callable[[], object]) -> None:
        with measured() as cost:
            work()
        rows.append([name, cost.seconds, cost.cpu_seconds, cost.server_cpu_seconds,
                     cost.statements, round(cost.peak_mb)])  # fmt: skip
        data.tidy()

    with tempfile.TemporaryDirectory() as folder:
        kept = str(Path(folder) / "seals.jsonl")
        data.fill(AuditLog.objects.count() + size // 2)
        step(f"seal {AuditLog.objects.count():,} events", lambda: _command("seal_audit_log"))
        step("export the seals", lambda: _command("seal_audit_log", no_seal=True, export=kept))
        if connection.vendor == "postgresql":
            partition = max(size // 10, SMALLEST)
            name = f"partition the log, {partition:,} events each"
            step(name, lambda: print(_command("partition_audit_log", size=partition)))
        before = timezone.now()
        _come_and_go()
        data.fill(AuditLog.objects.count() + size - size // 2)
        step("seal the other half", lambda: _command("seal_audit_log"))
        newest = min(SAMPLE, size - size // 2)  # none of the customer
        texts = _texts(newest)
        step("prune the first half", lambda: _prune(before.isoformat()))
        count = AuditLog.objects.count()
        step(f"erase a customer from {count:,} events", lambda: _erase(dry_run=False))
        step("verify against the export", lambda: _command("verify_audit_log", against=kept))
        step("count what erasing would still find", lambda: _erase(dry_run=True))
    if _texts(newest) != texts:
        raise SystemExit("The representations of kept events have changed.")
    head = ["", "seconds", "own CPU, s", "server's CPU, s", "statements", "peak memory, MB"]
    show(f"Years: {size:,} events", head, rows)


def _come_and_go() -> None:
    """Give a customer a name, by which an order knows her, and delete her; store the texts."""
    data.run(f"UPDATE shop_customer SET name = '{NAME}' WHERE id = {CUSTOMER}")
    data.run(f"UPDATE shop_invoice SET reference = 'for {NAME}' WHERE id = 1")
    data.run(f"DELETE FROM shop_customer WHERE id = {CUSTOMER}")
    _command("backfill_reprs")


def _command(name: str, **options: Any) -> str:
    out = StringIO()
    with redirect_stdout(out):
        call_command(name, stdout=out, **options)
    return out.getvalue()


def _prune(before: str) -> None:
    _command("prune_audit_log", before=before, interactive=False)


def _erase(*, dry_run: bool) -> None:
    target = {"object": f"shop.Customer:{CUSTOMER}", "text": [NAME], "interactive": False}
    _command("erase_from_audit_log", **target, dry_run=dry_run)


def _texts(number: int) -> list[tuple[int, str]]:
    """Return the texts of the newest events."""
    newest = AuditLog.objects.with_reprs().order_by("-pk")[:number]
    return [(event.pk, str(event.instance_repr)) for event in newest]
