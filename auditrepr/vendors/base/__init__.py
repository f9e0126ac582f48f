"""What auditrepr asks of a database, in four facets; ``tests/vendors`` tests every answer."""

from __future__ import annotations

from .asof import AsOfFacet, PastTableSQL
from .capture import CaptureFacet
from .search import SearchFacet
from .store import StoreFacet

__all__ = ["AsOfFacet", "CaptureFacet", "PastTableSQL", "SearchFacet", "StoreFacet", "Vendor"]


class Vendor(CaptureFacet, AsOfFacet, StoreFacet, SearchFacet):
    """One database."""
