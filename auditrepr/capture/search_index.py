"""The index that finds representations by what they say: made, and taken away."""

from __future__ import annotations

from django.db import transaction

from ..conf import get_settings
from ..models import ChangedValues, Checkpoint, InstanceRepr
from ..utils.table_names import log_name
from ..vendors import get_vendor
from ..vendors.types import SearchIndex

TABLE = log_name(InstanceRepr._meta.db_table)
VALUES = log_name(ChangedValues._meta.db_table)
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
    tables = vendor.shapes([TABLE, VALUES])
    if TABLE not in tables:
        return None
    wanted = vendor.best_search_index() if get_settings().SEARCH else None
    changed = vendor.search_index() != wanted
    if changed:
        with transaction.atomic(using):
            vendor.execute(vendor.remove_search_sql())
            vendor.execute(vendor.search_sql(wanted) if wanted else [])
    if VALUES in tables:
        _install_values(using, wanted is not None and wanted.anywhere)
    return wanted if changed else None


def covers_values(using: str) -> bool:
    """Return whether the index has, or will have, old and new values too."""
    return get_settings().SEARCH and get_vendor(using).values_index()


def _install_values(using: str, wanted: bool) -> None:
    """Create the index of old and new values, or forget what was stored for it.

    The job fills it: while it is created, its table is empty.
    """
    with transaction.atomic(using):
        if not wanted:
            ChangedValues.objects.using(using).all()._raw_delete(using)
            positions = Checkpoint.objects.using(using).filter(pk=1)
            positions.update(values_since=None, values_upto=None)
        elif not get_vendor(using).values_index():
            get_vendor(using).execute(get_vendor(using).values_sql())


def remove(using: str) -> None:
    """Drop the index; harmless where there is none."""
    vendor = get_vendor(using)
    with transaction.atomic(using):
        vendor.execute(vendor.remove_search_sql())
