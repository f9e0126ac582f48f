"""Writes names, constants and lists as PostgreSQL expects them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from psycopg.sql import Composable

from ...utils.table_names import split_name

LOG = "auditrepr_auditlog"
SEALS = "auditrepr_sealentry"
LOG_TRIGGER = "auditrepr_log"
# The trigger whose comment holds the fingerprint of all the table's triggers.
COMMENTED = "insert"
# The trigger on each partition that is not inherited from the partitioned table.
PARTITION = "partition"


def text_of(statement: Any, cursor: Any) -> str:
    """Return the statement as text, whatever psycopg's cursor takes for one."""
    text = statement.as_string(cursor) if isinstance(statement, Composable) else statement
    return str(text.decode() if isinstance(text, bytes) else text)


def quoted(name: str) -> str:
    """Return the name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return the text as a string constant."""
    prefix = "E" if "\\" in text else ""
    return prefix + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def table(db_table: str) -> str:
    """Return the table's name for SQL, from the way Django writes it."""
    return ".".join(quoted(part) for part in split_name(db_table) if part)


def stored(name: str) -> str:
    """Return the name as the server keeps it: 63 bytes a part."""
    return ".".join(part.encode()[:63].decode(errors="ignore") for part in name.split("."))


def trigger_name(kind: str, schema: str) -> str:
    """Return a trigger's name: several logs, each in its own schema, may audit one table."""
    name = f"auditrepr_{kind}_{schema}"
    return name if len(name.encode()) <= 63 else f"auditrepr_{kind}_{hashed(schema)}"


def hashed(text: str) -> str:
    """Return a short substitute for the text, for names of limited length."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def joined(values: Iterable[object]) -> str:
    """Return a list of values without blanks, as one text for ``string_to_array``."""
    return " ".join(map(str, values))


def array(values: Iterable[str]) -> str:
    """Return a list of texts as one, as the server reads an array: the driver takes longer."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"
