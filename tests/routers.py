"""Database routers that decide where a test's logs are."""

from __future__ import annotations

from typing import Any


class OneLog:
    """There is no log but that of "default": Django refuses a test any other database."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if (db, app_label) == ("other", "auditrepr") else None
