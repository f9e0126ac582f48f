"""``AUDITREPR``, the settings."""

from __future__ import annotations

from .ages import Age
from .parsers import AUTO, MOST, Asked
from .settings import NEVER_BY_WILDCARD, Settings, get_settings

__all__ = ["AUTO", "MOST", "NEVER_BY_WILDCARD", "Age", "Asked", "Settings", "get_settings"]
