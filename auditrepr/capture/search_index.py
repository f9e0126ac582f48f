"""The index that finds representations by what they say: made, and taken away."""

from __future__ import annotations

from django.db import transaction

from ..conf import get_settings
from ..models import InstanceRepr
from ..utils.table_names import log_name
from ..vendors import get_vendor
from ..vendors.types import SearchIndex

TABLE = log_name(InstanceRepr._meta.db_table)
#: What ``migrate`` prints about a new index, by whether it matches any part of the text.
MADE = {
    True: "created an index that matches any part of the text.",
    False: "created an index that matches only the beginning of the text. To match any part,"
    " install pg_trgm (PostgreSQL) or SQLite with FTS5 and run migrate again.",
}


def index(using: str) -> SearchIndex | None:
    """Return the index that the setting asks for, if it exists."""
    return get_vendor(using).search_index() if get_settings().SEARCH else None


def install(using: str) -> SearchIndex | None:
    """Create, replace or drop the index, as the setting asks.

    :returns: the index that was created, if one was.
    """
    vendor = get_vendor(using)
    if TABLE not in vendor.shapes([TABLE]):
        return None
    wanted = vendor.best_search_index() if get_settings().SEARCH else None
    if vendor.search_index() == wanted:
        return None
    with transaction.atomic(using):
        vendor.execute(vendor.remove_search_sql())
        vendor.execute(vendor.search_sql(wanted) if wanted else [])
    return wanted


def remove(using: str) -> None:
    """Drop the index; harmless where there is none."""
    vendor = get_vendor(using)
    with transaction.atomic(using):
        vendor.execute(vendor.remove_search_sql())
