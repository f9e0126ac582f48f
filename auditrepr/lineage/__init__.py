"""What tables and columns were called before."""

from __future__ import annotations

from .renames import Renames, get_renames, recent_renames

__all__ = ["Renames", "get_renames", "recent_renames"]
