"""An error about a right that is missing, said so that somebody can grant it."""

from __future__ import annotations

from collections.abc import Sequence

from django.apps import apps
from django.db import Error

from ..exceptions import RightsMissing
from ..models import AuditLog, Coverage
from ..vendors import get_vendor

#: What nobody but triggers and the owner writes: the job reads it.
READ = (AuditLog, Coverage)


def refused(error: BaseException, using: str) -> bool:
    """Return whether it is about a right that is missing."""
    return isinstance(error, Error) and get_vendor(using).refuses_access(error)


def explained(error: BaseException, using: str, *, writes: Sequence[str] | None = None) -> str:
    """Return what the error says; of a right that is missing, which one it is.

    :param writes: the tables that had to be written; by default those that the job writes.
    """
    said = " ".join(f"{error}".split()) or type(error).__name__
    if not refused(error, using):
        return said
    tables = {model._meta.db_table for model in apps.get_app_config("auditrepr").get_models()}
    written = set(writes) if writes is not None else tables - {m._meta.db_table for m in READ}
    try:
        missing = get_vendor(using).missing_rights(sorted(tables), sorted(written))
    except Error:  # the transaction is the caller's, and over
        missing = None
    if not missing:
        return said
    role, rights = missing
    return str(RightsMissing(alias=using, role=role, rights=rights, reason=said.rstrip(".")))
