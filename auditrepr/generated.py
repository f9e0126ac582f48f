"""What a generated column is computed from."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import GeneratedField
from django.db.models.expressions import Col
from django.db.models.sql import Query

_PLACEHOLDER = re.compile(r"%\(\w+\)s")


def reads(generated: GeneratedField, columns: Collection[str]) -> bool:
    """Does the generated column depend on one of these? Where it may, it does."""
    query = Query(generated.model, alias_cols=False)
    expression: Any = generated.expression  # type: ignore[attr-defined]
    expression = expression.resolve_expression(query, allow_joins=False)
    return any(_reads(part, columns) for part in _parts(expression))


def _parts(expression: Any) -> Iterator[Any]:
    """The expression and all within it: conditions have parts, too, but no ``flatten()``."""
    yield expression
    for part in expression.get_source_expressions():
        if hasattr(part, "get_source_expressions"):
            yield from _parts(part)


def _reads(part: Any, columns: Collection[str]) -> bool:
    if isinstance(part, Col):
        return part.target.column in columns
    # Whoever writes SQL may name any column there.
    written = [getattr(part, "sql", ""), getattr(part, "template", "")]
    written += getattr(part, "extra", {}).values()
    text = _PLACEHOLDER.sub("", " ".join(map(str, written)))
    names = (rf"(?<!\w){re.escape(column)}(?!\w)" for column in columns)
    return any(re.search(name, text, re.IGNORECASE) for name in names)
