"""Imports the events of other logs, so that old and new are read in one place.

They get the IDs before the log's first event, in their own order: the log stays an order of events,
and what the triggers have recorded stays as certain as it was. An import is planned as a whole, and
then done in batches, the latest events first. So at any time the imported events reach back without
a hole, and one that is interrupted can be continued, or left as it is.
"""

from __future__ import annotations

from .abandoning import Abandoned, abandon
from .chosen import Request
from .erased import Erasures, erasures
from .forecast import Forecast, forecast
from .running import Imported, run

__all__ = [
    "Abandoned", "Erasures", "Forecast", "Imported", "Request", "abandon", "erasures", "forecast",
    "run",
]  # fmt: skip
