"""Makes the log append-only, if the project asks for it.

The request is a setting: it is reviewed with the code, and no database role can revoke it.
Triggers that were installed without the setting stay until ``audit_triggers remove``.
"""

from __future__ import annotations

from django.db import transaction

from ..conf import get_settings
from ..models import AuditLog
from ..utils.table_names import log_name
from ..vendors import get_vendor
from ..vendors.capture_types import Kind

LOG = log_name(AuditLog._meta.db_table)


def script(using: str) -> list[str]:
    """Return the SQL that makes the log reject updates, deletes and TRUNCATE."""
    return get_vendor(using).append_only_sql()


def missing(using: str) -> bool:
    """Return whether APPEND_ONLY is set but its triggers are missing or broken."""
    if not get_settings().APPEND_ONLY:
        return False
    vendor = get_vendor(using)
    log = vendor.shapes([LOG]).get(LOG)
    # What a log is attached to is another tool's.
    return log is not None and log.kind is not Kind.VIEW and not vendor.append_only()


def install(using: str) -> bool:
    """Install the append-only triggers.

    :returns: whether they were missing, disabled or outdated.
    """
    vendor = get_vendor(using)
    if vendor.append_only():
        return False
    with transaction.atomic(using):
        vendor.execute(script(using))
    return True
