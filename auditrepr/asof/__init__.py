"""Rows and objects as of an event.

From the log to an object: ``neighbours`` (the events around a moment), ``states`` (where the
state of a row is found), ``history`` and ``rows`` (its values), ``instances`` and ``reader``
(objects), ``batch`` (the objects of many events together).

What an object leads to: ``peers`` (instances that answer for each other), ``relations`` (to one
object), ``related_sets`` and ``related_querysets`` (to several), ``managers``.

What code of a row queries: ``building`` (whose code runs), ``statements`` and ``past_tables``
(whole tables as of a moment), ``substitution``. ``api`` is the public ``as_of()``.
"""

from __future__ import annotations

from .api import as_of, doubts

__all__ = ["as_of", "doubts"]
