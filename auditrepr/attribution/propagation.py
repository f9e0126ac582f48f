"""Passes the context to the triggers, with each statement that may write and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from ..utils.sql import Statement, may_write
from ..vendors import get_vendor, supports
from .context import as_json, is_known


def connect(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Make this connection pass on its context; a receiver of ``connection_created``."""
    from ..models import AuditLog

    # Django's own connection to no database at all has an alias that no setting has.
    known = connection.alias in connections and supports(connection)
    if known and router.allow_migrate_model(connection.alias, AuditLog):
        get_vendor(connection.alias).prepare(connection)
        # At the front: a wrapper that is in use meanwhile takes itself away from the end.
        if tell not in connection.execute_wrappers:
            connection.execute_wrappers.insert(0, tell)


def tell(
    execute: Callable[..., Any], sql: Any, parameters: Any, many: bool, about: dict[str, Any]
) -> Any:
    """Pass the context to the triggers; an execute_wrapper."""
    said = as_json() if is_known() and may_write(sql) else None
    if said is None:
        return execute(sql, parameters, many, about)
    statement = Statement(execute, sql, parameters, many, about)
    return get_vendor(about["connection"].alias).tell(said, statement)
