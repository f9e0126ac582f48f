"""Watches which locks a migration takes on tables with millions of rows, and for how long.

Imported by the process that migrates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

#: The tables that grow with the log.
LARGE = ["auditrepr_auditlog", "auditrepr_instancerepr", "auditrepr_reprfailure"]
#: With one of these locks, others cannot write, or not even read.
BLOCKING = ["AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock"]

#: How many rows this transaction has read and changed, in which file the rows are, and whether
#: others wait for it.
LOOK = """
SELECT relname, seq_tup_read, n_tup_ins + n_tup_upd + n_tup_del, pg_relation_filenode(relid),
    EXISTS (SELECT FROM pg_locks WHERE relation = relid AND pid = pg_backend_pid()
        AND granted AND mode = ANY(%s))
FROM pg_stat_xact_user_tables WHERE relname = ANY(%s)
"""


Executes = Callable[..., Any]


@contextmanager
def watched() -> Iterator[list[str]]:
    """Gives the statements inside that take as long as a large table has rows, and why."""
    found: list[str] = []
    with connection.execute_wrapper(_WATCH[connection.vendor](found)):
        yield found


def _watch_postgresql(found: list[str]) -> Executes:
    connection.ensure_connection()
    session = connection.connection
    session.execute("SET enable_seqscan = off")  # a small table is read as a large one is
    session.execute("SET jit = off")  # what must scan seems so expensive that all is compiled

    def look() -> dict[str, Any]:
        return {name: values for name, *values in session.execute(LOOK, [BLOCKING, LARGE])}

    def execute(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        alone = connection.get_autocommit() and not re.search("CONCURRENTLY|^SAVEPOINT", str(sql))
        if alone:
            session.execute("BEGIN")
        before = look()
        result = execute(sql, params, many, context)
        if connection.get_autocommit() and not alone:
            return result
        for name, (read, changed, file, blocks) in look().items():
            was_read, was_changed, was_in, _ = before[name]
            if (blocks and read > was_read) or changed > was_changed or file != was_in:
                found.append(f"{name}: {sql}")
        if alone:
            session.execute("COMMIT")
        return result

    return execute


def _watch_sqlite(found: list[str]) -> Executes:
    def execute(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        copied = any(f'"new__{name}"' in str(sql) for name in LARGE)
        changed = any(re.match(rf'(UPDATE|DELETE FROM) "?{name}', str(sql)) for name in LARGE)
        if copied or changed:
            found.append(str(sql))
        return execute(sql, params, many, context)

    return execute


_WATCH = {"postgresql": _watch_postgresql, "sqlite": _watch_sqlite}
