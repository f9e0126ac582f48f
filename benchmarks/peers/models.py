"""The same tables under django-pghistory's triggers."""

from __future__ import annotations

import pghistory

from benchmarks.shop.models import BaseInvoice, BaseLabel


def _events() -> list[pghistory.Tracker]:
    """Return the same trackers for each model: one that a model has had keeps its columns."""
    return [pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent()]


@pghistory.track(*_events(), level=pghistory.Row)
class InvoiceByRow(BaseInvoice):
    pass


@pghistory.track(*_events(), level=pghistory.Row)
class LabelByRow(BaseLabel):
    pass


@pghistory.track(*_events(), level=pghistory.Statement)
class InvoiceByStatement(BaseInvoice):
    pass
