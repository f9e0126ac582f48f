"""What can be said of a row whose model is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class BareRow:
    """Stands in for the instance: "shop_order 5: ref=A7, total=12.50"."""

    def __init__(self, table_name: str, object_id: str | None, row: Mapping[str, Any]) -> None:
        self.table_name = table_name
        self.object_id = object_id
        self.row = row

    def __str__(self) -> str:
        columns = ", ".join(f"{column}={_shown(value)}" for column, value in self.row.items())
        return f"{self.table_name} {self.object_id}: {columns}"


def _shown(value: Any) -> str:
    return "" if value is None else str(value)
