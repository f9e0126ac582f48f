"""The same table under django-pghistory's triggers."""

from __future__ import annotations

import pghistory

from benchmarks.shop.models import BaseInvoice

EVENTS = (pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())


@pghistory.track(*EVENTS, level=pghistory.Row)
class InvoiceByRow(BaseInvoice):
    pass


@pghistory.track(*EVENTS, level=pghistory.Statement)
class InvoiceByStatement(BaseInvoice):
    pass
