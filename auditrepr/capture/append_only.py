"""The log refuses to be changed, where the project wishes so.

The wish is a setting: it is reviewed with the code, and no role of the database can take it back.
What was installed without it stays, too, until ``audit_triggers remove``.
"""

from __future__ import annotations

from django.db import transaction

from ..conf import get_settings
from ..models import AuditLog
from ..utils.table_names import log_name
from ..vendors import get_vendor

LOG = log_name(AuditLog._meta.db_table)


def script(using: str) -> list[str]:
    """The SQL that makes the log refuse updates, deletes and TRUNCATE."""
    return get_vendor(using).append_only_sql()


def missing(using: str) -> bool:
    """Does the setting ask for what is not there, or not in order?"""
    if not get_settings().APPEND_ONLY:
        return False
    vendor = get_vendor(using)
    return LOG in vendor.shapes([LOG]) and not vendor.append_only()


def install(using: str) -> bool:
    """Let the log refuse to be changed.

    :returns: whether it did not, or not just as it ought to, before.
    """
    vendor = get_vendor(using)
    if vendor.append_only():
        return False
    with transaction.atomic(using):
        vendor.execute(script(using))
    return True
