"""PostgreSQL's part of partitions: they are made, attached and dropped."""

from __future__ import annotations

from typing import Any

from django.db import OperationalError, transaction

from ..base import PartitionFacet
from ..base.partitions import Ahead, LogPartition
from .catalog import log_schema
from .partition_adoption import ADOPT, OBSTACLES
from .partition_templates import (
    BOUND,
    DRESS,
    FUNCTION,
    MAKE_AHEAD,
    PARTITIONED,
    RANGES,
)
from .queries import POSITION
from .quoting import LOG, literal, quoted

#: How long to wait for a lock, as others wait behind: then it is tried again later.
LOCK_TIMEOUT = "200ms"
#: The server ends an autovacuum that others wait for, but only after a second (deadlock_timeout).
VACUUM_TIMEOUT = "1500ms"
VACUUMED = f"""
SELECT EXISTS (
    SELECT FROM pg_locks WHERE mode = 'ShareUpdateExclusiveLock' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND relation IN (
            SELECT relid FROM unnest(ARRAY[{", ".join(map(literal, PARTITIONED))}]) AS name
            CROSS JOIN LATERAL (
                SELECT relid FROM pg_partition_tree(to_regclass(name))
                UNION SELECT to_regclass(name)
            ) AS tree
        )
)
"""
#: Rows that are read within milliseconds.
LARGE = 10_000
NOW = "extract(epoch FROM clock_timestamp())::float8"


def own(table: str) -> str:
    """Return SQL for the name of the table in the schema where this connection's log is.

    A later schema of the search path may have another one.
    """
    return f"quote_ident(coalesce(current_schema(), 'public')) || {literal('.' + table)}"


FUNCTIONS = (f"{FUNCTION}(bigint)", "partitions_auditrepr_dress(regclass, regclass)")
PARTITIONS = f"""
SELECT name, lower, upper FROM ({RANGES}) AS part
ORDER BY lower NULLS FIRST, upper NULLS LAST
"""
OPEN = f"SELECT relation::regclass::text, lower FROM ({RANGES}) AS part WHERE upper IS NULL"
NEXT = f"SELECT position + 1 FROM ({POSITION}) AS at (position, transaction)"
SIZE = f"""
SELECT substring(prosrc FROM 'size constant bigint := ([0-9]+)')::bigint FROM pg_proc
WHERE proname = '{FUNCTION}'
    AND pronamespace = quote_ident(coalesce(current_schema(), 'public'))::regnamespace
"""
MAY_PARTITION = f"""
SELECT pg_has_role(session_user, relowner, 'MEMBER') FROM pg_class WHERE oid = '{LOG}'::regclass
"""
#: Keeps a partition of an append-only log from being emptied.
GUARD = "append_only_auditrepr_truncate"
GUARDED = f"""
SELECT tgrelid::regclass::text FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relname = %s AND tgname = '{GUARD}'
    AND relnamespace = quote_ident(coalesce(current_schema(), 'public'))::regnamespace
"""
BOUNDED_AT = f"""
SELECT substring(pg_get_constraintdef(checked.oid) FROM '< ''?(-?[0-9]+)')::bigint
FROM pg_constraint AS checked JOIN pg_inherits ON inhrelid = conrelid
WHERE inhparent = to_regclass({own(LOG)}) AND conname = '{BOUND}'
"""


class Partitioning(PartitionFacet):
    """Partitions the log."""

    can_partition = True

    def log_partitions(self) -> list[LogPartition]:
        found = self.rows(PARTITIONS.format(table=own(LOG)))
        return [LogPartition(*row) for row in found]

    def next_event(self) -> int:
        return int(self.value(NEXT))

    def partition_obstacles(self) -> list[str]:
        return [
            f"{name}: {found}"
            for name in PARTITIONED
            for found in self.column(OBSTACLES, {"table": name})
        ]

    def may_partition(self) -> bool:
        return bool(self.value(MAY_PARTITION))

    def adopt_as_partition(self) -> float:
        schema = quoted(log_schema(self.connection))
        with transaction.atomic(self.using):
            self._hurry()
            listed = ", ".join(f"{schema}.{name}" for name in PARTITIONED)
            self.execute([f"LOCK TABLE {listed} IN ACCESS EXCLUSIVE MODE"])
            since = self._seconds()
            for name, key in PARTITIONED.items():
                body = ADOPT.format(
                    table=literal(f"{schema}.{name}"), key=literal(key), kept=literal(f"{name}_p0")
                )
                self.execute([f"DO {literal(body)}"])
        return self._seconds() - since

    def support_partitions(self, size: int | None = None) -> None:
        schema = log_schema(self.connection)
        size = size or self.partition_size()
        if size is None:
            return
        names = {
            "schema": quoted(schema),
            "schema_name": literal(schema),
            "timeout": literal(LOCK_TIMEOUT),
            "size": size,
            "log": literal(f"{quoted(schema)}.{LOG}"),
            "tables": f"ARRAY[{', '.join(map(literal, PARTITIONED))}]",
        }
        owner = f"(SELECT relowner::regrole FROM pg_class WHERE oid = '{LOG}'::regclass)"
        with transaction.atomic(self.using):
            self.execute([DRESS.format(**names), MAKE_AHEAD.format(**names)])
            role = self.value(f"SELECT {owner}::text")
            for function in FUNCTIONS:
                function = f"{quoted(schema)}.{function}"
                self.execute([f"ALTER FUNCTION {function} OWNER TO {role}"])
                self.execute([f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC"])
            for table in PARTITIONED:
                self._dress(schema, table)

    def _dress(self, schema: str, table: str) -> None:
        dress = f"{quoted(schema)}.partitions_auditrepr_dress"
        ranges = RANGES.format(table=own(table))
        self.rows(f"SELECT {dress}(relation, to_regclass({own(table)})) FROM ({ranges}) AS part")

    def drop_partition_support(self) -> None:
        schema = quoted(log_schema(self.connection))
        self.execute(f"DROP FUNCTION IF EXISTS {schema}.{name}" for name in FUNCTIONS)

    def partition_size(self) -> int | None:
        size: int | None = self.value(SIZE)
        return size

    def make_partitions(self, close_at: int | None = None) -> Ahead:
        function = f"{quoted(log_schema(self.connection))}.{FUNCTION}"
        asked = f"SELECT ahead, made, extract(epoch FROM locked_at)::float8 FROM {function}(%s)"
        with transaction.atomic(self.using):
            ((ahead, made, locked_at),) = self.rows(asked, [close_at])
        locked = self._seconds() - locked_at if locked_at else 0.0
        return Ahead(ahead, None if made is None else len(made), locked)

    def open_partition_is_large(self) -> bool:
        return any(
            self.value(f"SELECT count(*) FROM (SELECT FROM {self._last(table)} LIMIT {LARGE}) AS n")
            == LARGE
            for table in PARTITIONED
        )

    def bound_open_partition(self, upto: int) -> float:
        longest = 0.0
        for table, key in PARTITIONED.items():
            relation, lower = self._open(table)
            conditions = [f"{key} < {upto}", *([] if lower is None else [f"{key} >= {lower}"])]
            with transaction.atomic(self.using):
                self._hurry()
                self.execute([f"LOCK TABLE {relation} IN ACCESS EXCLUSIVE MODE"])
                since = self._seconds()
                self.execute(
                    [
                        f"ALTER TABLE {relation} DROP CONSTRAINT IF EXISTS {BOUND}",
                        f"ALTER TABLE {relation} ADD CONSTRAINT {BOUND}"
                        f" CHECK ({' AND '.join(conditions)}) NOT VALID",
                    ]
                )
            longest = max(longest, self._seconds() - since)
        for table in PARTITIONED:
            # Reads the table, while others write to it.
            self.execute([f"ALTER TABLE {self._open(table)[0]} VALIDATE CONSTRAINT {BOUND}"])
        return longest

    def bounded_at(self) -> int | None:
        bound: int | None = self.value(BOUNDED_AT)
        return bound

    def unbound_open_partition(self) -> None:
        for table in PARTITIONED:
            with transaction.atomic(self.using):
                self._hurry()
                for relation, *_ in self.rows(OPEN.format(table=own(table))):
                    self.execute([f"ALTER TABLE {relation} DROP CONSTRAINT IF EXISTS {BOUND}"])

    def analyze_partitioned(self) -> None:
        self.execute(f"ANALYZE {table}" for table in PARTITIONED)

    def empty_partition(self, partition: LogPartition) -> None:
        relations = self._same(partition)
        self._hurry()
        self.execute([f"LOCK TABLE {', '.join(relations)} IN ACCESS EXCLUSIVE MODE"])
        guard = self.column(GUARDED, [partition.name])
        # Its owner may. No other session sees it in between.
        self.execute(f"ALTER TABLE {name} DISABLE TRIGGER {GUARD}" for name in guard)
        self.execute([f"TRUNCATE {', '.join(relations)}"])
        self.execute(f"ALTER TABLE {name} ENABLE TRIGGER {GUARD}" for name in guard)

    def merge_partitions(self, lower: LogPartition, upper: LogPartition) -> None:
        schema = log_schema(self.connection)
        begin = "MINVALUE" if lower.lower is None else f"'{lower.lower}'"
        with transaction.atomic(self.using):
            self._hurry()
            pairs = list(zip(self._same(lower), self._same(upper), strict=True))
            listed = ", ".join(PARTITIONED)
            self.execute([f"LOCK TABLE ONLY {listed} IN ACCESS EXCLUSIVE MODE"])
            for table, (first, second) in zip(PARTITIONED, pairs, strict=True):
                if self.value(f"SELECT EXISTS (SELECT FROM {second})"):
                    raise OperationalError("a partition has got rows")
                self.execute(
                    [
                        f"DROP TABLE {first}",
                        f"ALTER TABLE {table} DETACH PARTITION {second}",
                        f"ALTER TABLE {table} ATTACH PARTITION {second}"
                        f" FOR VALUES FROM ({begin}) TO ('{upper.upper}')",
                    ]
                )
                self._dress(schema, table)

    def _same(self, partition: LogPartition) -> list[str]:
        """Return the partitions with these bounds: of the log, and of the other tables."""
        return [
            self.value(
                f"SELECT relation::regclass::text FROM ({RANGES.format(table=own(table))}) AS part"
                " WHERE lower IS NOT DISTINCT FROM %s::bigint"
                " AND upper IS NOT DISTINCT FROM %s::bigint",
                [partition.lower, partition.upper],
            )
            for table in PARTITIONED
        ]

    def _open(self, table: str) -> tuple[str, Any]:
        relation, lower = self.rows(OPEN.format(table=own(table)))[0]
        return relation, lower

    def _last(self, table: str) -> str:
        found = self.rows(OPEN.format(table=own(table)))
        return found[0][0] if found else table

    def _seconds(self) -> float:
        return float(self.value(f"SELECT {NOW}"))

    def _hurry(self) -> None:
        timeout = VACUUM_TIMEOUT if self.value(VACUUMED) else LOCK_TIMEOUT
        self.execute([f"SET LOCAL lock_timeout = '{timeout}'"])
