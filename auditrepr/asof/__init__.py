"""Rows and objects as of an event."""

from __future__ import annotations

from .api import as_of, doubts

__all__ = ["as_of", "doubts"]
