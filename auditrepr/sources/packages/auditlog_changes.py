"""What an entry of django-auditlog says has changed, as SQL about a row ``event``.

The column was text before version 3, and some of its texts are not JSON.
"""

from __future__ import annotations

import json
import re
from typing import Any

from django.db.models import JSONField

from ...vendors import get_vendor
from ..quoting import text
from .sql import column

# The escape of NUL; behind another backslash, it is text.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

# The new value is the second one; what was deleted has none.
_NEW_OR_LAST = "CASE event.action WHEN 2 THEN 0 ELSE 1 END"


def changes_of(entries: Any, using: str) -> str:
    """Return SQL for what has changed, as the entry says it, by the names of fields.

    Those of the row are lists of two values, and a many-to-many relation is an object.
    """
    fields = {field.name: field for field in entries._meta.local_concrete_fields}
    names = [name for name in ("changes", "changes_text") if name in fields]
    each = [_json(entries, fields[name], using) for name in names]
    return f"coalesce({', '.join(each)})" if len(each) > 1 else each[0]


def said_of(changes: str, field: Any, using: str) -> str:
    """Return SQL for what the changes say that the field has, or had if the object was deleted."""
    return get_vendor(using).json_element(changes, field.name, _NEW_OR_LAST)


def _json(entries: Any, field: Any, using: str) -> str:
    """Return SQL for the JSON object in a column, which is text before django-auditlog 3."""
    read = get_vendor(using).json_text(column(using, "event", field))
    broken = "" if isinstance(field, JSONField) else _broken(entries, field.name, using)
    number = column(using, "event", entries._meta.pk)
    return f"CASE WHEN CAST({number} AS text) NOT IN ({broken}) THEN {read} END" if broken else read


def _broken(entries: Any, name: str, using: str) -> str:
    """Return SQL for the keys of entries whose changes are a text that is not JSON.

    django-auditlog leaves such texts where they are when it converts the others.
    """
    rows = entries._base_manager.using(using).exclude(**{name: ""})
    if name == "changes_text":
        rows = rows.filter(changes__isnull=True)
    found = rows.order_by().values_list("pk", name).iterator()
    return ", ".join(text(str(pk)) for pk, changes in found if changes and not _is_json(changes))


def _is_json(changes: str) -> bool:
    """Return whether each database reads it: PostgreSQL has no NUL, and no half of a pair."""
    if _NUL.search(changes):
        return False
    try:
        held = json.loads(changes, parse_constant=_refuse)
        json.dumps(held, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(name)
