"""Which databases hold a log: what the job works on unless it is told otherwise."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections

from ..capture.triggers import may_hold_log
from ..vendors import get_vendor


def aliases() -> list[str]:
    """Return the databases that hold a log, each log once, in the order of ``DATABASES``.

    Of several aliases of the same database the first is taken, and a replica only if its primary
    is not among them. One that cannot be asked may hold a log: whoever works on it finds the error.
    """
    found: dict[str, tuple[bool, str]] = {}
    for alias in filter(may_hold_log, connections):
        try:
            log, copied = get_vendor(alias).log_identity()
        except (Error, ImproperlyConfigured, TypeError):  # as of an option that is none
            log, copied = alias, False
        if log is not None and (log not in found or (found[log][0] and not copied)):
            found[log] = copied, alias
    chosen = {alias for _, alias in found.values()}
    # Where no database is migrated yet, the default one is the one to say so.
    return [alias for alias in connections if alias in chosen] or [DEFAULT_DB_ALIAS]


def named(using: str) -> str:
    """Return the database's alias with its engine and name: ``default (PostgreSQL "shop")``."""
    connection = connections[using]
    name = connection.settings_dict["NAME"]
    return f'{using} ({connection.display_name} "{name}")'
