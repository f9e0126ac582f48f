"""Checks what must be true before anything of a target is erased."""

from __future__ import annotations

from django.db import connections

from ...capture import attachment
from ...exceptions import (
    EraseDuringImport,
    GuardOutdated,
    MayNotErase,
    NothingToErase,
    StillCurrent,
)
from ...vendors import get_vendor
from .. import preflight
from ..importing.running import unfinished as unfinished_import
from . import records
from .target import Target

NOT_OURS = "auditrepr does not erase in them"


def check(target: Target) -> None:
    """Check that the target can be erased.

    :raises AuditReprError: as :func:`run.erase` does.
    """
    using = target.using
    preflight.commits(using)
    preflight.check_own_tables(using)
    attachment.refuse(using, NOT_OURS)
    vendor = get_vendor(using)
    if not vendor.may_erase():
        raise MayNotErase(alias=using, role=connections[using].settings_dict["USER"])
    if vendor.guards_outdated():
        raise GuardOutdated(alias=using)
    if found := unfinished_import(using):
        raise EraseDuringImport(sources=found.named)
    check_current(target)
    if records.unfinished(target) is None:
        check_target(target)


def check_target(target: Target) -> None:
    """Check that the log has events of the target, and what is named of them.

    :raises NothingToErase: if it has none.
    :raises ColumnUnknown: if none of them has what is named.
    """
    if not target.events().exists():
        raise NothingToErase(what=target)
    target.check_names()


def check_current(target: Target) -> None:
    """Check that no current row would bring back what is erased.

    :raises StillCurrent: if one would.
    """
    if not target.keeps_current and (current := target.current()):
        raise StillCurrent(what=target, columns=", ".join(sorted(current)))
