"""The fields of auditrepr's own tables that are not exactly Django's."""

from __future__ import annotations

import codecs
import json
from decimal import Decimal
from typing import Any

from django.core.checks import CheckMessage
from django.db import models
from django.db.models.fields.json import KeyTransform


class ExactDecoder(json.JSONDecoder):
    """A JSON decoder that keeps every digit: 0.10 does not become 0.1."""

    def __init__(self, **options: Any) -> None:
        super().__init__(parse_float=Decimal, **options)


class AskingNoDatabase:
    """A field whose system check asks no database whether it has such columns.

    Those that auditrepr supports have them. From Django 6.1 on, every ``manage.py check`` would
    connect to find out, and fail where an image is built without a database.
    """

    def _check_supported(self, databases: Any) -> list[CheckMessage]:
        return []


class AsDjangos(AskingNoDatabase):
    """A field that migrations know as Django's field of the same name."""

    def deconstruct(self) -> Any:
        """Return how to make the field, by the path of Django's class."""
        name, path, args, kwargs = super().deconstruct()  # type: ignore[misc]
        return name, path.replace(__name__, models.__name__), args, kwargs


class JSONField(AsDjangos, models.JSONField):
    pass


class GeneratedField(AsDjangos, models.GeneratedField):
    pass


class RowField(AskingNoDatabase, models.JSONField):
    r"""A row, or a part of it, as a trigger wrote it.

    Another program may have written text to SQLite that is not UTF-8. Python would refuse to read
    the whole page because of it, so its bytes are read as ``\xff`` and the like.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"decoder": ExactDecoder})

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        """Return the column as bytes, if it is text."""
        if not compiler.connection.features.has_native_json_field:
            sql = f"CAST({sql} AS BLOB)"
        return sql, params

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the row that the bytes contain."""
        if isinstance(value, bytes):
            in_json = not isinstance(expression, KeyTransform)
            value = value.decode("utf-8", "auditrepr.bytes" if in_json else "backslashreplace")
        return super().from_db_value(value, expression, connection)


def _written_out(error: Any) -> tuple[str, int]:
    """Return the bytes as escapes in a JSON string, like ``backslashreplace``."""
    wrong = error.object[error.start : error.end]
    return "".join(f"\\\\x{byte:02x}" for byte in wrong), error.end


codecs.register_error("auditrepr.bytes", _written_out)
