"""Builds representations: events become the texts, or the failures, that are stored for them.

The model of the log takes from here all that it shows of an event, the values of fields as well.
"""

from __future__ import annotations

from ..asof.held import held
from .builder import build, build_related, build_together
from .outcome import Failure, Outcome

__all__ = ["Failure", "Outcome", "build", "build_related", "build_together", "held"]
