"""Builds representations: events become the texts, or the failures, that are stored for them."""

from __future__ import annotations

from .builder import build, build_related, build_together
from .outcome import Failure, Outcome

__all__ = ["Failure", "Outcome", "build", "build_related", "build_together"]
