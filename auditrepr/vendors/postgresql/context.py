"""Passes the context on PostgreSQL: a setting that the triggers read, for one statement only.

It is sent with the statement in one message, so that it costs no round trip. The server runs a
message as one transaction, and the setting is local to that: behind a pooler, the next user of the
connection finds nothing. A rollback, complete or to a savepoint, leaves nothing either: outside the
statement the setting is always empty.
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import ClientCursor
from psycopg.pq import PipelineStatus

from ...utils.sql import Statement
from .quoting import literal, text_of

_SET = "SELECT set_config('auditrepr.context', {}, true)"
_CLEAR = _SET.format("''")
# These may end transactions, and so must not run inside one that was started for them.
_OWN_TRANSACTIONS = re.compile(r"\s*(?:CALL|DO)\b", re.IGNORECASE)


def tell(said: str, statement: Statement) -> Any:
    """Run the statement with this context, and return what it returns."""
    connection, cursor = statement.context["connection"], statement.context["cursor"].cursor
    text = text_of(statement.sql, cursor)
    if connection.get_autocommit() and _OWN_TRANSACTIONS.match(text):
        return statement.run()
    if statement.many or not _takes_several(cursor):
        return _beside(connection, said, statement)
    value = literal(said)
    if statement.parameters is not None:
        value = value.replace("%", "%%")
    # A comment may end the statement.
    result = statement._replace(sql=f"{_SET.format(value)}; {text}\n; {_CLEAR}").run()
    cursor.nextset()  # skip the result of the setting
    return result


def _takes_several(cursor: Any) -> bool:
    """Return whether one message can hold several statements: not if the server binds values."""
    in_pipeline = cursor.connection.pgconn.pipeline_status != PipelineStatus.OFF
    return isinstance(cursor, ClientCursor) and not in_pipeline


def _beside(connection: BaseDatabaseWrapper, said: str, statement: Statement) -> Any:
    begin = transaction.atomic(connection.alias) if connection.get_autocommit() else nullcontext()
    with begin:
        raw: Any = connection.connection
        raw.execute(_SET.format("%s"), [said])
        result = statement.run()
        raw.execute(_CLEAR)
        return result
