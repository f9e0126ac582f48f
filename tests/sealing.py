"""Changes to a sealed log, and the forms of its values, written down independently."""

from __future__ import annotations

from django.db import connection

from auditrepr.job.seals import chain, export, verifying
from auditrepr.models import AuditLog

#: Times as docs/seal.md has them on PostgreSQL.
_TIMES = ("statement_at", "occurred_at")


def text(column: str) -> str:
    """Return SQL for the text of a column."""
    if connection.vendor == "sqlite":
        return f"CAST({column} AS TEXT)"
    if column in _TIMES:
        return f"trim(to_char(extract(epoch FROM {column}), '99999999999990.000000'))"
    return f"CAST({column} AS text)"


def verify(**options: object) -> verifying.Verified:
    """Compare the log with its seals."""
    return verifying.verify("default", **options)  # type: ignore[arg-type]


def kept_now() -> list[export.Kept]:
    """The chain, as an export has it."""
    return [export.Kept(e.number, bytes(e.digest).hex()) for e in chain.walk("default")]


def ids() -> list[int]:
    """The IDs of all events."""
    return list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))


def swap(one: int, other: int) -> None:
    """Give each of two events the ID of the other."""
    spare = 2**62
    for old, new in ((one, spare), (other, one), (spare, other)):
        AuditLog.objects.filter(pk=old).update(id=new)
