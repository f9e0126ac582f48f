"""PostgreSQL's side of capture: triggers, and who and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..base import Vendor
from ..types import Capture, Installed, Position, Survey, TableShape
from . import catalog, trigger_templates, triggers
from .context import tell
from .queries import POSITION, SEQUENCE_CACHE


class Capturing(Vendor):
    """Triggers, and what they are told."""

    triggers_block_schema_changes = False
    flushes_table_by_table = False

    @cached_property
    def log_schema(self) -> str:
        return catalog.log_schema(self.connection)

    def shapes(self, names: Collection[str]) -> dict[str, TableShape]:
        with self.connection.cursor() as cursor:
            cursor.execute(catalog.SHAPES, catalog.shape_parameters(names))
            return catalog.shapes(names, cursor.fetchall())

    def installed(self) -> dict[str, Installed]:
        with self.connection.cursor() as cursor:
            cursor.execute(catalog.INSTALLED)
            return catalog.installed(cursor.fetchall())

    def survey(self, names: Collection[str], *, migrations: bool) -> Survey:
        sql = catalog.SURVEY.format(applied=catalog.APPLIED if migrations else "NULL")
        asked = catalog.shape_parameters(names) | {
            "append_only": trigger_templates.APPEND_ONLY_BODY
        }
        with self.connection.cursor() as cursor:
            cursor.execute(sql, asked)
            self.log_schema, guards, *found = cursor.fetchone()
        shapes, installed, applied = (json.loads(text or "[]") for text in found)
        return Survey(
            self.log_schema,
            catalog.shapes(names, shapes),
            catalog.installed(installed),
            guards == len(trigger_templates.APPEND_ONLY_TRIGGERS),
            frozenset(map(tuple, applied)) if migrations else None,
        )

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        with transaction.atomic(self.using), self.connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            yield
            # In a transaction of somebody else's, too, the limit ends here.
            transaction.set_rollback(True, self.using)

    def hurried(self, settings: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        options = {**settings["OPTIONS"], "connect_timeout": max(1, int(seconds))}
        options.pop("pool", None)
        return {**settings, "OPTIONS": options}

    def support_sql(self) -> list[str]:
        return triggers.support_sql(self.log_schema)

    def fingerprint(self, capture: Capture) -> str:
        return triggers.fingerprint(capture, self.log_schema)

    def install_sql(self, capture: Capture) -> list[str]:
        return triggers.install_sql(capture, self.log_schema)

    def seal_sql(self) -> list[str]:
        return []  # the catalogue tells them apart

    def remove_sql(self, name: str) -> list[str]:
        return triggers.remove_sql(name, self.log_schema)

    def remove_support_sql(self) -> list[str]:
        return triggers.remove_support_sql(self.log_schema)

    def append_only_sql(self) -> list[str]:
        return triggers.append_only_sql(self.log_schema)

    def append_only(self) -> bool:
        with self.connection.cursor() as cursor:
            cursor.execute(catalog.APPEND_ONLY, {"append_only": trigger_templates.APPEND_ONLY_BODY})
            return bool(cursor.fetchone()[0] == len(trigger_templates.APPEND_ONLY_TRIGGERS))

    def may_prune(self) -> bool:
        with self.connection.cursor() as cursor:
            cursor.execute(catalog.MAY_PRUNE)
            return bool(cursor.fetchone()[0])

    @contextmanager
    def pruning(self) -> Iterator[None]:
        with self.connection.cursor() as cursor:
            cursor.execute("SET LOCAL auditrepr.pruning = on")
            yield
            cursor.execute("SET LOCAL auditrepr.pruning = off")

    def position(self) -> Position:
        with self.connection.cursor() as cursor:
            cursor.execute(POSITION)
            return Position(*cursor.fetchone())

    def sequence_cache(self) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute(SEQUENCE_CACHE)
            row = cursor.fetchone()
            return row[0] if row else 1

    def listen(self, connection: BaseDatabaseWrapper) -> None:
        pass

    def tell(
        self,
        said: str,
        execute: Callable[..., Any],
        sql: Any,
        parameters: Any,
        many: bool,
        about: dict[str, Any],
    ) -> Any:
        return tell(said, execute, sql, parameters, many, about)
