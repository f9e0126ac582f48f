"""Benchmark of imports: the events of another log, compared with a plain copy of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.apps import apps
from django.db import connection

from auditrepr.capture import coverage
from auditrepr.models import AuditLog, Coverage, Import, InstanceRepr

from . import data
from .measure import Cost, in_child, repeated
from .table import show, times

COLUMNS = "table_name, object_id, action, row_data, changed_from, occurred_at"
#: Events of one object; the first of them adds it.
EVENTS = 100


def select(using: str) -> str:
    """Return the SELECT of another log, as a project writes it."""
    return f"SELECT position, {COLUMNS} FROM other_log"


def imported(sizes: Sequence[int], repeat: int) -> None:
    """Import a log of a project's own, and django-pghistory's."""
    rows: list[list[str | int | float | None]] = []
    with _kept():
        for size in sorted(sizes):
            for name, cost, copied in _compared(size, repeat):
                rows.append([f"{size:,} events, {name}", cost.seconds, round(cost.rate),
                             cost.cpu_seconds, cost.server_cpu_seconds, cost.statements,
                             times(cost.seconds / copied.seconds)])  # fmt: skip
    show(
        "Imported",
        ["", "s", "events/s", "own CPU, s", "the server's CPU, s", "statements", "plain copy"],
        rows,
    )


@contextmanager
def _kept() -> Iterator[None]:
    """Have the log again afterwards: other benchmarks add to it."""
    columns = ", ".join(f.column for f in AuditLog._meta.concrete_fields if not f.generated)
    covered = list(Coverage.objects.values_list("pk", "since_event"))
    data.run("DROP TABLE IF EXISTS kept_log")
    data.run(f"CREATE TABLE kept_log AS SELECT {columns} FROM auditrepr_auditlog")
    yield
    _empty()
    data.run(f"INSERT INTO auditrepr_auditlog ({columns}) SELECT {columns} FROM kept_log")
    data.run("DROP TABLE kept_log")
    for pk, since in covered:
        Coverage.objects.filter(pk=pk).update(since_event=since)
    data.represent_all()


def _compared(size: int, repeat: int) -> Iterator[tuple[str, Cost, Cost]]:
    makers: dict[str, tuple[str, Callable[[int], None]]] = {"ours": ("a log of one's own", _own)}
    if apps.is_installed("pghistory"):
        makers["pghistory"] = ("django-pghistory", _pghistory)
    for source, (name, make) in makers.items():
        make(size)
        copied = repeated(repeat, lambda source=source: _fresh("copy_log", source=source))  # type: ignore[misc]
        cost = repeated(repeat, lambda source=source: _fresh("import_log", source=source))  # type: ignore[misc]
        yield name, cost, copied


def _own(size: int) -> None:
    """Have a log of one's own of this many events."""
    data.fill(size)
    json, time = ("jsonb", "timestamptz") if connection.vendor == "postgresql" else ("text", "text")
    data.run("DROP TABLE IF EXISTS other_log")
    data.run(
        "CREATE TABLE other_log (position bigint PRIMARY KEY, table_name text, object_id text,"
        f" action text, row_data {json}, changed_from {json}, occurred_at {time})"
    )
    data.run(f"INSERT INTO other_log SELECT id, {COLUMNS} FROM auditrepr_auditlog LIMIT {size}")
    data.run("ANALYZE other_log")
    _begin()


def _pghistory(size: int) -> None:
    """Have this many of django-pghistory's events, of which each object has a hundred."""
    objects = max(1, size // EVENTS)
    values = data.INVOICE_VALUES.replace("'sent'", f"'sent ' || (n / {objects})")
    data.run("TRUNCATE peers_invoicebyrowevent")
    data.run(
        data.sql(
            "INSERT INTO peers_invoicebyrowevent (pgh_created_at, pgh_label, pgh_obj_id, id,"
            f" {data.INVOICE_COLUMNS}) SELECT timestamptz '2020-01-01' + make_interval(secs => n),"
            f" CASE WHEN n <= {objects} THEN 'insert' ELSE 'update' END,"
            f" n % {objects}, n % {objects}, {values} FROM <series>",
            1,
            size,
        )
    )
    data.run("ANALYZE peers_invoicebyrowevent")
    _begin()


def _begin() -> None:
    """Let our log begin now, with nothing in it."""
    _empty()
    names = Coverage.objects.values_list("table_name", flat=True)
    coverage.start("default", dict.fromkeys(names, Coverage.Reason.INSTALLED))


def _empty() -> None:
    for model in (InstanceRepr, AuditLog, Import):
        model.objects.all()._raw_delete("default")
    data.tidy()


def _fresh(work: str, **arguments: str) -> Cost:
    _empty()
    return in_child(work, **arguments)
