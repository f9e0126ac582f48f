"""Former names: renames of tables and columns, from migrations and declarations."""

from __future__ import annotations

from .renames import Renames, get_renames, recent_renames

__all__ = ["Renames", "get_renames", "recent_renames"]
