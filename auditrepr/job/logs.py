"""Finds the databases that hold a log: by default, the job works on all of them."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections

from ..capture import inspection
from ..exceptions import DatabaseUnreachable
from ..vendors import get_vendor


def aliases() -> list[str]:
    """Return the databases that hold a log, each log once, in the order of ``DATABASES``.

    Of several aliases of the same database the first is taken, and a replica only if its primary
    is not among them. One that cannot be reached may hold a log: its turn ends with the error.
    """
    possible = list(filter(inspection.may_hold_log, connections))
    if len(possible) < 2:  # as nearly everywhere: no need to ask
        return possible or [DEFAULT_DB_ALIAS]
    found: dict[str, tuple[bool, str]] = {}
    for alias in possible:
        try:
            log, copied = get_vendor(alias).log_identity()
        except (Error, ImproperlyConfigured, TypeError):  # such as an unknown option
            log, copied = alias, False
        if log is not None and (log not in found or (found[log][0] and not copied)):
            found[log] = copied, alias
    chosen = {alias for _, alias in found.values()}
    # If no database is migrated yet, the error is about the default one.
    return [alias for alias in possible if alias in chosen] or [DEFAULT_DB_ALIAS]


def answers(using: str) -> bool:
    """Return whether the database can be connected to now."""
    try:
        inspection.connect(using)
    except DatabaseUnreachable:
        return False
    return True


def named(using: str) -> str:
    """Return the database's alias with its engine and name: ``default (PostgreSQL "shop")``."""
    connection = connections[using]
    name = connection.settings_dict["NAME"]
    return f'{using} ({connection.display_name} "{name}")'
