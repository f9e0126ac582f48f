"""SQLite's side of a run: what is pending, what is stored, and the lease."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from django.db import Error, transaction
from django.db.models import DateTimeField, Func

from ..base import Vendor
from ..types import Reach, Writers
from .queries import REPLACE, STORE

#: Another connection is writing.
PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
#: It is too big, or a constraint of the project's own does not want it.
REFUSING = frozenset({sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT_CHECK})
#: The file, or its directory, which takes the journal, cannot be written.
REFUSED = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})
TIME_FORMAT = "%Y-%m-%d %H:%M:%f".replace("%", "%%%%")  # it is formatted twice on its way


class Storing(Vendor):
    """What a run asks and writes."""

    def reach(self) -> Reach:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(id), 0) FROM auditrepr_auditlog")
            (visible,) = cursor.fetchone()
            # AUTOINCREMENT never goes back, and remembers ids that somebody made up.
            return Reach(visible, visible)

    def writers(self) -> Writers:
        # There is one at a time: who holds an id now holds a higher one than all that is visible.
        return Writers()

    def store(self, rows: Sequence[tuple[int, str, str, str]]) -> int:
        with transaction.atomic(self.using), self.connection.cursor() as cursor:
            cursor.executemany(STORE, rows)
            return int(cursor.rowcount)

    def replace(self, rows: Sequence[tuple[int, str, str, str]]) -> int:
        with transaction.atomic(self.using), self.connection.cursor() as cursor:
            cursor.executemany(REPLACE, [(*values, pk) for pk, *values in rows])
            return int(cursor.rowcount)

    def refuses_value(self, error: Error) -> bool:
        return getattr(error.__cause__, "sqlite_errorcode", 0) in REFUSING

    def lacks_table(self, error: Error) -> bool:
        return str(error).startswith("no such table")

    def refuses_access(self, error: Error) -> bool:
        return getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF in REFUSED

    def missing_rights(self, read: Sequence[str], written: Sequence[str]) -> tuple[str, str] | None:
        file = self.connection.settings_dict["NAME"]
        return "This process", f"the right to write the file {file} and its directory"

    def passes(self, error: Error) -> bool:
        code = getattr(error.__cause__, "sqlite_errorcode", 0)
        return code & 0xFF in PASSING  # the other bits say more about it

    def end_if_idle(self, seconds: float) -> None:
        """SQLite cannot: it has no server."""

    def clock(self, seconds: float = 0) -> Func:
        # UTC whatever USE_TZ says, as Django's Now(): no summer time between two looks at it.
        template = f"strftime('{TIME_FORMAT}', 'now', '{float(seconds):+} seconds')"
        return Func(template=template, output_field=DateTimeField())
