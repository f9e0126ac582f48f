"""Explains errors about missing rights, with the rights to grant."""

from __future__ import annotations

from collections.abc import Sequence

from django.apps import apps
from django.db import Error

from ..conf import get_settings
from ..exceptions import MayNotReadLog, RightsMissing
from ..models import AuditLog, Coverage, Erasure, SealEntry
from ..utils.text import one_line
from ..vendors import get_vendor

#: What only triggers and the owner write; the job reads it.
READ = (AuditLog, Coverage, Erasure)
#: Rows are only added to it.
ADDED = SealEntry._meta.db_table


def refused(error: BaseException, using: str) -> bool:
    """Return whether the error concerns a missing right."""
    return isinstance(error, Error) and get_vendor(using).refuses_access(error)


def explained(error: BaseException, using: str, *, writes: Sequence[str] | None = None) -> str:
    """Return the error as one line; if rights are missing, with a list of them.

    :param writes: the tables to write; by default those that the job writes.
    """
    said = one_line(error)
    if not refused(error, using):
        return said
    tables = {model._meta.db_table for model in apps.get_app_config("auditrepr").get_models()}
    written = set(writes) if writes is not None else tables - {m._meta.db_table for m in READ}
    added = written & ({ADDED} if get_settings().SEAL or writes is not None else set())
    values = {"alias": using, "reason": said.rstrip(".")}
    vendor = get_vendor(using)
    try:
        missing = vendor.missing_rights(sorted(tables), sorted(written - {ADDED}), sorted(added))
        if missing:
            role, rights = missing
            return str(RightsMissing(role=role, rights=rights, **values))
        if (found := vendor.attachment()) and (reader := vendor.refused_reader()):
            return str(MayNotReadLog(role=reader, source=found.source, **values))
    except Error:  # the transaction is the caller's, and over
        pass
    return said
