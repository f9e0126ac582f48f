"""The functions that the benchmarks compare; each runs in its own process.

``python -m benchmarks.work FUNCTION '{"argument": 1}'`` prints its cost as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import django

django.setup()

from django.core.management import call_command
from django.db import connection, transaction

from auditrepr.asof import batch
from auditrepr.job import backfill
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.job.pending import (
    Backlog,
    PendingBatch,
    take,
)
from auditrepr.job.rounds import shares
from auditrepr.job.runs import run as job_run
from auditrepr.job.runs.limits import MOST
from auditrepr.job.seals import sealing as seals
from auditrepr.job.seals.verifying import verify
from auditrepr.models import (
    AuditLog,
    Checkpoint,
    Fidelity,
    InstanceRepr,
)
from auditrepr.reprs import build
from auditrepr.sources import find
from auditrepr.utils.table_names import model_for_table
from auditrepr.utils.time_limit import JobTimeLimit
from benchmarks.measure import Cost, ServerCPU, SessionsCPU, is_near, measured, server_cpu
from benchmarks.shop.models import Invoice


def run(sweep: bool = True, words: bool = True, about: bool = True, **options: Any) -> int:
    """The job.

    :param sweep: false leaves out the sweep.
    :param words: false represents the rows of many-to-many tables as Django's ``str()`` does.
    :param about: false leaves out which objects events are about besides their own.
    """
    if not words:
        batch.pair_field = lambda model: None
    if not about:
        job_run.related_objects = lambda events, using: []  # type: ignore[attr-defined]
    if not sweep:
        Backlog.sweep = lambda self, size: iter(())  # type: ignore[method-assign]
    result = backfill.run("default", lock=DatabaseLock("default"), **options)
    assert not result.error, result.error
    return result.rows


def batches(size: int) -> Cost:
    """The job in batches of this many rows: what the cheapest took, but not the first."""
    costs: list[Cost] = []

    def told(_: Any) -> None:
        nonlocal before
        now = _used(server)
        own, servers = (new - old for new, old in zip(now, before, strict=True))
        costs.append(Cost(cpu_seconds=own, server_cpu_seconds=servers))
        before = now

    def no_sweep(self: Backlog, size: int) -> Iterator[PendingBatch]:
        return iter(())

    Backlog.sweep = no_sweep  # type: ignore[method-assign]
    with server_cpu() if is_near() else nullcontext() as server:
        before = _used(server)
        lock = DatabaseLock("default")
        result = backfill.run("default", lock=lock, batch_size=size, on_progress=told)
    assert not result.error, result.error
    return min(costs[1:], key=lambda cost: cost.all_cpu_seconds)


def shared(workers: int) -> Cost:
    """The command with this many workers: the CPU of all of them, and of all of their sessions."""
    # What other benchmarks have left below is no run's work.
    backlog = AuditLog.objects.pending(after=Checkpoint.objects.get().settled_id)
    before = backlog.count()
    planned = _shared_if_small(before)
    sessions = SessionsCPU() if is_near() else None
    connection.close()
    servers = sessions.read() if sessions else 0.0
    began, used = time.perf_counter(), _used_by_all()
    call_command("backfill_reprs", workers=workers, verbosity=0)
    cost = Cost(seconds=time.perf_counter() - began, cpu_seconds=_used_by_all() - used, rows=before)
    connection.close()
    if sessions:
        cost.server_cpu_seconds = sessions.read() - servers
    assert not backlog.exists()
    assert workers == 1 or any(planned), "nothing was shared"
    return cost


def _shared_if_small(rows: int) -> list[int]:
    """Let a backlog that is too small for a round be shared, in smaller shares.

    :returns: what will have been planned: the numbers of shares.
    """
    if rows < shares.LEAST:
        shares.WIDTH = max(1, shares.WIDTH * rows // shares.LEAST)
        shares.LEAST = 1
    planned: list[int] = []
    plan = shares.plan

    def noted(*arguments: Any, **options: Any) -> int:
        planned.append(plan(*arguments, **options))
        return planned[-1]

    shares.plan = noted
    return planned


def _used_by_all() -> float:
    """CPU seconds of this process, and of those that it has started and that have ended."""
    return sum(os.times()[:4])


def _used(server: ServerCPU | None) -> tuple[float, float]:
    """CPU seconds of this process, and of the server's."""
    return time.process_time(), server.read() / 1e9 if server else 0.0


def idle_command() -> int:
    """What cron starts, with nothing to do."""
    call_command("backfill_reprs", verbosity=0)
    return 0


def migrate() -> int:
    """Create the tables that the settings add, with their triggers."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    return 0


def plain_loop(size: int = 1000, batches: int | None = None) -> int:
    """The plain loop: the query searches the whole log for missing representations."""
    return _loop(lambda after: AuditLog.objects.filter(instance_repr=None), size, batches)


def marked_loop(size: int = 1000) -> int:
    """The plain loop, given for free the position from which events are pending."""
    return _loop(lambda after: AuditLog.objects.filter(pk__gt=after, instance_repr=None), size)


def seed_query(size: int = 1000) -> int:
    """Only the query of the plain loop."""
    return len(AuditLog.objects.filter(instance_repr=None)[:size])


def _loop(select: Callable[[int], Any], size: int, batches: int | None = None) -> int:
    stored = after = 0
    while batches is None or stored < batches * size:
        rows = list(select(after).order_by("pk")[:size])
        InstanceRepr.objects.bulk_create(
            InstanceRepr(
                audit_log=row,
                instance_repr=str(_instance(row)),
                fidelity=Fidelity.EXACT,
            )
            for row in rows
        )
        stored += len(rows)
        if len(rows) < size:
            break
        after = rows[-1].pk
    return stored


def _instance(row: AuditLog) -> Any:
    """The plain way: Python turns JSON into values, as far as it can."""
    model: Any = model_for_table(row.table_name)
    fields = {field.column: field for field in model._meta.local_concrete_fields}
    return model(
        **{
            fields[column].attname: fields[column].to_python(value)
            for column, value in row.row_data.items()
        }
    )


def related_loop(size: int = 1000, method: str = "with_relations") -> int:
    """The loop with ``select_related``, on current rows."""
    stored = after = 0
    while True:
        rows = list(AuditLog.objects.filter(pk__gt=after, instance_repr=None).order_by("pk")[:size])
        keys = {int(row.object_id or 0) for row in rows}
        found = Invoice.objects.select_related("customer__country").in_bulk(keys)
        InstanceRepr.objects.bulk_create(
            InstanceRepr(
                audit_log=row,
                instance_repr=getattr(found[int(row.object_id or 0)], method)(),
                fidelity=Fidelity.MIXED,
            )
            for row in rows
        )
        stored += len(rows)
        if len(rows) < size:
            return stored
        after = rows[-1].pk


def building(rows: int, size: int = MOST) -> int:
    """Only building: the batches are read and built, and nothing is stored."""
    limit = JobTimeLimit.from_settings()
    return sum(len(build(batch.events, "default", limit=limit)) for batch in _batches(rows, size))


def _batches(rows: int, size: int) -> Sequence[PendingBatch]:
    top = AuditLog.objects.order_by("-pk").values_list("pk", flat=True)[0]
    found: list[PendingBatch] = []
    after = top - rows
    while after < top:
        found.append(take("default", after, top, size))
        after = found[-1].reaches
    return found


INSERTING = {
    "postgresql": """
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason)
SELECT id, concat('Invoice ', row_data ->> 'number', ' of ', row_data ->> 'placed_on', ': ',
    row_data ->> 'total', ' ', row_data ->> 'currency'), 'E', ''
FROM auditrepr_auditlog WHERE id > %s AND id <= %s""",
    "sqlite": """
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason)
SELECT id, 'Invoice ' || (row_data ->> 'number') || ' of ' || (row_data ->> 'placed_on') || ': '
    || (row_data ->> 'total') || ' ' || (row_data ->> 'currency'), 'E', ''
FROM auditrepr_auditlog WHERE id > %s AND id <= %s""",
}


def inserting(rows: int, size: int | None = None) -> int:
    """The same texts by the database: ``INSERT … SELECT``, in batches or all at once."""
    top = AuditLog.objects.order_by("-pk").values_list("pk", flat=True)[0]
    step = size or rows
    for begin in range(top - rows, top, step):
        with connection.cursor() as cursor:
            cursor.execute(INSERTING[connection.vendor], [begin, min(begin + step, top)])
    return rows


def export(format: str) -> int:  # noqa: A002
    """Export the whole log, to nowhere."""
    call_command("export_audit_log", format=format, output="/dev/null", verbosity=0)
    return AuditLog.objects.count()


def import_log(source: str) -> int:
    """Import the events of another log."""
    call_command("import_audit_log", source, verbosity=0)
    return AuditLog.objects.count()


def copy_log(source: str) -> int:
    """Copy them with one statement, as if nothing had to be looked at."""
    columns = f"table_name, object_id, action, row_data, {'changed_from, ' * (source == 'ours')}"
    with transaction.atomic(), connection.cursor() as cursor:
        for part in find(source).parts("default"):  # of which all but one are empty
            cursor.execute(
                f"INSERT INTO auditrepr_auditlog (id, {columns}occurred_at)"
                f" SELECT -position, {columns}occurred_at FROM ({part.select}\n) AS source"
            )
    return AuditLog.objects.count()


def sealing() -> int:
    """Seal the whole log."""
    with DatabaseLock("default") as lock:
        done = seals.seal("default", lock, lambda progress: None, lambda: False)
    return done.events


def verifying() -> int:
    """Compare the whole log with its seals."""
    found = verify("default")
    assert not found.differing, found.differences
    return found.events


def nothing() -> int:
    """Only start: what a process takes that has done nothing yet."""
    return AuditLog.objects.count()


def main(name: str, arguments: dict[str, Any]) -> Cost:
    warm = arguments.pop("warm", False)
    if name in ("run", "batches", "building", "shared"):
        arguments.pop("method", None)  # the settings read it from the environment
    if warm:
        globals()[name](**arguments)
    if name == "shared":
        return shared(**arguments)  # which measures more than one process and one session
    with measured() as cost:
        result = globals()[name](**arguments)
    if isinstance(result, Cost):
        return result
    cost.rows = result
    return cost


if __name__ == "__main__":
    time.tzset()
    print(json.dumps(asdict(main(sys.argv[1], json.loads(sys.argv[2])))))
