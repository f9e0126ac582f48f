"""Rows and objects as of an event.

From the log to an object: ``neighbors`` (the events nearest to a moment), ``states`` (where the
state of a row is found), ``history`` and ``rows`` (its values), ``instances`` and ``reader``
(objects), ``batch`` (the objects of many events together).

Related objects: ``peers`` (instances whose relations are resolved together), ``relations`` (to one
object), ``related_sets`` and ``related_querysets`` (to several), ``managers``.

Queries of model code: ``building`` (whose code runs), ``statements`` and ``past_tables`` (whole
tables as of a moment), ``substitution``. ``api`` is the public ``as_of()``.
"""

from __future__ import annotations

from .api import as_of, doubts

__all__ = ["as_of", "doubts"]
