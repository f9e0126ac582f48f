"""Reads tables and their triggers from PostgreSQL's catalog."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ..capture_types import Column, Installed, Kind, Partition, Swallower, TableShape
from .installed_sql import INSTALLED, OWN_SCHEMA
from .quoting import LOG, SEALS, stored
from .swallowing import SWALLOWING
from .trigger_templates import APPEND_ONLY_TRIGGERS

_KINDS = {
    "r": Kind.TABLE,
    "p": Kind.PARTITIONED,
    "v": Kind.VIEW,
    "m": Kind.VIEW,
    "f": Kind.FOREIGN,
}

#: One row per column: schema, table, visible, kind, place in the key, name, type, stored.
SHAPES = f"""
SELECT nspname, relname, pg_table_is_visible(class.oid), relkind::text,
    array_position(indkey::int2[], attnum), attname, format_type(atttypid, atttypmod),
    attgenerated <> 'v'
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
LEFT JOIN pg_attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_index ON indrelid = class.oid AND indisprimary
WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND (
    relname = ANY(%(names)s) AND pg_table_is_visible(class.oid)
        AND (relname NOT LIKE 'auditrepr\\_%%' OR nspname = {OWN_SCHEMA})
    OR relname = ANY(%(tables)s) AND concat(nspname, '.', relname) = ANY(%(names)s)
)
ORDER BY class.oid, attnum
"""

#: The schema that the log is in, or would be created in.
LOG_SCHEMA = f"SELECT {OWN_SCHEMA}"

#: How many triggers must fire to make the log append-only, and the chain of seals.
GUARDS = 2 * len(APPEND_ONLY_TRIGGERS)
_GUARDING = f"""FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE tgenabled IN ('O', 'A') AND prosrc = %(append_only)s
    AND tgname IN ({", ".join(f"'{name}'" for name in APPEND_ONLY_TRIGGERS)})"""
#: How many of them do, and call a function with this body; a table that is missing needs none. Each
#: partition of the log without both counts as one that does not.
APPEND_ONLY = f"""
SELECT count(*)
    + CASE WHEN to_regclass('{SEALS}') IS NULL THEN {len(APPEND_ONLY_TRIGGERS)} ELSE 0 END
    - (
        SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass('{LOG}')
            AND (SELECT count(*) {_GUARDING} AND tgrelid = inhrelid) < {len(APPEND_ONLY_TRIGGERS)}
    )
{_GUARDING} AND tgrelid IN (to_regclass('{LOG}'), to_regclass('{SEALS}'))
"""

#: Whether a trigger on the log calls one with another body.
GUARDS_OUTDATED = f"""
SELECT EXISTS (
    SELECT FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE tgrelid = to_regclass('{LOG}') AND tgenabled IN ('O', 'A') AND prosrc <> %s
        AND tgname IN ({", ".join(f"'{name}'" for name in APPEND_ONLY_TRIGGERS)})
)
"""

#: Whether the role may delete events, and owns the log if triggers refuse it to others.
MAY_PRUNE = f"""
SELECT has_table_privilege('{LOG}', 'DELETE') AND (
    pg_has_role(session_user, relowner, 'MEMBER') OR NOT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = class.oid AND tgname IN (
            {", ".join(f"'{name}'" for name in APPEND_ONLY_TRIGGERS)}
        )
    )
) FROM pg_class AS class WHERE oid = '{LOG}'::regclass
"""
MAY_ERASE = MAY_PRUNE.replace("'DELETE'", "'UPDATE'")


#: The answers of all of these at once, as JSON; and the migrations that are applied.
APPLIED = "(SELECT json_agg(json_build_array(app, name)) FROM django_migrations)::text"
SURVEY = f"""
SELECT {OWN_SCHEMA}, {{append_only}},
    (SELECT json_agg(json_build_array(a, b, c, d, e, f, g, h))
        FROM ({SHAPES}) AS shape (a, b, c, d, e, f, g, h))::text,
    {{installed}}, {{applied}}, {{swallowing}}
"""
_INSTALLED = f"""(SELECT json_agg(json_build_array(a, b, c, d, e, f, g, h))
        FROM ({INSTALLED.replace("%", "%%")}) AS bearer (a, b, c, d, e, f, g, h))::text"""

_SWALLOWING = f"(SELECT json_agg(json_build_array(cause, remedy)) FROM ({SWALLOWING}) AS s)::text"


def survey_sql(*, migrations: bool, installed: bool) -> str:
    """Return the query for a survey."""
    return SURVEY.format(
        append_only=f"({APPEND_ONLY})" if installed else "0",
        installed=_INSTALLED if installed else "NULL",
        applied=APPLIED if migrations else "NULL",
        swallowing=_SWALLOWING if installed else "NULL",
    )


def log_schema(connection: BaseDatabaseWrapper) -> str:
    """Return the schema that the log is in, or would be created in."""
    with connection.cursor() as cursor:
        cursor.execute(LOG_SCHEMA)
        return str(cursor.fetchone()[0])


def shape_parameters(names: Collection[str]) -> dict[str, list[str]]:
    known = [stored(name) for name in names]
    return {"names": known, "tables": [name.partition(".")[2] for name in known]}


def shapes(names: Collection[str], rows: Iterable[Any]) -> dict[str, TableShape]:
    """Return the named tables, from the rows of `SHAPES`."""
    found: dict[str, TableShape] = {}
    for (schema, table, visible, kind), group in groupby(rows, key=itemgetter(0, 1, 2, 3)):
        shape = _shape(kind, list(group))
        found |= dict.fromkeys(_log_names(schema, table, visible), shape)
    return {name: found[stored(name)] for name in names if stored(name) in found}


def installed(rows: Iterable[Any]) -> dict[str, Installed]:
    """Return the tables with triggers, from the rows of `INSTALLED`."""
    found = (_installed(*row) for row in rows)
    return {table.name: table for table in found}


def swallowing(rows: Iterable[Any]) -> tuple[Swallower, ...]:
    """Return what keeps events from the log, from the rows of `SWALLOWING`."""
    return tuple(Swallower(*row) for row in rows)


def _installed(
    schema: str,
    table: str,
    visible: bool,
    comment: str | None,
    triggers: int,
    enabled: bool,
    identity: str,
    partitions: str | None,
) -> Installed:
    # Without the trigger that has the comment, the triggers are incomplete.
    note = json.loads(comment or '{"name": "", "fingerprint": "", "triggers": 0, "excluded": []}')
    names = _log_names(schema, table, visible)
    return Installed(
        name=note["name"] if stored(note["name"]) in names else names[0],
        fingerprint=note["fingerprint"],
        enabled=enabled,
        excluded=frozenset(note["excluded"]),
        identity=identity,
        whole=triggers == note["triggers"],
        partitions={key: Partition(*found) for key, *found in json.loads(partitions or "[]")},
    )


def _log_names(schema: str, table: str, visible: bool) -> list[str]:
    """Return the names that the log may have for a table, first the one without a model."""
    return [table, f"{schema}.{table}"] if visible else [f"{schema}.{table}"]


def _shape(kind: str, rows: list[Any]) -> TableShape:
    columns = [row[4:] for row in rows if row[5] is not None]
    key = sorted((place, name) for place, name, *_ in columns if place is not None)
    return TableShape(
        _KINDS[kind],
        tuple(Column(name, type_, kept) for _, name, type_, kept in columns),
        tuple(name for _, name in key),
    )
