"""Data sets: invoices, their customers and countries, and a log of them, straight by SQL."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import connection

from auditrepr.models import AuditLog, Checkpoint, InstanceRepr, RelatedObject, ReprFailure
from benchmarks.shop.models import Country, Invoice

COUNTRIES = 200
CUSTOMERS = 10_000
INVOICES = 50_000
LABELS = 100
BEFORE_INVOICES = COUNTRIES + CUSTOMERS + LABELS  # events in the log

_POSTGRESQL = {
    "series": "generate_series({first}, {last}) AS series (n)",
    "text": "repeat(md5({0}::text), 3)",
    "date": "date '2020-01-01' + ({0} % 2000)::int",
    "time": "timestamptz '2020-01-01 08:00Z' + make_interval(mins => {0}::int)",
}
_SQLITE = {
    "series": (
        "(WITH RECURSIVE series (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM series"
        " WHERE n < {last}) SELECT n FROM series) AS series"
    ),
    "text": "substr(hex(zeroblob(48)) || {0}, -96)",
    "date": "date('2020-01-01', ({0} % 2000) || ' days')",
    "time": "strftime('%Y-%m-%d %H:%M:%f', '2020-01-01 08:00', {0} || ' minutes')",
}


def invoices(table: str, first: int, last: int) -> str:
    """Return the statement that inserts this number of rows, beyond those of the data set."""
    return sql(
        f"INSERT INTO {table} (id, {INVOICE_COLUMNS})"
        f" SELECT {INVOICES} + n, {INVOICE_VALUES} FROM <series>",
        first,
        last,
    )


def sql(template: str, first: int, last: int) -> str:
    """Return the template in the SQL of the database."""
    words = _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
    for name in ("text", "date", "time"):
        template = template.replace(f"<{name}>", words[name].format("n"))
    return template.replace("<series>", words["series"].format(first=first, last=last))


_COUNTRIES = """
INSERT INTO shop_country (id, code, code3, name, official_name, currency, population, area, vat)
SELECT n, 'C' || (n % 10), 'C' || (n % 90 + 10), 'Country ' || n,
    'The Democratic Republic of Country ' || n, 'EUR', n % 10000 * 123457, n * 1017.25, 19.5
FROM <series>"""
_CUSTOMERS = f"""
INSERT INTO shop_customer
    (id, country_id, name, email, phone, street, postcode, city, credit, active, since)
SELECT n, n % {COUNTRIES} + 1, 'Customer ' || n, 'customer' || n || '@example.com',
    '+49 30 ' || (n + 1000000), 'Street of the Republic ' || n, 10000 + n, 'City ' || (n % 500),
    n * 1.25, true, <date>
FROM <series>"""
INVOICE_COLUMNS = (
    "customer_id, number, status, reference, note, currency, net, tax, total, paid,"
    " placed_on, shipped_at, created_at"
)
INVOICE_VALUES = f"""
    n % {CUSTOMERS} + 1, 'R' || (1000000 + n), 'sent', 'order ' || n || ' of the web shop',
    <text>, 'EUR', n % 997 + 0.5, n % 97 + 0.25, n % 997 + n % 97 + 0.75, n % 2 = 0,
    <date>, <time>, <time>"""
_INVOICES = f"""
INSERT INTO shop_invoice (id, {INVOICE_COLUMNS}) SELECT n, {INVOICE_VALUES} FROM <series>"""
_LABELS = "INSERT INTO shop_label (id, name) SELECT n, 'Label ' || n FROM <series>"
_PAIRS = f"""
INSERT INTO shop_invoice_labels (invoice_id, label_id)
SELECT n % {INVOICES} + 1, n / {INVOICES} % {LABELS} + 1 FROM <series>"""

# Each event in a transaction of its own, as most are.
_POSTGRESQL_LOG = f"""
INSERT INTO auditrepr_auditlog (table_name, object_id, action, row_data, changed_from,
    transaction_id, snapshot, statement_at, occurred_at)
SELECT 'shop_invoice', invoice.id::text, 'U', to_jsonb(invoice), '{{{{"status": "new"}}}}',
    base.xid + n, concat(base.xid + n, ':', base.xid + n, ':'), now(), clock_timestamp()
FROM generate_series({{first}}, {{last}}) AS series (n)
CROSS JOIN (SELECT txid_current() AS xid) base
JOIN shop_invoice invoice ON invoice.id = n % {INVOICES} + 1"""
_SQLITE_LOG = f"""
INSERT INTO auditrepr_auditlog (table_name, object_id, action, row_data, changed_from, occurred_at)
SELECT 'shop_invoice', log.object_id, 'U', log.row_data, '{{{{"status":"new"}}}}', log.occurred_at
FROM (WITH RECURSIVE series (n) AS (SELECT {{first}} UNION ALL SELECT n + 1 FROM series
    WHERE n < {{last}}) SELECT n FROM series) AS series
JOIN auditrepr_auditlog log ON log.id = n % {INVOICES} + {BEFORE_INVOICES} + 1"""
_REPRESENTED = """
INSERT INTO auditrepr_instancerepr (audit_log_id, instance_repr, fidelity, reason)
SELECT id, 'Invoice R' || (1000000 + id) || ' of 2020-01-01: 512.75 EUR', 'E', ''
FROM auditrepr_auditlog WHERE id > {last}"""


def make_schema() -> None:
    """Create the tables, the triggers and the objects, each with one event."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    if Invoice.objects.exists():
        return
    if connection.vendor == "postgresql":
        run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    run(sql(_COUNTRIES, 1, COUNTRIES))
    run(sql(_CUSTOMERS, 1, CUSTOMERS))
    run(sql(_LABELS, 1, LABELS))
    run(sql(_INVOICES, 1, INVOICES))


def countries(rows: int) -> None:
    """Have at least so many of them."""
    there = Country.objects.count()
    if there < rows:
        run(sql(_COUNTRIES, there + 1, rows))
    run("VACUUM (ANALYZE) shop_country" if connection.vendor == "postgresql" else "ANALYZE")
    represent_all()


def fill(represented: int) -> None:
    """Grow the log to this number of events, all with a representation."""
    _extend(represented - AuditLog.objects.count())
    represent_all()


def backlog(rows: int) -> None:
    """Add this number of events without a representation."""
    _extend(rows)
    tidy()


def pair_backlog(rows: int) -> None:
    """Add so many events of a many-to-many table, each of another pair."""
    first = Invoice.labels.through._base_manager.count()
    run(sql(_PAIRS, first, first + rows - 1))
    tidy()


def forget(rows: int) -> None:
    """Make the last events pending again, as if the job had never seen them."""
    top = highest()
    InstanceRepr.objects.filter(pk__gt=top - rows)._raw_delete("default")
    RelatedObject.objects.filter(audit_log__gt=top - rows)._raw_delete("default")
    ReprFailure.objects.all().delete()
    Checkpoint.objects.update(
        settled_id=top - rows, swept_id=0, candidate_id=None, candidate_evidence=None
    )
    tidy()


def represent_all() -> None:
    """Give every event a text, and let the job find that nothing is left to do."""
    last = InstanceRepr.objects.order_by("-pk").values_list("pk", flat=True).first()
    run(_REPRESENTED.format(last=last or 0))
    Checkpoint.objects.update_or_create(pk=1, defaults={"settled_id": highest(), "swept_id": 0})
    tidy()


_JOBS = ("auditrepr_instancerepr", "auditrepr_relatedobject")


def tidy() -> None:
    """Do now what autovacuum does sooner or later, so that it does not interfere."""
    if connection.vendor == "postgresql":
        for table in (*_JOBS, "auditrepr_auditlog", "auditrepr_checkpoint"):
            run(f"VACUUM (ANALYZE) {table}")
        run("CHECKPOINT")
    else:
        run("ANALYZE")
        run("PRAGMA wal_checkpoint(TRUNCATE)")


def highest() -> int:
    return AuditLog.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


STEP = 1_000_000  # events that one statement adds


def _extend(rows: int) -> None:
    template = _POSTGRESQL_LOG if connection.vendor == "postgresql" else _SQLITE_LOG
    for first in range(1, rows + 1, STEP):
        run(template.format(first=first, last=min(first + STEP - 1, rows)))


def run(sql: str) -> None:
    """Execute a statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql)


def rows(sql: str, **parameters: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or [])
        return cursor.fetchall()


def value(sql: str, *parameters: object) -> Any:
    """Return the one value of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()[0]
