"""PostgreSQL's part of capture: triggers and context."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper

from ...utils.sql import Statement
from ..base import CaptureFacet
from ..capture_types import Capture, Installed, Kind, Survey, Swallower, TableShape
from ..types import Position
from . import catalog, trigger_templates, triggers
from .catalog_version import CATALOG_VERSION
from .context import tell
from .installed_sql import INSTALLED
from .queries import LOG_IDENTITY, POSITION, SEQUENCE_CACHE
from .quoting import array, stored
from .swallowing import SWALLOWING

T = TypeVar("T")


class Capturing(CaptureFacet):
    """Records changes, with their context."""

    triggers_block_schema_changes = False
    flushes_table_by_table = False
    # Before `migrate`, the column may not be there.
    sighted_sql = (
        "SELECT to_jsonb(mark) -> 'partitions' -> table_name FROM auditrepr_checkpoint AS mark"
    )

    def log_schema(self) -> str:
        # A connection may change its search path, and each may have another one: a query each time.
        return catalog.log_schema(self.connection)

    def shapes(self, names: Collection[str]) -> dict[str, TableShape]:
        return catalog.shapes(names, self.rows(catalog.SHAPES, catalog.shape_parameters(names)))

    def installed(self) -> dict[str, Installed]:
        return catalog.installed(self.rows(INSTALLED))

    def survey(self, names: Collection[str], *, migrations: bool, installed: bool = True) -> Survey:
        sql = catalog.survey_sql(migrations=migrations, installed=installed)
        asked = catalog.shape_parameters(names) | {
            "append_only": trigger_templates.APPEND_ONLY_BODY
        }
        ((schema, guards, *found),) = self.rows(sql, asked)
        shapes, bearers, applied, swallowing = (json.loads(text or "[]") for text in found)
        return Survey(
            schema,
            catalog.shapes(names, shapes),
            catalog.installed(bearers),
            guards == catalog.GUARDS,
            frozenset(map(tuple, applied)) if migrations else None,
            catalog.swallowing(swallowing),
        )

    def catalog_version(self, names: Collection[str]) -> object:
        known = [stored(name) for name in names]
        # Without a schema, or with one, or with a dot in its name.
        tables = {name.partition(".")[2] or name for name in known}.union(known)
        return self.row(CATALOG_VERSION, {"names": array(known), "tables": array(tables)})

    def support_sql(self) -> list[str]:
        return triggers.support_sql(self.log_schema())

    def fingerprints(self, *captures: Capture, schema: str | None = None) -> list[str]:
        if captures and schema is None:
            schema = self.log_schema()
        return [triggers.fingerprint(capture, schema or "") for capture in captures]

    def install_sql(self, *captures: Capture) -> list[str]:
        return self._for_each(captures, triggers.install_sql)

    def guard_sql(self, *captures: Capture) -> list[str]:
        parted = [one for one in captures if one.shape.kind is Kind.PARTITIONED]
        return self._for_each(parted, triggers.guard_sql)

    def seal_sql(self) -> list[str]:
        return []  # the catalog distinguishes them

    def remove_sql(self, *names: str) -> list[str]:
        return self._for_each(names, triggers.remove_sql)

    def _for_each(self, these: Sequence[T], statements: Callable[[T, str], list[str]]) -> list[str]:
        if not these:
            return []
        schema = self.log_schema()
        found = [sql for one in these for sql in statements(one, schema)]
        return found + triggers.tidy_sql(schema)

    def remove_support_sql(self) -> list[str]:
        return triggers.remove_support_sql(self.log_schema())

    def append_only_sql(self) -> list[str]:
        return triggers.append_only_sql(self.log_schema())

    def append_only(self) -> bool:
        asked = {"append_only": trigger_templates.APPEND_ONLY_BODY}
        firing = self.value(catalog.APPEND_ONLY, asked)
        return bool(firing == catalog.GUARDS)

    def swallowing(self) -> tuple[Swallower, ...]:
        return catalog.swallowing(self.rows(SWALLOWING))

    def may_prune(self) -> bool:
        return bool(self.value(catalog.MAY_PRUNE))

    @contextmanager
    def pruning(self) -> Iterator[None]:
        self.execute(["SET LOCAL auditrepr.pruning = on"])
        yield
        self.execute(["SET LOCAL auditrepr.pruning = off"])

    def may_erase(self) -> bool:
        return bool(self.value(catalog.MAY_ERASE))

    @contextmanager
    def erasing(self) -> Iterator[None]:
        self.execute(["SET LOCAL auditrepr.erasing = on"])
        yield
        self.execute(["SET LOCAL auditrepr.erasing = off"])

    def log_identity(self) -> tuple[str | None, bool]:
        identity, copied = self.row(LOG_IDENTITY) or (None, False)
        return identity, copied

    def position(self) -> Position:
        return Position(*self.rows(POSITION)[0])

    def sequence_cache(self) -> int:
        cache: int | None = self.value(SEQUENCE_CACHE)
        return 1 if cache is None else cache

    def prepare(self, connection: BaseDatabaseWrapper) -> None:
        pass

    def tell(self, said: str, statement: Statement) -> Any:
        return tell(said, statement)
