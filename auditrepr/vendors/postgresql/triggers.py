"""Builds the SQL of PostgreSQL's triggers; nothing here is executed.

One trigger records what a statement changed, from its transition tables, as whole rows. A column is
named only while the table has the columns that it had at the last install: no schema change between
two installs makes a write fail.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache

from ...utils.table_names import split_name
from ..capture_types import FINGERPRINTS, Capture, Kind
from . import partition_templates, trigger_templates
from .quoting import (
    COMMENTED,
    LOG,
    LOG_TRIGGER,
    PARTITION,
    SEALS,
    hashed,
    literal,
    quoted,
    stored,
    table,
    trigger_name,
)
from .trigger_body import Body, direct, table_token

_TRANSITION_TABLES = {
    "INSERT": "REFERENCING NEW TABLE AS auditrepr_new ",
    "UPDATE": "REFERENCING OLD TABLE AS auditrepr_old NEW TABLE AS auditrepr_new ",
    "DELETE": "REFERENCING OLD TABLE AS auditrepr_old ",
    "TRUNCATE": "",
}
# The statements on a partitioned table that insert, update or delete rows of its partitions: an
# update may move a row to another partition.
_CAUSES = {
    "INSERT": ("INSERT", "UPDATE"),
    "UPDATE": ("UPDATE",),
    "DELETE": ("DELETE", "UPDATE"),
}


def support_sql(schema: str) -> list[str]:
    """Return the SQL for what the triggers of all tables share, in the schema of the log."""
    names = {
        "schema": quoted(schema),
        "same": literal(f"{quoted(schema)}.auditrepr_same"),
        "statement": trigger_templates.STATEMENT,
        "emptied": trigger_templates.emptied(schema),
    }
    functions = (
        trigger_templates.SAME,
        trigger_templates.ROW,
        trigger_templates.LOG_EMPTIED,
        trigger_templates.ENTER,
        trigger_templates.LEAVE,
    )
    return [
        *(function.format(**names) for function in functions),
        f"CREATE OR REPLACE TRIGGER {LOG_TRIGGER} BEFORE TRUNCATE ON {quoted(schema)}.{LOG} "
        f"EXECUTE FUNCTION {quoted(schema)}.auditrepr_log_emptied()",
    ]


def remove_support_sql(schema: str) -> list[str]:
    """Return the SQL that drops what `support_sql` made, and the functions of dropped tables."""
    guards = trigger_templates.APPEND_ONLY_TRIGGERS
    bearers = {LOG: (LOG_TRIGGER, *guards), SEALS: guards}
    return [
        *(
            f"DROP TRIGGER IF EXISTS {name} ON {quoted(schema)}.{bearer}"
            for bearer, names in bearers.items()
            for name in names
        ),
        _do(
            partition_templates.UNDRESS_ALL.format(
                table=literal(f"{quoted(schema)}.{LOG}"), names=", ".join(map(literal, guards))
            )
        ),
        _drop_strays(schema),
        _do(
            trigger_templates.DROP_FUNCTIONS.format(
                schema=literal(quoted(schema)), pattern=r"auditrepr\_%"
            )
        ),
    ]


def append_only_sql(schema: str) -> list[str]:
    """Return the SQL that makes the log in this schema append-only, and the chain of seals."""
    seals = f"{quoted(schema)}.{SEALS}"
    return [
        trigger_templates.APPEND_ONLY.format(
            schema=quoted(schema), body=trigger_templates.APPEND_ONLY_BODY
        ),
        *_append_only(f"{quoted(schema)}.{LOG}", schema),
        _do(
            partition_templates.DRESS_ALL.format(
                schema=quoted(schema),
                dress=literal(f"{quoted(schema)}.partitions_auditrepr_dress(regclass,regclass)"),
                table=literal(f"{quoted(schema)}.{LOG}"),
            )
        ),
        # A database that is not migrated yet has none.
        _do(
            trigger_templates.IF_EXISTS.format(
                table=literal(seals), statements="; ".join(_append_only(seals, schema))
            )
        ),
    ]


def _append_only(log: str, schema: str) -> list[str]:
    names = trigger_templates.APPEND_ONLY_TRIGGERS
    return [
        *(
            f"CREATE OR REPLACE TRIGGER {name} BEFORE {event.format(log=log)} "
            f"EXECUTE FUNCTION {quoted(schema)}.auditrepr_append_only()"
            for name, event in names.items()
        ),
        *(f"ALTER TABLE {log} ENABLE TRIGGER {name}" for name in names),
    ]


# Every page and every batch asks it for every table.
@lru_cache(maxsize=FINGERPRINTS)
def fingerprint(capture: Capture, schema: str) -> str:
    """Return a hash of all the SQL that the table's capture consists of."""
    return _hashed(schema, *_functions_and_triggers(capture, schema))


def _hashed(schema: str, functions: Iterable[str], triggers: Iterable[str]) -> str:
    return hashed("\n".join([*support_sql(schema), *functions, *triggers]))


def install_sql(capture: Capture, schema: str) -> list[str]:
    """Return the SQL that creates the table's triggers, in place of existing ones."""
    functions, triggers = _functions_and_triggers(capture, schema)
    note: dict[str, object] = {
        "name": capture.name,
        "fingerprint": _hashed(schema, functions, triggers),
        "triggers": sum(sql.startswith("CREATE") for sql in triggers),
        "excluded": sorted(capture.excluded),
    }
    return [
        _do(_drop_triggers(capture.name, _qualified(capture.db_table), schema)),
        *functions,
        *triggers,
        f"COMMENT ON TRIGGER {_trigger(COMMENTED, schema)} ON {table(capture.db_table)} "
        f"IS {literal(json.dumps(note, ensure_ascii=False))}",
    ]


def guard_sql(capture: Capture, schema: str) -> list[str]:
    """Return the SQL that guards the partitions of this table that have no guard."""
    function = _function_name(Body(capture, schema).of_row())
    return [_guard_partitions(capture, schema, function)]


def remove_sql(name: str, schema: str) -> list[str]:
    """Return the SQL that drops the triggers of the table with this name in the log."""
    return [_do(_drop_triggers(name, name, schema))]


def tidy_sql(schema: str) -> list[str]:
    """Return the SQL that drops guards of former partitions, and functions that no trigger calls.

    Once is enough for many tables: it checks all triggers.
    """
    return [_drop_strays(schema), _drop_orphans(schema)]


def _qualified(db_table: str) -> str:
    return ".".join(filter(None, split_name(db_table)))


def _trigger(kind: str, schema: str) -> str:
    return quoted(trigger_name(kind, schema))


def _drop_triggers(name: str, qualified: str, schema: str) -> str:
    return trigger_templates.DROP_TRIGGERS.format(
        name=literal(stored(name)), qualified=literal(stored(qualified)), schema=literal(schema)
    )


def _drop_strays(schema: str) -> str:
    return _do(trigger_templates.DROP_STRAYS.format(schema=literal(quoted(schema))))


def _drop_orphans(schema: str) -> str:
    return _do(
        trigger_templates.DROP_FUNCTIONS.format(
            schema=literal(quoted(schema)), pattern=r"auditrepr\_on\_%"
        )
    )


def _do(body: str) -> str:
    return f"DO {literal(body)}"


def _functions_and_triggers(capture: Capture, schema: str) -> tuple[list[str], list[str]]:
    """Return the SQL that makes the table's functions, and the SQL that makes its triggers."""
    on = table(capture.db_table)
    body = Body(capture, schema)
    of_statement = body.of_statement()
    of_row = [body.of_row()] if capture.shape.kind is Kind.PARTITIONED else []
    functions = [*of_statement.values(), *of_row]
    seen_before = f"WHEN ({trigger_templates.SEEN_BEFORE}) "
    # A role that may execute the function could attach it to its own table, and record anything.
    triggers = [f"REVOKE ALL ON FUNCTION {_function_name(sql)}() FROM PUBLIC" for sql in functions]
    triggers += [
        f"CREATE TRIGGER {_trigger(operation.lower(), schema)} AFTER {operation} ON {on} {tables}"
        f"{seen_before if operation == 'DELETE' else ''}EXECUTE FUNCTION "
        f"{_function_name(of_statement[operation])}()"
        for operation, tables in _TRANSITION_TABLES.items()
    ]
    for sql in of_row:
        triggers += _partition_triggers(capture, schema, _function_name(sql))
    return functions, triggers


def _partition_triggers(capture: Capture, schema: str, function: str) -> Iterator[str]:
    on, token = table(capture.db_table), table_token(capture)
    for operation in _TRANSITION_TABLES:
        suffix = operation.lower()
        for moment, shared in (("BEFORE", "enter"), ("AFTER", "leave")):
            yield (
                f"CREATE TRIGGER {_trigger(f'{shared}_{suffix}', schema)} {moment} {operation} "
                f"ON {on} EXECUTE FUNCTION {quoted(schema)}.auditrepr_{shared}('{token}')"
            )
        if operation != "TRUNCATE":
            when = direct(capture, *_CAUSES[operation])
            if operation == "DELETE":
                when = f"{when} AND {trigger_templates.SEEN_BEFORE}"
            yield (
                f"CREATE TRIGGER {_trigger(f'row_{suffix}', schema)} AFTER {operation} ON {on} "
                f"FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {function}()"
            )
    yield _guard_partitions(capture, schema, function)


def _guard_partitions(capture: Capture, schema: str, function: str) -> str:
    return _do(
        trigger_templates.GUARD_PARTITIONS.format(
            table=literal(table(capture.db_table)),
            name=literal(trigger_name(PARTITION, schema)),
            function=literal(function),
        )
    )


def _function_name(definition: str) -> str:
    return definition.removeprefix("CREATE OR REPLACE FUNCTION ").partition("() RETURNS")[0]
