"""The vendor of the database that the tests run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from auditrepr.vendors import Vendor, get_vendor


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """The vendor; whatever it was asked, it has kept nothing."""
    vendor = get_vendor("default")
    yield vendor
    assert vars(vendor) == {"using": "default"}
