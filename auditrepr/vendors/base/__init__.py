"""What auditrepr asks of a database, in seven facets; ``tests/vendors`` tests every answer."""

from __future__ import annotations

from .asof import AsOfFacet, PastTableSQL
from .attaching import AttachFacet
from .capture import CaptureFacet
from .erasing import ErasingFacet
from .imports import ImportFacet
from .partitions import PartitionFacet
from .seal import SealFacet
from .search import SearchFacet
from .store import StoreFacet

__all__ = [
    "AsOfFacet",
    "AttachFacet",
    "CaptureFacet",
    "ErasingFacet",
    "ImportFacet",
    "PartitionFacet",
    "PastTableSQL",
    "SealFacet",
    "SearchFacet",
    "StoreFacet",
    "Vendor",
]


class Vendor(
    CaptureFacet,
    AsOfFacet,
    StoreFacet,
    SearchFacet,
    ImportFacet,
    SealFacet,
    ErasingFacet,
    PartitionFacet,
    AttachFacet,
):
    """One database."""
