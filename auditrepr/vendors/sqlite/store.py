"""SQLite's part of a run: pending events, representations, and the lease."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from django.db import Error, transaction
from django.db.models import DateTimeField, Expression, F, Func, TextField

from ..base import StoreFacet
from ..base.store import About, Stored, Texts
from ..types import Reach, Writers
from .queries import RECORDED_TEXT, RECORDED_TEXTS, REPLACE, STORE, STORE_RELATED
from .quoting import literal

#: Another connection is writing.
PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
#: The value is too large, or violates a constraint of the project.
REFUSING = frozenset({sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT_CHECK})
#: The file or its directory, which holds the journal, is not writable.
REFUSED = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})
TIME_FORMAT = "%Y-%m-%d %H:%M:%f".replace("%", "%%%%")  # formatted twice


def _texts(document: bytes | None) -> Texts:
    found: Texts = json.loads((document or b"{}").decode(errors="surrogateescape"))
    return found


class Storing(StoreFacet):
    """What a run asks and writes."""

    one_writer = True

    def reach(self) -> Reach:
        # AUTOINCREMENT never goes back, and counts explicit IDs, too.
        visible = self.value("SELECT coalesce(max(id), 0) FROM auditrepr_auditlog")
        return Reach(visible, visible)

    def writers(self) -> Writers:
        # There is one writer at a time: the ID that it holds is higher than all visible ones.
        return Writers()

    def store(self, rows: Sequence[Stored]) -> int:
        with transaction.atomic(self.using), self.connection.cursor() as cursor:
            cursor.executemany(STORE, rows)
            return int(cursor.rowcount)

    def replace(self, rows: Sequence[Stored]) -> int:
        with transaction.atomic(self.using), self.connection.cursor() as cursor:
            cursor.executemany(REPLACE, [(*values, pk) for pk, *values in rows])
            return int(cursor.rowcount)

    def store_related(self, rows: Collection[About]) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(STORE_RELATED, list(rows))

    def recorded_texts(
        self, ids: Collection[int], columns: Sequence[str]
    ) -> list[tuple[int, Texts, Texts]]:
        wanted = {"ids": json.dumps(list(ids)), "columns": json.dumps(list(columns))}
        return [
            (pk, _texts(new), _texts(old)) for pk, new, old in self.rows(RECORDED_TEXTS, wanted)
        ]

    def recorded_text(self, column: str, source: str) -> Expression:
        template = RECORDED_TEXT.format(name=literal(column).replace("%", "%%%%"))
        return Func(F(source), template=template, output_field=TextField())

    def refuses_value(self, error: Error) -> bool:
        return getattr(error.__cause__, "sqlite_errorcode", 0) in REFUSING

    def lacks_table(self, error: Error) -> bool:
        return str(error).startswith("no such table")

    def refuses_access(self, error: Error) -> bool:
        return getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF in REFUSED

    def missing_rights(
        self, read: Sequence[str], written: Sequence[str], added: Sequence[str] = ()
    ) -> tuple[str, str] | None:
        file = self.connection.settings_dict["NAME"]
        return "This process", f"the right to write the file {file} and its directory"

    def passes(self, error: Error) -> bool:
        code = getattr(error.__cause__, "sqlite_errorcode", 0)
        return code & 0xFF in PASSING  # the other bits are details

    def end_if_idle(self, seconds: float) -> None:
        """Do nothing: SQLite has no server."""

    def limited(self, seconds: float) -> AbstractContextManager[None]:
        return nullcontext()  # the catalog is read at once

    def hurried(self, settings: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        # Opening a file that does not exist would create it.
        name = str(settings["NAME"])
        there = name.startswith("file:") or name == ":memory:" or Path(name).exists()
        return (
            {**settings, "OPTIONS": {**settings["OPTIONS"], "timeout": seconds}} if there else None
        )

    def clock(self, seconds: float = 0) -> Func:
        # UTC regardless of USE_TZ, as Django's Now(): daylight saving time must not shift it.
        template = f"strftime('{TIME_FORMAT}', 'now', '{float(seconds):+} seconds')"
        return Func(template=template, output_field=DateTimeField())

    def identity(self) -> list[str]:
        settings = self.connection.settings_dict
        file = str(Path(settings["NAME"]).resolve())
        return [settings["ENGINE"], settings["HOST"], settings["PORT"], file]
