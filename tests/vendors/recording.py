"""A table that the tests create and audit, in SQL for every database."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Event as Signal
from threading import Thread
from typing import Any

from django.db import connection, transaction

from auditrepr.models import AuditLog
from auditrepr.vendors import Vendor
from auditrepr.vendors.capture_types import Capture
from auditrepr.vendors.types import Event
from tests.capturing import sql

TABLE = "conformance_thing"
CREATE = f"CREATE TABLE {TABLE} (id integer PRIMARY KEY, name varchar(50), secret varchar(50))"


def captured(vendor: Vendor, excluded: Collection[str] = (), table: str = TABLE) -> Capture:
    """What the table's triggers are made from."""
    shape = vendor.shapes([table])[table]
    return Capture(table, table, shape, shape.key_columns, frozenset(excluded))


def audit(vendor: Vendor, excluded: Collection[str] = (), table: str = TABLE) -> Capture:
    """Create the table, and its triggers."""
    sql(CREATE.replace(TABLE, table))
    capture = captured(vendor, excluded, table)
    vendor.execute([*vendor.support_sql(), *vendor.install_sql(capture), *vendor.seal_sql()])
    return capture


def logged(table: str = TABLE) -> list[AuditLog]:
    """The events of the table, in their order."""
    return list(AuditLog.objects.filter(table_name=table).order_by("pk"))


def moments(table: str) -> list[Event]:
    """The same as the builder knows them."""
    return [Event.of(row) for row in logged(table)]


def insert(key: int, name: str = "Ann", table: str = TABLE) -> None:
    sql(f"INSERT INTO {table} VALUES ({key}, '{name}', 'hush')")


@contextmanager
def open_transaction(work: Any) -> Iterator[Any]:
    """Give what `work` returned in a transaction of another connection, which stays open inside."""
    begun, ended, results = Signal(), Signal(), []

    def run() -> None:
        try:
            with transaction.atomic():
                try:
                    results.append(work())
                finally:
                    begun.set()
                ended.wait(30)
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    try:
        assert begun.wait(30)
        assert results, "the other connection failed"
        yield results[0]
    finally:
        ended.set()
        thread.join()


def elsewhere(work: Any) -> Any:
    """What `work` returns on another connection, once it is committed."""
    with open_transaction(work) as result:
        pass
    return result


#: What lets a statement wait for a lock no longer than a moment, and as long as before again: each
#: database has its own way.
IMPATIENT = {
    "postgresql": ("SET lock_timeout = '10ms'", "RESET lock_timeout"),
    "sqlite": ("PRAGMA busy_timeout = 10", "PRAGMA busy_timeout = 20000"),
}


#: What keeps a session from writing, and lets it write again: each database has its own way.
WITHOUT_RIGHTS = {
    "postgresql": ("SET ROLE pg_monitor", "RESET ROLE"),
    "sqlite": ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
}


@contextmanager
def without_rights() -> Iterator[None]:
    """Statements inside may not write."""
    begin, end = WITHOUT_RIGHTS[connection.vendor]
    sql(begin)
    try:
        yield
    finally:
        sql(end)


@contextmanager
def impatient() -> Iterator[None]:
    """Statements inside wait for a lock no longer than a moment."""
    begin, end = IMPATIENT[connection.vendor]
    sql(begin)
    try:
        yield
    finally:
        sql(end)
