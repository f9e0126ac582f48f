"""The filters of the lists; an index or a bounded part of the log serves each.

A new one of the list of events is named in ``list_filter`` of ``audit_log.AuditLogAdmin``. Its
class declares the rest: its parameter (``parameter_name``, or several ``parameters``);
``selective`` if an index finds its few events; ``unserved`` if no index serves it, so that a page
stops searching in time.
"""

from __future__ import annotations

from .actor import ActorFilter
from .choices import ActionFilter, FieldFilter, FinalFilter, StateFilter, failures_in
from .given import (
    AROUND,
    AroundFilter,
    CommandFilter,
    DatabaseFilter,
    ModelFilter,
    ObjectFilter,
    RequestFilter,
    TaskFilter,
    TransactionFilter,
)
from .period import PeriodFilter

__all__ = [
    "AROUND",
    "ActionFilter",
    "ActorFilter",
    "AroundFilter",
    "CommandFilter",
    "DatabaseFilter",
    "FieldFilter",
    "FinalFilter",
    "ModelFilter",
    "ObjectFilter",
    "PeriodFilter",
    "RequestFilter",
    "StateFilter",
    "TaskFilter",
    "TransactionFilter",
    "failures_in",
]
